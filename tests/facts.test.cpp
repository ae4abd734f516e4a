// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/specimen.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/facts.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

TEST_CASE("the facts of a process are those that it was told itself")
{
    tp::tests::child const other{[] {}};
    auto const process = tp::process::open(tp::tgid{other.pid()});
    REQUIRE(process);
    std::string call = "running"; // until it is in its pause(2) it has no stack pointer to tell
    for (int tries = 0; tries < 10'000 && call == "running"; ++tries) {
        usleep(1000);
        std::ifstream{"/proc/" + std::to_string(other.pid()) + "/syscall"} >> call;
    }
    std::vector<vas::image> images(64);
    std::vector<vas::stack_pointer> pointers(16);
    auto const gathered = vas::gather(process.value(), {images, pointers});
    REQUIRE(gathered);
    auto const& f = gathered.value();
    CHECK(f.failure_count == 0);
    CHECK(f.word_size == sizeof(void*)); // a fork has its parent's
    CHECK(f.page_size == getauxval(AT_PAGESZ));
    CHECK(f.entry->value == getauxval(AT_ENTRY));
    CHECK(f.phdr->value == getauxval(AT_PHDR));
    CHECK(f.linker->value == getauxval(AT_BASE));
    CHECK(f.vdso->value == getauxval(AT_SYSINFO_EHDR));
    rlimit limit{};
    getrlimit(RLIMIT_STACK, &limit);
    REQUIRE(f.stack_limit);
    CHECK(tp::to_rlim(*f.stack_limit) == limit.rlim_cur);
    std::ifstream file{"/proc/sys/vm/mmap_min_addr"};
    std::uint64_t least = 0;
    file >> least;
    CHECK(f.mmap_min_addr.value_or(0) == least);
    CHECK(f.threads == 1);
    REQUIRE(f.stack_pointers.size() == 1);
    CHECK(f.stack_pointers[0].thread.value == other.pid());

    int programs = 0, linkers = 0;
    for (auto const& i : f.images) {
        CHECK(i.has_headers());
        CHECK(i.verified);
        if (i.role == vas::image_role::program) { ++programs; CHECK(i.spans(*f.entry)); }
        if (i.role == vas::image_role::dynamic_linker) { ++linkers; CHECK(i.spans(*f.linker)); }
    }
    CHECK(programs == 1);
    CHECK(linkers == 1);
    CHECK(std::is_sorted(f.images.begin(), f.images.end(), [](auto const& a, auto const& b) { return a.end <= b.start; }));
}

TEST_CASE("too little memory loses images and stack pointers, and says how many there are")
{
    tp::tests::specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return tp::tests::skip("the specimen could not be built here");
    auto const process = tp::process::open(tp::tgid{s.pid()});
    REQUIRE(process);
    vas::image image[1];
    vas::stack_pointer pointer[2];
    auto const gathered = vas::gather(process.value(), {image, pointer});
    REQUIRE(gathered);
    CHECK(gathered.value().images.size() == 1);
    CHECK(gathered.value().images_wanted == 3);
    CHECK(gathered.value().stack_pointers.size() == 2);
    auto const stacks = s.of("thread_stack").size() + s.of("main_stack").size() + 1; // and one in .bss
    CHECK(gathered.value().stack_pointers_wanted == stacks);
    CHECK(gathered.value().threads == stacks);
    auto const nothing = vas::gather(process.value(), {});
    REQUIRE(nothing);
    CHECK(nothing.value().images.empty());
}

TEST_CASE("without privilege files are opened by exe, by path, or read from memory where a path leads elsewhere")
{
    if (getuid() != 0) return tp::tests::skip("only root may mount, and become nobody");
    tp::tests::temporary_directory const directory;
    auto const& folder = directory.path();
    chmod(folder.c_str(), 0755);
    Dl_info info{};
    REQUIRE(dladdr(reinterpret_cast<void*>(&getpid), &info) != 0);
    auto const library = std::filesystem::path{info.dli_fname}.parent_path() / "libanl.so.1";
    if (!std::filesystem::exists(library)) return tp::tests::skip("there is no libanl");
    auto const preloaded = folder + "/preloaded.so", other = folder + "/other.so";
    std::filesystem::copy_file(library, preloaded);
    std::ofstream{other} << "another file";
    auto const inode = [](std::string const& path) {
        struct stat told{};
        return stat(path.c_str(), &told) == 0 ? told.st_ino : 0;
    };
    auto const inode_of_library = inode(preloaded);

    int alive[2];
    REQUIRE(pipe2(alive, O_CLOEXEC) == 0);
    tp::tests::child const target{[&] {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(1);
    }, [&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
        tp::tests::end_with_parent(getppid());
        setenv("LD_PRELOAD", preloaded.c_str(), 1);
        execl("/bin/sleep", "sleep", "600", static_cast<char*>(nullptr));
        _exit(1);
    }};
    close(alive[1]);
    char byte = 0;
    CHECK(read(alive[0], &byte, 1) == 0); // closed by the exec
    close(alive[0]);
    auto const process = tp::process::open(target.id());
    REQUIRE(process);
    std::vector<vas::image> images(64);
    std::vector<vas::stack_pointer> pointers(64);
    bool loaded = false;
    for (int tries = 0; tries < 10'000 && !loaded; ++tries) {
        for (auto const& v : process.value().maps()) loaded = loaded || (v.inode == inode_of_library && v.perms.execute);
        usleep(1000);
    }
    if (!loaded) return tp::tests::skip("this machine lets nobody mount");
    tp::tests::child const covered{[&] { // in the target's namespace another file now lies over the library
        auto const ns = open(("/proc/" + std::to_string(target.pid()) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC);
        if (setns(ns, CLONE_NEWNS) != 0 || mount(other.c_str(), preloaded.c_str(), nullptr, MS_BIND, nullptr) != 0) _exit(1);
    }};
    int outcome[2];
    REQUIRE(pipe(outcome) == 0);
    tp::tests::child const nobody{[&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
        auto const gathered = vas::gather(process.value(), {images, pointers});
        for (auto const& i : gathered ? gathered.value().images : std::span<vas::image const>{}) {
            char const said[] = {i.role == vas::image_role::program ? 'p' : i.inode == inode_of_library ? 'l' : 'o',
                                 name_of(i.source).front(), i.verified ? 'v' : 'u'};
            (void)!write(outcome[1], said, sizeof said);
        }
    }};
    close(outcome[1]);
    std::string said(300, '\0');
    auto const got = read(outcome[0], said.data(), said.size());
    close(outcome[0]);
    said.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    CAPTURE(said);
    REQUIRE(said.size() >= 9);
    int others = 0;
    for (std::size_t i = 0; i < said.size(); i += 3) {
        auto const image = said.substr(i, 3);
        if (image[0] == 'p') CHECK(image == "pev");      // exe
        else if (image[0] == 'l') CHECK(image == "lmv"); // memory: the path leads to another file
        else { ++others; CHECK(image == "opv"); }        // path, the same device and inode
    }
    CHECK(others >= 2);
}

TEST_CASE("who may not look is told what was kept back")
{
    if (getuid() != 0) return tp::tests::skip("only root may become nobody");
    tp::tests::specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return tp::tests::skip("the specimen could not be built here");
    int outcome[2];
    REQUIRE(pipe(outcome) == 0);
    tp::tests::child const nobody{[&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
        auto const process = tp::process::open(tp::tgid{s.pid()});
        std::vector<vas::image> images(64);
        std::vector<vas::stack_pointer> pointers(64);
        auto const gathered = vas::gather(process.value(), {images, pointers});
        char const said = gathered ? 'y' : gathered.error().code == tp::errc::denied ? 'd' : 'x';
        (void)!write(outcome[1], &said, 1);
    }};
    char said = 0;
    REQUIRE(read(outcome[0], &said, 1) == 1);
    CHECK(said == 'd');
    close(outcome[0]);
    close(outcome[1]);
}
