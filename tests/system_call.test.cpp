// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/syscall.hpp>

#include "support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string_view>

#include <unistd.h>

namespace io = taskpeek::io;

static_assert(io::answer{0}.ok() && io::answer{0}.count() == 0 && io::answer{0}.error() == 0);
static_assert(io::answer{7}.ok() && io::answer{7}.value() == 7 && io::answer{7}.error() == 0);
static_assert(!io::answer{-2}.ok() && io::answer{-2}.error() == ENOENT);

TEST_CASE("a system call answers with a value or an errno, and leaves errno alone")
{
    errno = 1234;
    CHECK(io::system_call(SYS_getpid).value() == getpid());
    CHECK(io::open_at(AT_FDCWD, "/nonexistent", O_RDONLY).error() == ENOENT);
    CHECK(io::read(-1, nullptr, 0).error() == EBADF);
    CHECK(io::read_directory(-1, nullptr, 0).error() == EBADF);
    CHECK(io::read_link_at(AT_FDCWD, "/", nullptr, 0).error() == EINVAL);
    CHECK_FALSE(io::is_there(AT_FDCWD, "/nonexistent"));
    CHECK(io::is_there(AT_FDCWD, "/proc/self"));
    CHECK(errno == 1234);
}

TEST_CASE("all six arguments of a system call arrive")
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    auto const opened = io::open_at(AT_FDCWD, "/proc/self/exe", O_RDONLY);
    REQUIRE(opened.ok());
    long offset = 1; // copy_file_range(2) and splice(2) take six: the pipe gets what stands behind the first byte
    auto const moved = io::system_call(SYS_splice, opened.value(), io::as_argument(&offset), fds[1], 0, 3, 0);
    CHECK(moved.value() == 3);
    char bytes[8];
    CHECK(io::read(fds[0], bytes, sizeof bytes).value() == 3);
    CHECK(std::string_view{bytes, 3} == "ELF");
    char again[3];
    CHECK(io::pread(static_cast<int>(opened.value()), again, 3, 1).value() == 3);
    CHECK(std::string_view{again, 3} == "ELF");
    io::close(static_cast<int>(opened.value()));
    CHECK(io::pread(static_cast<int>(opened.value()), again, 3, 1).error() == EBADF);
    close(fds[0]);
    close(fds[1]);
}

TEST_CASE("a read that a signal interrupts begins again")
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    struct sigaction action = {}, before = {};
    static volatile std::sig_atomic_t signals;
    signals = 0;
    action.sa_handler = [](int) { signals = signals + 1; };
    REQUIRE(sigaction(SIGUSR1, &action, &before) == 0); // without SA_RESTART
    auto const reader = getpid();
    taskpeek::tests::child sender{[] {}, [&] {
        for (int i = 0; i < 50; ++i) {
            ::kill(reader, SIGUSR1);
            usleep(2000);
        }
        (void)!write(fds[1], "x", 1);
        _exit(0);
    }};
    char byte = 0;
    CHECK(io::read(fds[0], &byte, 1).value() == 1);
    CHECK(byte == 'x');
    CHECK(signals > 0);
    sender.reap();
    sigaction(SIGUSR1, &before, nullptr);
    close(fds[0]);
    close(fds[1]);
}
