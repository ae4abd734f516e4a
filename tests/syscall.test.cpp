// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/syscall.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using form = pf::syscall::form;

namespace {

[[nodiscard]] constexpr pf::syscall of(std::string_view text) { return pf::syscall::parse(text).value(); }

constexpr auto wait4_6_1 = "61 0xffffffff 0x7ffd0d08a5ac 0x0 0x0 0x0 0x1 0x7ffd0d08a588 0x460a63\n"sv;
constexpr pf::syscall inside = of(wait4_6_1);
static_assert(inside.kind == form::inside && inside.nr == 61);
static_assert(inside.args == pf::syscall_arguments{{0xffffffff, 0x7ffd0d08a5ac, 0, 0, 0, 1}} && (*inside.args)[5] == 1);
static_assert(inside.sp == tp::address{0x7ffd0d08a588} && inside.pc == tp::address{0x460a63});

constexpr pf::syscall fault = of("-1 0x7ffd0d08a588 0x460a63\n");
static_assert(fault.kind == form::outside && !fault.nr && !fault.args);
static_assert(fault.sp == tp::address{0x7ffd0d08a588} && fault.pc == tp::address{0x460a63});
static_assert(of("-516 0x1 0x2\n").kind == form::outside);

constexpr pf::syscall running = of("running\n");
static_assert(running.kind == form::running && !running.nr && !running.args && !running.sp && !running.pc);

// A kernel thread's and a zombie's line; neither reads, though read(2) has number 0 on x86-64.
constexpr pf::syscall kernel_thread = of("0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n");
static_assert(kernel_thread.kind == form::no_user_registers && !kernel_thread.nr && !kernel_thread.args && !kernel_thread.sp);
static_assert(of("-1 0x0 0x0\n").kind == form::no_user_registers);
constexpr pf::syscall read = of("0 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd0d08a588 0x460a63\n");
static_assert(read.kind == form::inside && read.nr == 0, "but this is a read(2)");

constexpr auto largest = "9223372036854775807 0xffffffffffffffff 0xffffffffffffffff 0xffffffffffffffff 0xffffffffffffffff 0xffffffffffffffff "
                         "0xffffffffffffffff 0xffffffffffffffff 0xffffffffffffffff\n"sv;
static_assert(of(largest).nr == INT64_MAX && (*of(largest).args)[0] == UINT64_MAX && of(largest).pc == tp::address{UINT64_MAX});

} // namespace

TEST_CASE("syscall: a text cut anywhere is truncated")
{
    for (auto const text : {wait4_6_1, "-1 0x7ffd0d08a588 0x460a63\n"sv, "running\n"sv, largest}) tp::tests::check_every_beginning<pf::syscall>(text);
    CHECK(largest.size() <= pf::syscall::typical_size);
}

TEST_CASE("syscall: damage anywhere is survived")
{
    tp::tests::check_every_damage<pf::syscall>(wait4_6_1);
    tp::tests::check_every_damage<pf::syscall>("running\n");
}

TEST_CASE("syscall: what kernels to come append is passed over")
{
    CHECK(of("running 3\n").kind == form::running);
    CHECK(of("-1 0x1 0x2 0x3\n").pc == tp::address{2});
}

TEST_CASE("syscall: other texts are malformed")
{
    tp::tests::check_malformed<pf::syscall>({
        {"\n", 0}, {"runs\n", 3}, {"running7\n", 7}, {"1\n", 1}, {"1 0x1 0x2 0x3 0x4 0x5 0x6 0x7\n", 29}, {"-1 0x1\n", 6}, {"-1 1 2\n", 3},
        {"-1 0x1 0xg\n", 9}, {"-1 0x1 0x10000000000000000\n", 25}, {"9223372036854775808 0x1\n", 0}, {"0x1 0x2 0x3\n", 1},
    });
}

TEST_CASE("syscall: each field is listed once, in the kernel's order")
{
    std::string names;
    pf::syscall::each_field(inside, [&](std::string_view name, auto const& field) {
        (names += name) += ' ';
        CHECK(field.has_value());
    });
    CHECK(names == "nr args sp pc ");
}
