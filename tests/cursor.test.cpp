// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/cursor.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace text = taskpeek::text;

using namespace std::string_view_literals;

namespace {

// What reading a text with \p read gives: the value, or the failure.
template <class T>
struct outcome {
    bool ok;
    T value;
    tp::errc code;
    std::size_t offset;
    std::string_view rest;
};

template <class Read>
[[nodiscard]] constexpr auto read(std::string_view s, Read how)
{
    text::cursor in{s};
    auto const value = how(in);
    auto const failure = in.failure(tp::kernel_file::none);
    return outcome<std::remove_const_t<decltype(value)>>{in.ok(), value, failure.code, failure.offset, in.rest()};
}

template <class Int>
[[nodiscard]] constexpr auto decimal(std::string_view s) { return read(s, [](text::cursor& in) { return in.decimal<Int>(); }); }
template <class Int>
[[nodiscard]] constexpr auto hex(std::string_view s) { return read(s, [](text::cursor& in) { return in.hex<Int>(); }); }

template <class T>
[[nodiscard]] constexpr bool gives(outcome<T> const& o, T value, std::string_view rest)
{
    return o.ok && o.value == value && o.rest == rest;
}
template <class T>
[[nodiscard]] constexpr bool fails(outcome<T> const& o, tp::errc code, std::size_t offset)
{
    return !o.ok && o.value == T{} && o.code == code && o.offset == offset && o.rest.empty();
}
constexpr auto truncated = tp::errc::truncated;
constexpr auto malformed = tp::errc::malformed;

// Numbers to the ends of their types, and one past them.
static_assert(gives<std::int8_t>(decimal<std::int8_t>("-128,"), -128, ",") && gives<std::int8_t>(decimal<std::int8_t>("127"), 127, ""));
static_assert(fails(decimal<std::int8_t>("128 "), malformed, 0) && fails(decimal<std::int8_t>("-129 "), malformed, 0));
static_assert(gives<std::uint8_t>(decimal<std::uint8_t>("255 "), 255, " ") && fails(decimal<std::uint8_t>("256 "), malformed, 0));
static_assert(gives(decimal<std::int32_t>("-2147483648\n"), std::numeric_limits<std::int32_t>::min(), "\n"));
static_assert(gives(decimal<std::int32_t>("2147483647\n"), std::numeric_limits<std::int32_t>::max(), "\n"));
static_assert(fails(decimal<std::int32_t>("2147483648\n"), malformed, 0) && fails(decimal<std::int32_t>("-2147483649\n"), malformed, 0));
static_assert(gives(decimal<std::uint32_t>("4294967295 "), UINT32_MAX, " ") &&
              fails(decimal<std::uint32_t>("4294967296 "), malformed, 0));
static_assert(gives(decimal<std::int64_t>("-9223372036854775808 "), INT64_MIN, " "));
static_assert(gives(decimal<std::int64_t>("9223372036854775807 "), INT64_MAX, " "));
static_assert(fails(decimal<std::int64_t>("9223372036854775808 "), malformed, 0));
static_assert(fails(decimal<std::int64_t>("-9223372036854775809 "), malformed, 0));
static_assert(gives(decimal<std::uint64_t>("18446744073709551615 "), UINT64_MAX, " "));
static_assert(fails(decimal<std::uint64_t>("18446744073709551616 "), malformed, 19));
static_assert(fails(decimal<std::int64_t>("-18446744073709551616 "), malformed, 20));
static_assert(gives<std::int32_t>(decimal<std::int32_t>("-0"), 0, "") && gives<std::int32_t>(decimal<std::int32_t>("-1x"), -1, "x"));
static_assert(fails(decimal<std::uint64_t>("-1"), malformed, 0), "an unsigned number has no sign");
static_assert(fails(decimal<std::int64_t>("+1"), malformed, 0) && fails(decimal<std::int64_t>("--1"), malformed, 1));
static_assert(fails(decimal<std::int64_t>(""), truncated, 0) && fails(decimal<std::int64_t>("-"), truncated, 1));
static_assert(fails(decimal<std::uint64_t>(" 1"), malformed, 0) && fails(decimal<std::uint64_t>("a"), malformed, 0));
static_assert(fails(decimal<std::uint64_t>(": "), malformed, 0) && fails(decimal<std::uint64_t>("/ "), malformed, 0));

static_assert(gives<std::uint8_t>(hex<std::uint8_t>("ff:"), 255, ":") && fails(hex<std::uint8_t>("100:"), malformed, 0));
static_assert(gives(hex<std::uint32_t>("ffffffff"), UINT32_MAX, "") && fails(hex<std::uint32_t>("100000000"), malformed, 0));
static_assert(gives(hex<std::uint64_t>("ffffffffffffffff "), UINT64_MAX, " ") &&
              fails(hex<std::uint64_t>("10000000000000000 "), malformed, 16));

static_assert(fails(hex<std::uint64_t>("g"), malformed, 0) && fails(hex<std::uint64_t>(""), truncated, 0));

constexpr auto prefixed = [](text::cursor& in) { return in.prefixed_hex<std::uint64_t>(); };
static_assert(gives(read("0x2a,", prefixed), std::uint64_t{42}, ","));
static_assert(fails(read("2a", prefixed), malformed, 0) && fails(read("0X2a", prefixed), malformed, 1));
static_assert(fails(read("0x", prefixed), truncated, 2) && fails(read("0", prefixed), truncated, 1) &&
              fails(read("0xg", prefixed), malformed, 2));

constexpr auto octal = [](text::cursor& in) { return in.octal<std::uint32_t>(); };
static_assert(gives(read("0100002\n", octal), 0100002u, "\n") && fails(read("40000000000", octal), malformed, 0) &&
              fails(read("9", octal), malformed, 0));

// Fixed texts: the fault is at the first byte that differs.
constexpr auto expect_kb = [](text::cursor& in) { in.expect(" kB"); return 0; };
static_assert(gives(read(" kB\n", expect_kb), 0, "\n"));
static_assert(fails(read(" k", expect_kb), truncated, 2) && fails(read("", expect_kb), truncated, 0) &&
              fails(read(" KB", expect_kb), malformed, 1));

constexpr auto to_colon = [](text::cursor& in) { return in.until(':'); };
static_assert(gives(read("a:b", to_colon), "a"sv, "b") && gives(read(":", to_colon), ""sv, "") &&
              fails(read("ab", to_colon), truncated, 2));

constexpr auto one_line = [](text::cursor& in) { return in.line(); };
static_assert(gives(read("a b\nc", one_line), "a b"sv, "c") && fails(read("a b", one_line), truncated, 3));

constexpr auto next_line = [](text::cursor& in) { in.next_line(); return 0; };
static_assert(gives(read("\nc", next_line), 0, "c") && gives(read("x y\nc", next_line), 0, "c") &&
              fails(read("x", next_line), truncated, 1));

constexpr auto byte = [](text::cursor& in) { return in.byte(); };
static_assert(gives(read("xy", byte), 'x', "y") && fails(read("", byte), truncated, 0));

constexpr auto skips = [](text::cursor& in) { return in.skip('a') && in.skip("bc") && !in.skip("de") && !in.skip('d'); };
static_assert(gives(read("abcx", skips), true, "x") && gives(read("abc", skips), true, ""), "at the end nothing is next");

constexpr auto blanks = [](text::cursor& in) { in.skip_blanks(); in.skip_spaces(); return in.peek(); };
static_assert(gives(read(" \t \tx", blanks), 'x', "x") && gives(read("  ", blanks), '\0', ""));

// The first failure is the one that is remembered; whatever follows reads nothing.
constexpr auto two_faults = [](text::cursor& in) {
    in.expect("ab");
    auto const n = in.decimal<int>();
    in.expect('!');
    in.next_line();
    return n;
};
static_assert(fails(read("ax1!\n", two_faults), malformed, 1));
static_assert(fails(read("ab1?\n", [](text::cursor& in) { (void)two_faults(in); return 0; }), malformed, 3));

constexpr auto fail_behind = [](text::cursor& in) {
    auto const* const start = in.position();
    (void)in.decimal<int>();
    in.fail_at(start);
    in.fail();
    return 0;
};
static_assert(fails(read("12 34", fail_behind), malformed, 0));

// A text without memory is empty, not fine.
static_assert(fails(read(std::string_view{}, [](text::cursor& in) { return in.decimal<int>(); }), truncated, 0));
static_assert(fails(read(std::string_view{}, next_line), truncated, 0));
static_assert(text::cursor{{}}.ok() && text::cursor{{}}.at_end() && text::cursor{{}}.peek() == '\0');

} // namespace

TEST_CASE("cursor: a failure names the file that is asked for")
{
    text::cursor in{"x"};
    in.expect('y');
    REQUIRE_FALSE(in.ok());
    auto const failure = in.failure(tp::kernel_file::maps);
    CHECK(failure == tp::error{tp::errc::malformed, tp::kernel_file::maps, 0, {}, 0});
}

TEST_CASE("cursor: at run time, a text at a null pointer fails as an empty one does")
{
    std::string_view nothing;
    for (auto const s : {nothing, ""sv}) {
        text::cursor in{s};
        CHECK(in.ok());
        in.skip_spaces();
        in.skip_blanks();
        CHECK(in.rest().empty());
        CHECK_FALSE(in.skip("x"));
        (void)in.hex<std::uint64_t>();
        CHECK_FALSE(in.ok());
        CHECK(in.failure(tp::kernel_file::none).code == tp::errc::truncated);
    }
}
