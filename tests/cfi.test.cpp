// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/stack/cfi.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace st = taskpeek::stack;
using kind = st::register_rule::kind;

namespace {

template <std::size_t N>
constexpr std::string_view text(char const (&bytes)[N]) { return {bytes, N - 1}; }

// gcc's usual CIE, without its length: "zR", code 1, data -8, RA 16, pointers pc-relative in 4 bytes; CFA = rsp + 8, RA at CFA - 8.
constexpr auto usual_cie = text("\x00\x00\x00\x00" "\x01" "zR\x00" "\x01\x78\x10" "\x01\x1b" "\x0c\x07\x08" "\x90\x01" "\x00\x00");
constexpr std::uint64_t cie_at = 0x1000;

[[nodiscard]] constexpr st::cie usual()
{
    st::cie c;
    (void)st::cie::parse(usual_cie, cie_at, c);
    return c;
}

/// The row at \p pc of a function at 0x2000 … 0x2100 with these instructions.
struct found { bool ok; st::cfi_row row; };
[[nodiscard]] constexpr found row_of(std::string_view instructions, std::uint64_t pc)
{
    found f{};
    st::fde function;
    function.begin = 0x2000;
    function.end = 0x2100;
    function.instructions = instructions;
    function.instructions_at = 0x3000;
    f.ok = st::find_row(usual(), function, pc, f.row);
    return f;
}

// push %rbp; mov %rsp, %rbp; …; leave; ret
constexpr auto framed = text("\x41\x0e\x10\x86\x02\x43\x0d\x06\x02\x40\x0a\xc6\x0c\x07\x08\x41\x0b");

static_assert(usual().return_address == 16 && usual().data_align == -8 && usual().pointer_encoding == 0x1b);
static_assert(row_of(framed, 0x2000).row.cfa.value == 8 && row_of(framed, 0x2000).row.cfa_register == 7);
static_assert(row_of(framed, 0x2001).row.cfa.value == 16, "an advance holds from its pc on");
static_assert(row_of(framed, 0x2010).row.cfa_register == 6 && row_of(framed, 0x2010).row.rules[6].value == -16);
static_assert(row_of(framed, 0x2044).row.cfa_register == 7 && row_of(framed, 0x2044).row.rules[6].how == kind::unchanged, "restored");
static_assert(row_of(framed, 0x2045).row.cfa_register == 6 && row_of(framed, 0x2045).row.rules[6].how == kind::at_cfa, "remembered");
static_assert(!row_of(framed, 0x2100).ok, "behind the function");
static_assert(!row_of(text("\x0b"), 0x2000).ok && !row_of(text("\x3f"), 0x2000).ok && !row_of(text("\x0e"), 0x2000).ok);

/// A stack of words from 0x7000 on.
struct words {
    std::array<std::uint64_t, 64> at{};
    constexpr bool operator()(std::uint64_t address, std::size_t size, std::uint64_t& value) const
    {
        if (address < 0x7000 || address >= 0x7000 + sizeof at || address % 8 != 0) return false;
        value = at[(address - 0x7000) / 8];
        if (size < 8) value &= (std::uint64_t{1} << 8 * size) - 1;
        return true;
    }
};

[[nodiscard]] constexpr st::registers some_registers()
{
    st::registers r{st::machine::x86_64};
    r.set(7, 0x7010);
    r.set(16, 0x2001);
    r.set(6, 0x7040);
    return r;
}

[[nodiscard]] constexpr st::expression_value value_of(std::string_view expression)
{
    words memory{};
    memory.at[2] = 0x1234567890abcdef;
    return st::evaluate(expression, some_registers(), true, 0x7010, memory);
}

constexpr auto no_expression = [](st::register_rule) { return std::string_view{}; };

} // namespace

TEST_CASE("cfi: a row with a frame pointer restores the caller")
{
    words memory{};
    memory.at[6] = 0x7100;   // 0x7030: the caller's rbp
    memory.at[7] = 0x401234; // 0x7038: the return address
    auto regs = some_registers();
    regs.set(6, 0x7030);
    regs.set(3, 77);
    regs.set(0, 5);
    auto const row = row_of(framed, 0x2010).row;
    auto const stepped = st::step(row, regs, memory, no_expression);
    REQUIRE(stepped.status == st::cfi_status::ok);
    CHECK(stepped.cfa == 0x7040);
    CHECK(regs.pc().value == 0x401234);
    CHECK(regs.sp().value == 0x7040);
    CHECK(regs[6] == 0x7100);
    CHECK(regs[3] == 77);
    CHECK_FALSE(regs.has(0)); // rax does not survive a call
}

TEST_CASE("cfi: what is missing is said, and nothing is made up")
{
    auto regs = some_registers();
    regs.forget(6);
    auto const before = regs;
    auto const row = row_of(framed, 0x2010).row;
    auto stepped = st::step(row, regs, words{}, no_expression);
    CHECK(stepped.status == st::cfi_status::missing_register);
    CHECK(stepped.missing == 6);
    CHECK(regs == before);

    regs.set(6, 0x9000);
    stepped = st::step(row, regs, words{}, no_expression);
    CHECK(stepped.status == st::cfi_status::unreadable);
    CHECK(stepped.at == 0x9008);
}

TEST_CASE("cfi: an undefined return address is the root")
{
    auto regs = some_registers();
    auto const root = row_of(text("\x07\x10"), 0x2000);
    REQUIRE(root.ok);
    CHECK(st::step(root.row, regs, words{}, no_expression).is_root);
}

TEST_CASE("cfi: every instruction that sets a rule sets it")
{
    struct { std::string_view instructions; unsigned reg; kind how; std::int32_t value; } const cases[] = {
        {text("\x83\x02"), 3, kind::at_cfa, -16},
        {text("\x05\x03\x02"), 3, kind::at_cfa, -16},
        {text("\x11\x03\x7e"), 3, kind::at_cfa, 16},
        {text("\x2f\x03\x02"), 3, kind::at_cfa, 16},
        {text("\x14\x03\x02"), 3, kind::is_cfa, -16},
        {text("\x15\x03\x7e"), 3, kind::is_cfa, 16},
        {text("\x07\x03"), 3, kind::undefined, 0},
        {text("\x08\x03"), 3, kind::same_value, 0},
        {text("\x09\x03\x0c"), 3, kind::in_register, 12},
        {text("\x10\x03\x01\x30"), 3, kind::at_expression, 3},
        {text("\x16\x03\x01\x30"), 3, kind::is_expression, 3},
        {text("\x83\x02\xc3"), 3, kind::unchanged, 0},
        {text("\x83\x02\x06\x03"), 3, kind::unchanged, 0},
        {text("\x2e\x10\x83\x02"), 3, kind::at_cfa, -16},
    };
    for (auto const& c : cases) {
        CAPTURE(c.instructions.size());
        auto const f = row_of(c.instructions, 0x2000);
        REQUIRE(f.ok);
        CHECK(f.row.rules[c.reg].how == c.how);
        CHECK(f.row.rules[c.reg].value == c.value);
    }
    CHECK(row_of(text("\x12\x06\x7e"), 0x2000).row.cfa.value == 16);
    CHECK(row_of(text("\x13\x7d"), 0x2000).row.cfa.value == 24);
    CHECK(row_of(text("\x0f\x01\x30"), 0x2000).row.cfa.how == kind::is_expression);
    CHECK(row_of(text("\x2d"), 0x2000).row.return_address_signed);
    CHECK_FALSE(row_of(text("\x2d\x41\x2d"), 0x2001).row.return_address_signed);
    for (auto const advance : {text("\x02\x10\x0e\x20"), text("\x03\x10\x00\x0e\x20"), text("\x04\x10\x00\x00\x00\x0e\x20"), text("\x50\x0e\x20")}) {
        CHECK(row_of(advance, 0x200f).row.cfa.value == 8);
        CHECK(row_of(advance, 0x2010).row.cfa.value == 32);
    }
    CHECK(row_of(text("\x80\xff\xff\xff\xff\xff\x1f"), 0x2000).ok == false); // no such offset
    CHECK(row_of(text("\x05\x7f\x01"), 0x2000).ok); // a vector register: no business of ours
}

TEST_CASE("cfi: expressions compute what DWARF says")
{
    struct { std::string_view expression; std::uint64_t value; } const cases[] = {
        {text("\x35"), 5}, {text("\x08\xff"), 0xff}, {text("\x09\xff"), UINT64_MAX}, {text("\x0a\x01\x02"), 0x201}, {text("\x0b\xff\xff"), UINT64_MAX},
        {text("\x0c\x01\x00\x00\x80"), 0x80000001}, {text("\x0d\xff\xff\xff\xff"), UINT64_MAX}, {text("\x0e\x01\x00\x00\x00\x00\x00\x00\x80"), 0x8000000000000001},
        {text("\x10\x80\x01"), 128}, {text("\x11\x7f"), UINT64_MAX}, {text("\x03\x02\x00\x00\x00\x00\x00\x00\x00"), 2},
        {text("\x77\x08"), 0x7018}, {text("\x92\x06\x00"), 0x7040}, {text("\x06"), 0x1234567890abcdef}, {text("\x94\x02"), 0xcdef},
        {text("\x32\x33\x12\x22"), 6}, {text("\x32\x33\x13"), 2}, {text("\x32\x33\x14"), 2}, {text("\x32\x33\x15\x01"), 2}, {text("\x32\x33\x16"), 2},
        {text("\x31\x32\x33\x17"), 2}, {text("\x11\x7d\x19"), 3}, {text("\x36\x33\x1a"), 2}, {text("\x36\x33\x1b"), 2}, {text("\x11\x7a\x33\x1b"), static_cast<std::uint64_t>(-2)},
        {text("\x36\x32\x1c"), 4}, {text("\x37\x33\x1d"), 1}, {text("\x36\x33\x1e"), 18}, {text("\x31\x1f"), UINT64_MAX}, {text("\x30\x20"), UINT64_MAX},
        {text("\x34\x33\x21"), 7}, {text("\x34\x33\x22"), 7}, {text("\x34\x23\x03"), 7}, {text("\x34\x33\x24"), 32}, {text("\x34\x31\x25"), 2},
        {text("\x11\x7c\x31\x26"), static_cast<std::uint64_t>(-2)}, {text("\x36\x33\x27"), 5}, {text("\x31\x08\x50\x24"), 0},
        {text("\x33\x33\x29"), 1}, {text("\x33\x32\x2a"), 1}, {text("\x33\x32\x2b"), 1}, {text("\x33\x32\x2c"), 0}, {text("\x33\x32\x2d"), 0}, {text("\x33\x32\x2e"), 1},
        {text("\x31\x28\x01\x00\x32\x33"), 3}, {text("\x30\x28\x01\x00\x32\x96"), 2}, {text("\x35\x2f\x01\x00\x36"), 5},
        // the PLT's: CFA = rsp + 8 + ((rip & 15) >= 11) * 8
        {text("\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"), 0x7018},
    };
    for (auto const& c : cases) {
        CAPTURE(static_cast<int>(c.expression.front()));
        auto const v = value_of(c.expression);
        CHECK(v.status == st::cfi_status::ok);
        CHECK(v.value == c.value);
    }
}

TEST_CASE("cfi: an expression that loops, overflows, divides by nothing or asks for what is not there ends")
{
    for (auto const bad : {text("\x2f\xfd\xff"), text("\x12\x2f\xfc\xff"), text("\x30\x30\x1b"), text("\x30\x30\x1d"), text("\x13\x13"), text("\x15\x09"),
                           text("\x2f\x10\x00"), text("\x9c"), text("\x50"), text("\x92\x40\x00"), text("\x94\x00"), text("\x94\x09"), text("\x0e\x01"),
                           text("\x13"), text("\x16"), text("\x0e\x00\x00\x00\x00\x00\x00\x00\x80\x11\x7f\x1b")}) {
        CAPTURE(bad.size());
        CHECK(value_of(bad).status == st::cfi_status::malformed);
    }
    CHECK(value_of(text("\x30\x06")).status == st::cfi_status::unreadable);
    auto const missing = value_of(text("\x7c\x00")); // r12
    CHECK(missing.status == st::cfi_status::missing_register);
    CHECK(missing.missing == 12);
}

TEST_CASE("cfi: entries cut at any byte, or changed at random, are refused or give a row, and no more work than they have bytes")
{
    std::string const entry{usual_cie};
    for (std::size_t size = 0; size < 13; ++size) { // up to its augmentation's data
        st::cie c;
        CHECK_FALSE(st::cie::parse(std::string_view{entry}.substr(0, size), cie_at, c));
    }
    std::mt19937 random{20230501};
    unsigned rows = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        std::string shared{usual_cie};
        std::string function = std::string{"\x14\x00\x00\x00" "\x00\x10\x00\x00" "\x00\x01\x00\x00" "\x00", 13} + std::string{framed};
        for (unsigned n = random() % 4; n-- > 0;) shared[random() % shared.size()] = static_cast<char>(random());
        for (unsigned n = random() % 4; n-- > 0;) function[random() % function.size()] = static_cast<char>(random());
        shared.resize(shared.size() - random() % 3);
        function.resize(function.size() - random() % 6);
        st::cie c;
        st::fde f;
        st::cfi_row row;
        if (!st::cie::parse(shared, cie_at, c) || !st::fde::parse(function, 0x3000, c, f)) continue;
        if (!st::find_row(c, f, f.begin + random() % 256, row)) continue;
        ++rows;
        auto regs = some_registers();
        (void)st::step(row, regs, words{}, [&](st::register_rule r) {
            auto const from = row.expressions - f.instructions_at + static_cast<std::uint64_t>(std::int64_t{r.value});
            return from < f.instructions.size() ? f.instructions.substr(static_cast<std::size_t>(from), r.size) : std::string_view{};
        });
    }
    CHECK(rows > 1000); // the changes are small enough to get through
}

TEST_CASE("cfi: on aarch64 a signed return address loses its code, and LR is not taken for the caller's")
{
    st::cie c;
    REQUIRE(st::cie::parse(text("\x00\x00\x00\x00" "\x01" "zRB\x00" "\x04\x78\x1e" "\x01\x1b" "\x0c\x1f\x00"), cie_at, c));
    CHECK(c.return_address == 30);
    st::fde f;
    f.begin = 0x2000;
    f.end = 0x2100;
    f.instructions = text("\x41\x2d\x41\x0e\x20\x9d\x04\x9e\x03"); // paciasp; stp x29, x30, [sp, #-32]!
    st::cfi_row row;
    REQUIRE(st::find_row(c, f, 0x2010, row));
    words memory{};
    memory.at[2] = 0x7100;
    memory.at[3] = 0x2b0d'0000'0040'1234;
    st::registers regs{st::machine::aarch64};
    regs.set(31, 0x7010);
    regs.set(30, 0x9999);
    regs.set(19, 19);
    regs.set(32, 0x2010);
    REQUIRE(st::step(row, regs, memory, no_expression).status == st::cfi_status::ok);
    CHECK(regs.pc().value == 0x401234);
    CHECK(regs.sp().value == 0x7030);
    CHECK(regs[29] == 0x7100);
    CHECK(regs[19] == 19);
    CHECK_FALSE(regs.has(30));

    // A leaf, in a function that says nothing of LR: it is what the register holds.
    REQUIRE(st::find_row(c, f, 0x2000, row));
    st::registers leaf{st::machine::aarch64};
    leaf.set(31, 0x7010);
    leaf.set(30, 0x401111);
    REQUIRE(st::step(row, leaf, memory, no_expression).status == st::cfi_status::ok);
    CHECK(leaf.pc().value == 0x401111);
    st::registers unknown{st::machine::aarch64};
    unknown.set(31, 0x7010);
    CHECK(st::step(row, unknown, memory, no_expression).status == st::cfi_status::missing_register);
}
