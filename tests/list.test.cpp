// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/text/list.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/transform.hpp>

namespace tp = taskpeek;
namespace text = taskpeek::text;

using tp::tests::gives;

namespace {

using numbers = text::list<std::uint32_t>;

[[nodiscard]] constexpr std::optional<numbers> read(std::string_view s)
{
    text::cursor in{s};
    numbers list;
    read_value(in, list);
    if (!in.ok()) return std::nullopt;
    return list;
}

[[nodiscard]] constexpr bool fails(std::string_view s, tp::errc code, std::size_t offset)
{
    text::cursor in{s};
    numbers list;
    read_value(in, list);
    return !in.ok() && in.failure(tp::kernel_file::none).code == code && in.failure(tp::kernel_file::none).offset == offset &&
        list.empty();
}

static_assert(gives(*read("4 24 \n"), {4u, 24u}) && read("4 24 \nrest")->text() == "4 24 ");
static_assert(gives(*read("0\t1\t2\n"), {0u, 1u, 2u}) && gives(*read("1,2,3"), {1u, 2u, 3u}) && gives(*read("  7"), {7u}));
static_assert(read("")->empty() && read("\n")->empty() && read(" \n")->empty() && numbers{}.empty());
static_assert(gives(*read("4294967295"), {4294967295u}));

static_assert(fails("x", tp::errc::malformed, 0) && fails("1 x\n", tp::errc::malformed, 2) && fails("1x 2\n", tp::errc::malformed, 1));
static_assert(fails("1 4294967296\n", tp::errc::malformed, 2) && fails("1 -2\n", tp::errc::malformed, 2));

static_assert(ranges::forward_range<numbers const> && ranges::view_<numbers>);

// Multi-pass: two walks do not disturb each other.
static_assert([] {
    auto const list = *read("1 2 3");
    auto a = list.begin();
    auto b = a++;
    return *a == 2 && *b == 1 && a != b && ++b == a && list.begin() != a;
}());

} // namespace

TEST_CASE("list: 65,536 groups, as many as a task may have")
{
    std::string line;
    for (auto i = 0u; i < 65536; ++i) line += std::to_string(i * 65537) + " ";
    line += "\n";
    auto const list = read(line);
    REQUIRE(list);
    std::uint32_t n = 0;
    bool same = true;
    for (auto const number : *list) same = same && number == n++ * 65537;
    CHECK(same);
    CHECK(n == 65536);
}

TEST_CASE("list: goes through filter and transform")
{
    auto const list = *read("1 2 3 4 5 6");
    std::uint32_t sum = 0;
    auto const even = [](auto i) { return i % 2 == 0; };
    auto const tenfold = [](auto i) { return i * 10; };
    for (auto const n : list | ranges::views::filter(even) | ranges::views::transform(tenfold)) sum += n;
    CHECK(sum == 120);
}
