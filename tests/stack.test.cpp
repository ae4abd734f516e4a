// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/stack.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::ends_with_a_line;
using tp::tests::gives;

namespace {

[[nodiscard]] constexpr pf::kernel_frame frame(std::string_view line)
{
    tp::text::cursor in{line};
    pf::kernel_frame f;
    read_value(in, f);
    if (!in.ok()) f.symbol = "malformed";
    return f;
}

static_assert(frame("[<0>] do_wait+0x160/0x2f0") == pf::kernel_frame{{}, "do_wait", tp::bytes{0x160}, tp::bytes{0x2f0}, "", true});
static_assert(frame("[<0>] ext4_sync+0x1/0x2 [ext4]") == pf::kernel_frame{{}, "ext4_sync", tp::bytes{1}, tp::bytes{2}, "ext4", true});
static_assert(frame("[<ffffffff81000000>] f+0x1/0x2").pc == tp::optional_address{0xffffffff81000000});
static_assert(frame("[<0000000000000000>] f+0x1/0x2").symbol == "f" && !frame("[<0000000000000000>] f+0x1/0x2").pc);
static_assert(frame("[<c0123456>] f+0x1/0x2").pc == tp::optional_address{0xc0123456}, "of a 32-bit kernel");
static_assert(frame("[<0>] f+0x1/0x2").reliable);
static_assert(!frame("[<0>] ? f+0x1/0x2 [m]").reliable && frame("[<0>] ? f+0x1/0x2 [m]").symbol == "f" && frame("[<0>] ? f+0x1/0x2 [m]").module == "m");
static_assert(!frame("? f+0x1/0x2").reliable && frame("f+0x1/0x2").symbol == "f");
static_assert(frame("[<0>] bpf_prog_6deef7357e7b4530_f+0x1b/0x1c [bpf]").module == "bpf");
static_assert(frame("[<0>] f+0x1/0x2 [m 1234abcd]").module == "m 1234abcd");
static_assert(frame("[<0>] f+0x1/0x2 (inline) [x]").symbol == "f", "what kernels to come append is passed over");

// Where no symbol fits.
static_assert(frame("[<0>] 0xffffffffc0001234") == pf::kernel_frame{tp::optional_address{0xffffffffc0001234}, "", {}, {}, "", true});
static_assert(!frame("[<0>] 0xffffffffc0001234").is_terminator() && frame("[<0>] 0xffffffffc0001234").base_name().empty());
static_assert(frame("[<ffffffffffffffff>] 0xffffffffffffffff").is_terminator() && frame("0xffffffffffffffff").is_terminator());
static_assert(frame("[<0>] 0xffffffff").is_terminator() && !frame("[<ffffffffffffffff>] f+0x1/0x2").is_terminator());

static_assert(frame("[<0>] f.llvm.1234567890+0x1/0x2").symbol == "f.llvm.1234567890" && frame("[<0>] f.llvm.1234567890+0x1/0x2").base_name() == "f");
static_assert(frame("poll_schedule_timeout.constprop.0+0x1/0x2").base_name() == "poll_schedule_timeout");
static_assert(frame("f.isra.0+0x1/0x2").base_name() == "f" && frame("f.part.12.constprop.0.cold+0x1/0x2").base_name() == "f");
static_assert(frame("f.lto_priv.0+0x1/0x2").base_name() == "f" && frame("f.localalias+0x1/0x2").base_name() == "f");
static_assert(frame(".sys_read+0x1/0x2").base_name() == ".sys_read", "PowerPC's functions begin with a dot");
static_assert(frame(".sys_read.isra.3+0x1/0x2").base_name() == ".sys_read");
static_assert(frame("bpf_prog_1_a.b+0x1/0x2").base_name() == "bpf_prog_1_a.b", "an unknown word is the name's own");
static_assert(frame("f.llvmish+0x1/0x2").base_name() == "f.llvmish" && frame("f.x.isra.0+0x1/0x2").base_name() == "f.x");

constexpr auto wait_6_1 = "[<0>] do_wait+0x160/0x2f0\n"
                          "[<0>] kernel_wait4+0xb4/0x160\n"
                          "[<0>] __do_sys_wait4+0xa2/0xb0\n"
                          "[<0>] do_syscall_64+0x5d/0x90\n"
                          "[<0>] entry_SYSCALL_64_after_hwframe+0x6e/0xd8\n"sv;
static_assert(pf::stack::parse(wait_6_1).value().frames.count() == 5);
static_assert((*pf::stack::parse(wait_6_1).value().frames.begin()).symbol == "do_wait");

constexpr auto wait_3_10 = "[<ffffffff8105ef12>] do_wait+0x1d2/0x240\n"
                           "[<ffffffffa0123456>] xfs_wait+0x16/0x100 [xfs]\n"
                           "[<ffffffffffffffff>] 0xffffffffffffffff\n"sv;
static_assert(gives(pf::stack::parse(wait_3_10).value().frames,
                    {frame("[<ffffffff8105ef12>] do_wait+0x1d2/0x240"), frame("[<ffffffffa0123456>] xfs_wait+0x16/0x100 [xfs]")}),
              "the terminator is no frame");
static_assert(pf::stack::parse("0xffffffffffffffff\n").value().frames.empty());
static_assert(pf::stack::parse("").value().frames.empty(), "on a CPU, or a zombie");

} // namespace

TEST_CASE("stack: a text cut within a line is truncated; behind one it is a shallower stack")
{
    tp::tests::check_every_beginning<pf::stack>(wait_6_1, ends_with_a_line);
    tp::tests::check_every_beginning<pf::stack>(wait_3_10, ends_with_a_line);
}

TEST_CASE("stack: damage anywhere is survived")
{
    tp::tests::check_every_damage<pf::stack>(wait_3_10);
    tp::tests::check_every_damage<pf::stack>("[<0>] ? f.isra.0+0x1/0x2 [m]\n");
}

TEST_CASE("stack: other texts are malformed")
{
    tp::tests::check_malformed<pf::stack>({
        {"\n", 0},
        {"[<0>]\n", 5},
        {"[<0>] f\n", 7},
        {"[<0>] +0x1/0x2\n", 6},
        {"[<0>] f+1/0x2\n", 8},
        {"[<0>] f+0x1\n", 11},
        {"[<0>] f+0x1/2\n", 12},
        {"[<0>] f+0x1/0x2[m]\n", 15},
        {"[<0>] f+0x1/0x2 [m\n", 18},
        {"[<0>] f+0x10000000000000000/0x2\n", 26},
        {"[<xyz>] f+0x1/0x2\n", 2},
        {"[<10000000000000000>] f+0x1/0x2\n", 18},
        {"[<0>] 0xffffg\n", 12},
        {"[<0>] good+0x1/0x2\nbad\n", 22},
    });
}

TEST_CASE("stack: 64 deep, the kernel's most, with a terminator amid")
{
    std::string text;
    for (int i = 0; i < 64; ++i) text += "[<0>] function_of_a_usual_length+0x" + std::to_string(i) + "/0x100\n";
    auto const decoded = pf::stack::parse(text);
    REQUIRE(decoded);
    CHECK(decoded.value().frames.count() == 64);
    CHECK(text.size() < pf::stack::typical_size);

    auto const amid = pf::stack::parse("[<0>] 0xffffffffffffffff\n[<0>] f+0x1/0x2\n");
    REQUIRE(amid);
    CHECK(amid.value().frames.count() == 2);
    CHECK((*amid.value().frames.begin()).is_terminator());
}

TEST_CASE("stack: its one field has the file's name")
{
    auto const stack = pf::stack::parse(wait_6_1).value();
    int fields = 0;
    pf::stack::each_field(stack, [&](std::string_view key, auto const& frames) {
        ++fields;
        CHECK(key == "stack");
        CHECK(frames.text() == wait_6_1);
    });
    CHECK(fields == 1);
}
