// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/target_file.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace vas = taskpeek::vas;

namespace {

/// What reading the file gives.
std::string content(vas::target_file const& file)
{
    char bytes[64];
    auto const got = pread(file.fd.get(), bytes, sizeof bytes, 0);
    return {bytes, got > 0 ? static_cast<std::size_t>(got) : 0};
}

/// A mapping that is not there: `map_files` has no link for it, so the path decides.
pf::vma claimed(std::string_view path, struct stat const& of = {})
{
    pf::vma v;
    v.start = tp::address{0x10000};
    v.end = tp::address{0x11000};
    v.path = path;
    v.inode = of.st_ino;
    v.dev = {major(of.st_dev), minor(of.st_dev)};
    return v;
}

void write_file(std::string const& path, std::string const& text) { std::ofstream{path} << text; }

} // namespace

TEST_CASE("a mapped file is opened as what it is, though its name now leads elsewhere")
{
    tp::tests::temporary_directory const directory;
    auto const path = directory.path() + "/mapped";
    write_file(path, "the mapped one");
    auto const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    auto* const at = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(at != MAP_FAILED);
    close(fd);
    unlink(path.c_str());
    write_file(path, "an impostor");
    auto const process = tp::process::self();
    int found = 0;
    for (auto const& vma : process.value().maps()) {
        if (vma.start.value != reinterpret_cast<std::uintptr_t>(at)) continue;
        ++found;
        auto const file = vas::open_mapped_file(process.value().directory(), vma);
        if (!file) { // without CAP_CHECKPOINT_RESTORE: " (deleted)" is no file's name
            CHECK(file.error().code == tp::errc::vanished);
            continue;
        }
        CHECK(file.value().source == vas::file_source::map_files);
        CHECK(file.value().verified);
        CHECK(content(file.value()) == "the mapped one");
    }
    CHECK(found == 1);
    munmap(at, 4096);
}

TEST_CASE("a file opened by its path is verified by device and inode, or said not to be")
{
    tp::tests::temporary_directory const directory;
    auto const path = directory.path() + "/file";
    write_file(path, "by path");
    struct stat told{};
    REQUIRE(stat(path.c_str(), &told) == 0);
    auto const process = tp::process::self();
    auto const good = vas::open_mapped_file(process.value().directory(), claimed(path, told));
    REQUIRE(good);
    CHECK(good.value().source == vas::file_source::path);
    CHECK(good.value().verified);
    CHECK(content(good.value()) == "by path");
    told.st_ino += 1;
    auto const doubtful = vas::open_mapped_file(process.value().directory(), claimed(path, told));
    REQUIRE(doubtful);
    CHECK_FALSE(doubtful.value().verified);
}

TEST_CASE("in another root an absolute link leads to that root's file")
{
    if (getuid() != 0) return tp::tests::skip("only root may chroot");
    tp::tests::temporary_directory const directory;
    auto const& root = directory.path();
    mkdir((root + "/real").c_str(), 0755);
    write_file(root + "/real/hostname", "of the jail");
    REQUIRE(symlink("/real", (root + "/etc").c_str()) == 0);            // absolute: on the host there is another /etc
    REQUIRE(symlink("../../../../real", (root + "/up").c_str()) == 0);  // climbs no higher than the root
    REQUIRE(symlink("/proc/self/root/etc", (root + "/magic").c_str()) == 0);
    write_file(root + "/marker", "marker of the jail");
    tp::tests::child const jailed{[&] {
        if (chroot(root.c_str()) != 0 || chdir("/") != 0) _exit(1);
    }};
    auto const process = tp::process::open(tp::tgid{jailed.pid()});
    REQUIRE(process);
    auto const open = [&](std::string const& path) { return vas::open_mapped_file(process.value().directory(), claimed(path)); };
    for (std::string const path : {"/etc/hostname", "/up/hostname", "/../../etc/hostname"}) {
        CAPTURE(path);
        auto const file = open(path);
        REQUIRE(file);
        CHECK(content(file.value()) == "of the jail");
    }
    auto const as_the_reader_prints_it = open(root + "/etc/hostname");
    REQUIRE(as_the_reader_prints_it);
    CHECK(content(as_the_reader_prints_it.value()) == "of the jail");
    CHECK_FALSE(open("/magic/hostname"));
    CHECK_FALSE(open("/etc/passwd")); // the host has it
}

TEST_CASE("in another mount namespace a path leads to that namespace's file")
{
    if (getuid() != 0) return tp::tests::skip("only root may mount");
    tp::tests::temporary_directory const directory;
    auto const& root = directory.path();
    int told[2];
    REQUIRE(pipe2(told, O_CLOEXEC) == 0);
    tp::tests::child const apart{[&] { // its root is a tmpfs that nobody else sees, with an absolute link for /lib
        bool const done = unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          mount("tmpfs", root.c_str(), "tmpfs", 0, "size=1m") == 0 && mkdir((root + "/usr").c_str(), 0755) == 0 &&
                          mkdir((root + "/usr/lib").c_str(), 0755) == 0 && symlink("/usr/lib", (root + "/lib").c_str()) == 0;
        if (done) write_file(root + "/usr/lib/libc.so.6", "of the namespace");
        if (!done || chroot(root.c_str()) != 0 || chdir("/") != 0) _exit(1);
        (void)!write(told[1], "x", 1);
    }};
    close(told[1]);
    char byte = 0;
    auto const got = read(told[0], &byte, 1);
    close(told[0]);
    if (got != 1) return tp::tests::skip("this machine lets nobody mount");
    auto const process = tp::process::open(tp::tgid{apart.pid()});
    REQUIRE(process);
    auto const file = vas::open_mapped_file(process.value().directory(), claimed("/lib/libc.so.6"));
    REQUIRE(file);
    CHECK(content(file.value()) == "of the namespace");
    CHECK(file.value().source == vas::file_source::path);
    CHECK_FALSE(file.value().verified);
    CHECK_FALSE(vas::open_mapped_file(process.value().directory(), claimed("/etc/passwd")));
}

TEST_CASE("nothing but a regular file is opened, and at once")
{
    tp::tests::temporary_directory const directory;
    auto const process = tp::process::self();
    auto const fifo = directory.path() + "/fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    auto const code_of = [&](std::string const& path) {
        auto const file = vas::open_mapped_file(process.value().directory(), claimed(path));
        return file ? tp::errc{} : file.error().code;
    };
    CHECK(code_of(fifo) == tp::errc::invalid); // an open(2) would wait for a writer
    CHECK(code_of("/dev/zero") == tp::errc::invalid);
    CHECK(code_of(directory.path()) == tp::errc::invalid);
    CHECK(code_of("/proc/kmsg") == tp::errc::invalid); // passes for a regular file, and reading takes messages away
    CHECK(code_of("/proc/self/maps") == tp::errc::invalid);
    write_file(directory.path() + "/empty", "");
    CHECK(code_of(directory.path() + "/empty") == tp::errc::invalid);
    CHECK(code_of("/dev/zero (deleted)") == tp::errc::vanished);
    CHECK(code_of("relative") == tp::errc::invalid);
    CHECK(code_of("/" + std::string(5000, 'x')) == tp::errc::invalid);
    CHECK(code_of("/a\\012b") == tp::errc::invalid);
    auto cut = claimed("/etc/passwd");
    cut.path_truncated = true;
    CHECK(vas::open_mapped_file(process.value().directory(), cut).error().code == tp::errc::invalid);
}

TEST_CASE("a recorded tree's links are not followed on this machine")
{
    tp::tests::temporary_directory const directory;
    mkdir((directory.path() + "/7").c_str(), 0755);
    REQUIRE(symlink("/", (directory.path() + "/7/root").c_str()) == 0);
    auto const process = tp::process::open(tp::tgid{7}, directory.path().c_str());
    REQUIRE(process);
    auto const file = vas::open_mapped_file(process.value().directory(), claimed("/etc/passwd"));
    REQUIRE_FALSE(file);
    CHECK(file.error().code == tp::errc::unsupported);
}
