// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/columns.hpp>

#include <cstdint>
#include <optional>
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
