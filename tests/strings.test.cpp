// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/text/strings.hpp>

#include <string_view>

#include <range/v3/range/concepts.hpp>
#include <range/v3/view/transform.hpp>

namespace text = taskpeek::text;

using namespace std::string_view_literals;
using taskpeek::tests::gives;

namespace {

static_assert(gives(text::strings<>{"a\0bc\0"sv}, {"a"sv, "bc"sv}) && text::strings<>{"a\0bc\0"sv}.count() == 2);
static_assert(gives(text::strings<>{"a\0bc"sv}, {"a"sv, "bc"sv}), "the last NUL may be missing");
static_assert(gives(text::strings<>{"a\0\0b\0"sv}, {"a"sv, ""sv, "b"sv}), "an empty string is one");
static_assert(gives(text::strings<>{"\0"sv}, {""sv}) && gives(text::strings<>{"\0\0"sv}, {""sv, ""sv}));
static_assert(gives(text::strings<>{"a\0\0"sv}, {"a"sv, ""sv}));
static_assert(gives(text::strings<>{" a  b\n\xff"sv}, {" a  b\n\xff"sv}), "bytes are bytes");
static_assert(text::strings<>{}.empty() && text::strings<>{""sv}.empty() && text::strings<>{}.count() == 0 &&
              !text::strings<>{"\0"sv}.empty());
static_assert(text::strings<>{"a\0"sv}.text() == "a\0"sv);

struct sized {
    constexpr sized() = default;
    constexpr explicit sized(std::string_view s) : size{s.size()} {}
    std::size_t size = 0;
    friend constexpr bool operator==(sized, sized) = default;
};
static_assert(gives(text::strings<sized>{"a\0bc\0"sv}, {sized{"x"}, sized{"xx"}}));

static_assert(ranges::forward_range<text::strings<> const> && ranges::view_<text::strings<>>);

// Multi-pass: two walks do not disturb each other.
static_assert([] {
    text::strings<> const s{"1\0002\0003"sv};
    auto a = s.begin();
    auto b = a++;
    return *a == "2" && *b == "1" && a != b && ++b == a && s.begin() != a;
}());

} // namespace

TEST_CASE("strings: go through transform")
{
    auto const size_of = [](std::string_view s) { return s.size(); };
    std::size_t bytes = 0;
    for (auto const size : text::strings<>{"a\0bc\0\0"sv} | ranges::views::transform(size_of)) bytes += size;
    CHECK(bytes == 3);
}
