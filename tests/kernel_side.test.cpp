// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/child.hpp"

#include <taskpeek/stack/kernel_side.hpp>

#include <csignal>

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

TEST_CASE("kernel_side: the kernel frames of a sleeper, or the rule that hides them")
{
    tp::tests::child const sleeper;
    auto const process = tp::process::open(sleeper.id());
    REQUIRE(process);
    auto const thread = process.value().thread(tp::tid{sleeper.pid()});
    REQUIRE(thread);
    tp::buffer<tp::procfs::stack::typical_size> memory;
    auto const sleeps = [](auto const& side) {
        if (side.frames)
            for (auto const frame : side.frames.value().frames)
                for (auto const* const call : {"sys_pause", "sys_ppoll"}) // which arm64's pause(3) is
                    if (frame.symbol.find(call) != std::string_view::npos) return true;
        return false;
    };
    auto side = st::read_kernel_side(thread.value(), memory);
    for (int i = 0; i < 500 && side.frames && !sleeps(side); ++i) { // a busy machine lets it fall asleep late
        usleep(10000);
        side = st::read_kernel_side(thread.value(), memory);
    }
    if (side.frames) {
        CHECK(side.hidden == st::kernel_stack_rule::not_hidden);
        CHECK(sleeps(side));
    } else {
        CHECK(side.hidden != st::kernel_stack_rule::not_hidden);
        CHECK_FALSE(st::describe(side.hidden).empty());
    }
}

TEST_CASE("kernel_side: without privilege one's own thread is hidden by one rule, another user's by another")
{
    if (getuid() != 0) return tp::tests::skip("only root can become two users");
    tp::tests::child const foreign;
    auto const status = tp::tests::status_of([&] {
        if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(10);
        tp::tests::child const own{[] { prctl(PR_SET_DUMPABLE, 1); }};
        auto const rule_of = [](tp::tests::child const& c) {
            auto const process = tp::process::open(c.id());
            if (!process) _exit(11);
            tp::buffer<tp::procfs::stack::typical_size> memory;
            return st::read_kernel_side(process.value().thread(tp::tid{c.pid()}).value(), memory).hidden;
        };
        if (rule_of(own) != st::kernel_stack_rule::needs_admin) _exit(12);
        if (rule_of(foreign) != st::kernel_stack_rule::needs_ptrace) _exit(13);
        _exit(0);
    });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("kernel_side: our own ABI, and none for a process that has gone")
{
    auto const self = tp::process::self();
    REQUIRE(self);
    auto const abi = st::abi_of(self.value());
    REQUIRE(abi);
#if defined __x86_64__
    CHECK(abi.value() == st::syscall_abi::x86_64);
#elif defined __aarch64__
    CHECK(abi.value() == st::syscall_abi::aarch64);
#endif
    auto const gone = tp::tests::make_zombie();
    auto const process = tp::process::open(gone.id());
    REQUIRE(process);
    CHECK_FALSE(st::abi_of(process.value()));
}
