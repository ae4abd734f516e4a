// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/cpu_set.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using tp::tests::gives;

namespace {

template <class T>
[[nodiscard]] constexpr T read(std::string_view text)
{
    tp::text::cursor in{text};
    T out;
    read_value(in, out);
    return in.ok() && (in.at_end() || in.peek() == '\n') ? out : T{};
}

template <class T>
[[nodiscard]] constexpr bool fails(std::string_view text)
{
    tp::text::cursor in{text};
    T out;
    read_value(in, out);
    return !in.ok();
}

// lib/vsprintf.c, bitmap_string
constexpr auto one = read<pf::cpu_mask>("1\n");
static_assert(one.has(0) && !one.has(1) && !one.has(4) && one.count() == 1);
constexpr auto wide = read<pf::cpu_mask>("80000000,00000000,0000000f\n");
static_assert(wide.has(0) && wide.has(3) && !wide.has(4) && !wide.has(31) && !wide.has(32) && !wide.has(63));
static_assert(wide.has(95) && !wide.has(94) && !wide.has(96) && !wide.has(UINT32_MAX) && wide.count() == 5);
static_assert(wide.text() == "80000000,00000000,0000000f");
constexpr auto odd_width = read<pf::cpu_mask>("f,ffffffff\n");
static_assert(odd_width.count() == 36 && odd_width.has(35) && !odd_width.has(36));
static_assert(pf::cpu_mask{}.count() == 0 && !pf::cpu_mask{}.has(0));
static_assert(fails<pf::cpu_mask>("\n") && fails<pf::cpu_mask>("") && fails<pf::cpu_mask>("ff,\n") && fails<pf::cpu_mask>(",ff\n"));
static_assert(fails<pf::cpu_mask>("100000000\n"), "a word has 32 bits");
static_assert(fails<pf::cpu_mask>("000000001\n"), "and eight digits");

// lib/vsprintf.c, bitmap_list_string
static_assert(gives(read<pf::cpu_list>("0\n"), {pf::cpu_range{0, 0}}));
static_assert(gives(read<pf::cpu_list>("0-3,8,10-11\n"), {pf::cpu_range{0, 3}, pf::cpu_range{8, 8}, pf::cpu_range{10, 11}}));
static_assert(read<pf::cpu_list>("\n").empty());
static_assert(contains(read<pf::cpu_list>("0-3,8\n"), 3) && contains(read<pf::cpu_list>("0-3,8\n"), 8));
static_assert(!contains(read<pf::cpu_list>("0-3,8\n"), 4) && !contains(read<pf::cpu_list>("\n"), 0));
static_assert(contains(read<pf::cpu_list>("0-4294967295\n"), UINT32_MAX));
static_assert(fails<pf::cpu_list>("3-1\n") && fails<pf::cpu_list>("1-\n") && fails<pf::cpu_list>("-1\n") && fails<pf::cpu_list>("0-4294967296\n"));
static_assert(fails<pf::cpu_list>("0;1\n") && fails<pf::cpu_list>("all\n"));

} // namespace

TEST_CASE("cpu_set: a mask of 8,192 CPUs")
{
    std::string text;
    for (int word = 255; word >= 0; --word) text += word % 2 == 0 ? "00000001," : "80000000,";
    text.back() = '\n';
    auto const mask = read<pf::cpu_mask>(text);
    CHECK(mask.count() == 256);
    for (std::uint32_t word = 0; word < 256; ++word) {
        CHECK(mask.has(32 * word) == (word % 2 == 0));
        CHECK(mask.has(32 * word + 31) == (word % 2 == 1));
        CHECK_FALSE(mask.has(32 * word + 15));
    }
    CHECK_FALSE(mask.has(8192));
}

TEST_CASE("cpu_set: the mask and the list of one set agree")
{
    auto const mask = read<pf::cpu_mask>("0000ff01,80000003\n");
    auto const list = read<pf::cpu_list>("0-1,31-32,40-47\n");
    for (std::uint32_t cpu = 0; cpu < 100; ++cpu) {
        CAPTURE(cpu);
        CHECK(mask.has(cpu) == contains(list, cpu));
    }
}
