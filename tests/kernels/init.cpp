// SPDX-License-Identifier: BSL-1.0
// The first process of a booted kernel. Does the jobs that /jobs lists, one a line, fields apart by tabs, and writes what each printed to
// the console, framed so that the host can tell it from the kernel's messages:
//
//     NAME  UID  PROGRAM  ARGUMENT…     runs a program as a user
//     NAME  UID  :WORD    ARGUMENT…     does what this program does itself: see `own_word`
//     NAME  UID  :each    PROGRAM  …    runs it for each process, whose id comes first
//     &NAME UID  PROGRAM  ARGUMENT…     starts it and goes on once it has printed "ready"; from then on, @NAME is its process id
//
// Under any other process id it is a sleep(1) that never ends: tests execute that.
// What it reads of the kernel it reads in the plainest way, and without taskpeek: the tests compare taskpeek's answers with it.

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using words = std::vector<std::string>;

constexpr int seconds_for_a_job = 120;
std::map<std::string, pid_t> started;

int complain(std::string const& path)
{
    printf("%s: %s\n", path.c_str(), strerror(errno));
    return 1;
}

std::string contents(int fd)
{
    std::string all;
    char piece[65536];
    for (ssize_t got; (got = read(fd, piece, sizeof piece)) > 0;) all.append(piece, static_cast<std::size_t>(got));
    return all;
}

/// What a file of /proc holds; its first \p limit bytes.
std::string contents(std::string const& path, std::size_t limit = SIZE_MAX)
{
    int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) exit(complain(path));
    std::string all(limit == SIZE_MAX ? 0 : limit, '\0');
    if (limit == SIZE_MAX) {
        all = contents(fd);
    } else {
        auto const got = pread(fd, all.data(), limit, 0);
        all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    }
    close(fd);
    return all;
}

void print(std::string const& bytes) { fwrite(bytes.data(), 1, bytes.size(), stdout); }

/// The lines of kallsyms with these names, without those of modules.
std::map<std::string, std::uint64_t> symbols(words const& names)
{
    std::map<std::string, std::uint64_t> found;
    std::istringstream lines{contents("/proc/kallsyms")};
    for (std::string line; std::getline(lines, line);) {
        if (line.find('\t') != line.npos) break;
        auto const name = line.substr(line.rfind(' ') + 1);
        for (auto const& wanted : names)
            if (name == wanted) found[name] = strtoull(line.c_str(), nullptr, 16);
    }
    return found;
}

/// The values of kernel variables of 8 bytes, read through kcore.
void print_values(words const& names)
{
    auto const head = contents("/proc/kcore", 65536);
    int const kcore = open("/proc/kcore", O_RDONLY);
    Elf64_Ehdr header;
    memcpy(&header, head.data(), sizeof header);
    for (auto const& [name, address] : symbols(names))
        for (int i = 0; i < header.e_phnum; ++i) {
            Elf64_Phdr part;
            memcpy(&part, head.data() + header.e_phoff + sizeof part * static_cast<std::size_t>(i), sizeof part);
            if (part.p_type != PT_LOAD || address < part.p_vaddr || address - part.p_vaddr >= part.p_memsz) continue;
            unsigned long long value = 0;
            if (pread(kcore, &value, sizeof value, static_cast<off_t>(part.p_offset + (address - part.p_vaddr))) == sizeof value)
                printf("%s %llx\n", name.c_str(), value);
            break;
        }
}

[[noreturn]] void execute(words said)
{
    std::vector<char*> arguments;
    for (auto& word : said) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    complain(said[0]);
    fflush(stdout);
    _exit(127);
}

void for_each_process(words const& said)
{
    std::vector<std::string> ids;
    if (DIR* const proc = opendir("/proc")) {
        while (dirent const* const entry = readdir(proc))
            if (isdigit(static_cast<unsigned char>(entry->d_name[0]))) ids.emplace_back(entry->d_name);
        closedir(proc);
    }
    for (auto const& id : ids) {
        if (id == std::to_string(getpid())) continue;
        auto one = said;
        one.insert(one.begin() + 1, id);
        if (pid_t const child = fork(); child == 0) execute(one);
        else waitpid(child, nullptr, 0);
    }
}

int own_word(words const& said)
{
    auto const& word = said[0];
    words const rest{said.begin() + 1, said.end()};
    if (word == ":cat") print(contents(rest.at(0)));
    else if (word == ":head") print(contents(rest.at(0), strtoul(rest.at(1).c_str(), nullptr, 10)));
    else if (word == ":symbols") for (auto const& [name, value] : symbols(rest)) printf("%s %llx\n", name.c_str(), static_cast<unsigned long long>(value));
    else if (word == ":values") print_values(rest);
    else if (word == ":each") for_each_process(rest);
    else if (word == ":insmod") {
        int const fd = open(rest.at(0).c_str(), O_RDONLY);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) return complain(rest[0]);
    } else if (word == ":write") {
        int const fd = open(rest.at(0).c_str(), O_WRONLY);
        if (fd < 0 || write(fd, rest.at(1).data(), rest[1].size()) < 0) return complain(rest[0]);
    } else { printf("no such word: %s\n", word.c_str()); return 2; }
    return 0;
}

[[noreturn]] void become(uid_t user, words said)
{
    for (auto& word : said)
        if (word[0] == '@') word = std::to_string(started[word.substr(1)]);
    if (user != 0 && (setgroups(0, nullptr) != 0 || setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0)) _exit(126);
    if (said[0][0] == ':') {
        int const status = own_word(said);
        fflush(stdout);
        _exit(status);
    }
    execute(said);
}

void write_all(int fd, std::string const& bytes)
{
    for (std::size_t at = 0; at < bytes.size();) {
        auto const put = write(fd, bytes.data() + at, bytes.size() - at);
        if (put > 0) at += static_cast<std::size_t>(put);
    }
}

void tell(std::string const& name, int status, std::string const& output)
{
    write_all(1, "\n@@job " + name + ' ' + std::to_string(status) + ' ' + std::to_string(output.size()) + '\n' + output + "\n@@end\n");
    tcdrain(1);
}

void start(std::string const& name, uid_t user, words const& said)
{
    int out[2];
    if (pipe(out) != 0) return;
    int in[2]; // never written to: a program that waits for its input waits for ever
    if (pipe(in) != 0) return;
    pid_t const child = fork();
    if (child == 0) {
        setsid();
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        become(user, said);
    }
    close(out[1]);
    started[name] = child;
    std::string output;
    char byte;
    while (output.find("ready\n") == output.npos && read(out[0], &byte, 1) == 1) output += byte;
    tell(name, output.find("ready\n") == output.npos, output);
}

void run(std::string const& name, uid_t user, words const& said)
{
    int const out = open("/tmp/out", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pid_t const child = fork();
    if (child == 0) {
        alarm(seconds_for_a_job);
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(out, 1);
        dup2(out, 2);
        become(user, said);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    while (waitpid(-1, nullptr, WNOHANG) > 0) {} // what it left behind
    lseek(out, 0, SEEK_SET);
    tell(name, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contents(out));
    close(out);
}

} // namespace

int main()
{
    if (getpid() != 1) // run as /bin/sleep
        for (;;) pause();
    for (auto const* const directory : {"/proc", "/sys", "/tmp"}) mkdir(directory, 0755);
    mount("proc", "/proc", "proc", 0, nullptr);
    mount("sysfs", "/sys", "sysfs", 0, nullptr);
    mount("tmpfs", "/tmp", "tmpfs", 0, nullptr);
    mknod("/dev/null", S_IFCHR | 0666, static_cast<dev_t>(1 << 8 | 3));
    chmod("/dev/null", 0666);
    termios raw;
    if (tcgetattr(1, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(1, TCSANOW, &raw);
    }
    setenv("TASKPEEK_ADDRESSES", "2000", 1); // for the finder's test
    std::istringstream jobs{contents("/jobs")};
    for (std::string line; std::getline(jobs, line);) {
        std::istringstream fields{line};
        words all;
        for (std::string field; std::getline(fields, field, '\t');) all.push_back(field);
        if (all.size() < 3) continue;
        words const said{all.begin() + 2, all.end()};
        auto const user = static_cast<uid_t>(strtoul(all[1].c_str(), nullptr, 10));
        if (all[0][0] == '&') start(all[0].substr(1), user, said);
        else run(all[0], user, said);
    }
    write_all(1, "\n@@done\n");
    tcdrain(1);
    sync();
    reboot(RB_POWER_OFF);
}
