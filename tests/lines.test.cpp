// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/text/lines.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/transform.hpp>

namespace tp = taskpeek;
namespace text = taskpeek::text;

using tp::tests::gives;

namespace {

struct pair_row {
    std::uint32_t left = 0, right = 0;
    friend constexpr bool operator==(pair_row, pair_row) = default;
};
constexpr void read_value(text::cursor& in, pair_row& out) noexcept
{
    out.left = in.decimal<std::uint32_t>();
    in.expect('=');
    out.right = in.decimal<std::uint32_t>();
}

struct keyed_row {
    static constexpr std::string_view key = "k:";
    std::uint32_t value = 0;
    friend constexpr bool operator==(keyed_row, keyed_row) = default;
};
constexpr void read_value(text::cursor& in, keyed_row& out) noexcept
{
    in.expect("k:");
    out.value = in.decimal<std::uint32_t>();
}

template <class Row>
[[nodiscard]] constexpr std::optional<text::lines<Row>> read(std::string_view s)
{
    text::cursor in{s};
    text::lines<Row> rows;
    text::read_lines(in, rows);
    if (!in.ok()) return std::nullopt;
    return rows;
}

template <class Row>
[[nodiscard]] constexpr bool fails(std::string_view s, tp::errc code, std::size_t offset)
{
    text::cursor in{s};
    text::lines<Row> rows;
    text::read_lines(in, rows);
    return !in.ok() && in.failure(tp::kernel_file::none).code == code && in.failure(tp::kernel_file::none).offset == offset &&
        rows.empty();
}

static_assert(gives(*read<pair_row>("1=2\n3=4\n"), {pair_row{1, 2}, pair_row{3, 4}}) && read<pair_row>("1=2\n3=4\n")->count() == 2);
static_assert(gives(*read<pair_row>("1=2 more\n"), {pair_row{1, 2}}), "a row may leave the end of its line unread");
static_assert(read<pair_row>("")->empty() && read<pair_row>({})->empty() && text::lines<pair_row>{}.empty());

static_assert(fails<pair_row>("1=2\n3=", tp::errc::truncated, 6), "a line without a newline has been cut, whatever it holds");
static_assert(fails<pair_row>("1=2\n3=4", tp::errc::truncated, 7));
static_assert(fails<pair_row>("1=2\n3=\n", tp::errc::malformed, 6) && fails<pair_row>("1=2\n\n", tp::errc::malformed, 4));
static_assert(fails<pair_row>("x\n1=2\n", tp::errc::malformed, 0));

// Of rows with a key, other lines are none.
static_assert(gives(*read<keyed_row>("a\nk:1\n\nk:2\nkk\nk\n"), {keyed_row{1}, keyed_row{2}}) &&
              read<keyed_row>("a\nk:1\n\nk:2\nkk\nk\n")->count() == 2);
static_assert(read<keyed_row>("a\nb\n")->empty() && read<keyed_row>("")->empty());
static_assert(fails<keyed_row>("a\nk:x\n", tp::errc::malformed, 4) && fails<keyed_row>("k:1\nb", tp::errc::truncated, 5));

static_assert(ranges::forward_range<text::lines<pair_row> const> && ranges::view_<text::lines<pair_row>>);

// Multi-pass: two walks do not disturb each other.
static_assert([] {
    auto const rows = *read<keyed_row>("k:1\nx\nk:2\n");
    auto a = rows.begin();
    auto b = a++;
    return (*a).value == 2 && (*b).value == 1 && a != b && ++b == a && ++a == rows.end();
}());

} // namespace

TEST_CASE("lines: go through filter and transform")
{
    auto const rows = *read<pair_row>("1=10\n2=20\n3=30\n");
    std::uint32_t sum = 0;
    auto const wanted = [](pair_row r) { return r.left != 2; };
    auto const right_of = [](pair_row r) { return r.right; }; // &pair_row::right would refer into a row that is gone
    for (auto const right : rows | ranges::views::filter(wanted) | ranges::views::transform(right_of)) sum += right;
    CHECK(sum == 40);
}
