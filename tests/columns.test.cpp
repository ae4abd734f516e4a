// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/columns.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace text = taskpeek::text;

namespace {

struct record {
    tp::pages size;
    std::int32_t balance = 0;

    template <class Record, class Visitor>
    static constexpr void each_field(Record& r, Visitor&& visit) noexcept
    {
        visit("size", r.size);
        visit("balance", r.balance);
    }
};

struct outcome {
    record fields;
    text::cursor end;
};

[[nodiscard]] constexpr outcome read(std::string_view s)
{
    outcome o{{}, text::cursor{s}};
    text::read_columns(o.end, o.fields);
    return o;
}

[[nodiscard]] constexpr bool fails(std::string_view s, tp::errc code, std::size_t offset)
{
    auto const o = read(s);
    return !o.end.ok() && o.end.failure(tp::kernel_file::none).code == code && o.end.failure(tp::kernel_file::none).offset == offset;
}

static_assert(read("1 -2\n").end.ok() && read("1 -2\n").fields.size == tp::pages{1} && read("1 -2\n").fields.balance == -2);
static_assert(read("1 -2 3 new\n").end.ok() && read("1 -2\nx").end.rest() == "x",
              "what is appended is passed over, up to the line's end");

static_assert(fails("", tp::errc::truncated, 0) && fails({}, tp::errc::truncated, 0));
static_assert(fails("1", tp::errc::truncated, 1) && fails("1 ", tp::errc::truncated, 2) && fails("1 -", tp::errc::truncated, 3));
static_assert(fails("1 -2", tp::errc::truncated, 4), "the number may have been longer");
static_assert(fails("1 -2 3", tp::errc::truncated, 6));
static_assert(fails("1\n", tp::errc::malformed, 1) && fails("1  2\n", tp::errc::malformed, 2) && fails("1\t2\n", tp::errc::malformed, 1));
static_assert(fails("1 2x\n", tp::errc::malformed, 3) && fails(" 1 2\n", tp::errc::malformed, 0) &&
              fails("-1 2\n", tp::errc::malformed, 0));

} // namespace

TEST_CASE("columns: the record keeps what was read before the fault")
{
    auto const o = read("7 x\n");
    CHECK_FALSE(o.end.ok());
    CHECK(o.fields.size == tp::pages{7});
}

namespace {

// Numbers with a text before them, as `stat` has it, and memory of exactly their size.
template <std::size_t Count>
[[nodiscard]] bool scans(std::string const& numbers, text::numbers<Count>& into)
{
    auto const all = std::string(64, ' ') + numbers + "\n";
    auto const copy = std::make_unique<char[]>(all.size());
    all.copy(copy.get(), all.size());
    return into.scan(copy.get() + 64, copy.get() + all.size() - 1);
}

} // namespace

TEST_CASE("columns: numbers scanned at once are those of the text, wherever they lie in its blocks")
{
    for (std::size_t longer = 1; longer <= 20; ++longer) {
        // a number of so many digits among short ones, so that it comes to lie across the ends of blocks
        auto const large = std::string("18446744073709551615").substr(0, longer);
        for (std::size_t place = 0; place < 30; ++place) {
            std::string line;
            for (std::size_t i = 0; i < 40; ++i) line += (i == 0 ? "" : " ") + (i == place ? large : std::to_string(i % 12));
            CAPTURE(line);
            text::numbers<40> n;
            REQUIRE(scans(line, n));
            for (std::size_t i = 0; i < 40; ++i) CHECK(n.decimal<std::uint64_t>() == (i == place ? std::stoull(large) : i % 12));
            CHECK(n.ok());
        }
    }
}

TEST_CASE("columns: numbers scanned at once fit their types, or not")
{
    auto const fits = [](std::string const& number, auto type) {
        text::numbers<2> n;
        REQUIRE(scans(number + " 0", n));
        auto const value = n.decimal<decltype(type)>();
        return n.ok() && std::to_string(value) == number;
    };
    for (auto const* const number : {"0", "2147483647", "-2147483648", "-1"}) CHECK(fits(number, std::int32_t{}));
    for (auto const* const number : {"2147483648", "-2147483649", "4294967295", "18446744073709551615"}) CHECK(!fits(number, std::int32_t{}));
    for (auto const* const number : {"0", "4294967295"}) CHECK(fits(number, std::uint32_t{}));
    for (auto const* const number : {"4294967296", "-1", "-0", "18446744073709551615"}) CHECK(!fits(number, std::uint32_t{}));
    for (auto const* const number : {"0", "-1", "9223372036854775807", "-9223372036854775808"}) CHECK(fits(number, std::int64_t{}));
    for (auto const* const number : {"9223372036854775808", "-9223372036854775809", "18446744073709551615", "-18446744073709551615"})
        CHECK(!fits(number, std::int64_t{}));
    for (auto const* const number : {"0", "18446744073709551615"}) CHECK(fits(number, std::uint64_t{}));
    for (auto const* const number : {"-1", "-18446744073709551615"}) CHECK(!fits(number, std::uint64_t{}));
}

TEST_CASE("columns: what is not numbers with one blank between is not scanned at once")
{
    for (auto const* const line : {"", "1", "1 ", " 1 2", "1  2", "1 2 ", "1 2 3", "1 x", "1 -", "- 1", "1 --2", "1 2-", "1 2-3", "1\t2", "+1 2",
                                   "1 18446744073709551616", "1 99999999999999999999", "1 111111111111111111111", "1 2\n"}) {
        CAPTURE(line);
        text::numbers<2> n;
        CHECK(!scans(line, n));
    }
}
