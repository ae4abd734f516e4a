// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/stack/syscall_names.hpp>

#include <cstdint>

#include <doctest/doctest.h>
#include <sys/syscall.h>

namespace st = taskpeek::stack;
using abi = st::syscall_abi;

static_assert(st::syscall_name(abi::x86_64, 0) == "read" && st::syscall_name(abi::i386, 3) == "read" && st::syscall_name(abi::aarch64, 63) == "read");
static_assert(st::syscall_name(abi::i386, 29) == "pause" && st::syscall_name(abi::x86_64, 29) == "shmget" && st::syscall_name(abi::aarch64, 29) == "ioctl");

TEST_CASE("syscall_names: old and new numbers of three ABIs")
{
    struct { abi of; std::int64_t nr; char const* name; } const cases[] = {
        {abi::x86_64, 202, "futex"}, {abi::x86_64, 232, "epoll_wait"}, {abi::x86_64, 334, "rseq"}, {abi::x86_64, 424, "pidfd_send_signal"},
        {abi::x86_64, 435, "clone3"}, {abi::x86_64, 462, "mseal"}, {abi::i386, 240, "futex"}, {abi::i386, 403, "clock_gettime64"},
        {abi::i386, 1, "exit"}, {abi::aarch64, 98, "futex"}, {abi::aarch64, 22, "epoll_pwait"}, {abi::aarch64, 437, "openat2"},
    };
    for (auto const& c : cases) CHECK(st::syscall_name(c.of, c.nr) == c.name);
}

TEST_CASE("syscall_names: gaps, numbers to come and negative ones have no name")
{
    for (auto const of : {abi::x86_64, abi::i386, abi::aarch64})
        for (std::int64_t const nr : {std::int64_t{-1}, std::int64_t{400'000}, INT64_MAX, INT64_MIN})
            CHECK(st::syscall_name(of, nr).empty());
    CHECK(st::syscall_name(abi::x86_64, 400).empty());
}

TEST_CASE("syscall_names: this machine's headers agree")
{
#if defined __x86_64__
    constexpr auto native = abi::x86_64;
#else
    constexpr auto native = abi::aarch64;
#endif
    CHECK(st::syscall_name(native, SYS_ppoll) == "ppoll");
    CHECK(st::syscall_name(native, SYS_recvmmsg) == "recvmmsg");
    CHECK(st::syscall_name(native, SYS_gettid) == "gettid");
    CHECK(st::syscall_name(native, SYS_clock_nanosleep) == "clock_nanosleep");
}
