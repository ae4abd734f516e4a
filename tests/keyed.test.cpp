// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/keyed.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace text = taskpeek::text;

using namespace std::string_view_literals;

namespace {

struct record {
    std::optional<std::string_view> name;
    std::optional<std::uint32_t> threads;
    std::optional<tp::kibibytes> vm_rss;
    std::optional<tp::kibibytes> vm_rss_peak;
    int visits = 0;

    template <class Record, class Visitor>
    static constexpr void each_field(Record& r, Visitor&& visit) noexcept
    {
        ++r.visits;
        visit("Name", r.name);
        visit("Threads", r.threads);
        visit("VmRSS", r.vm_rss);
        visit("VmRSSPeak", r.vm_rss_peak);
    }
};

struct outcome {
    record fields;
    text::cursor end;
};

[[nodiscard]] constexpr outcome read(std::string_view s)
{
    record r;
    auto const end = text::read_fields(text::cursor{s}, r);
    return {r, end};
}

[[nodiscard]] constexpr bool fails(std::string_view s, tp::errc code, std::size_t offset)
{
    auto const o = read(s);
    return !o.end.ok() && o.end.failure(tp::kernel_file::none).code == code && o.end.failure(tp::kernel_file::none).offset == offset;
}

constexpr auto in_order = read("Name:\tx\nThreads:\t2\nVmRSS:\t      12 kB\nVmRSSPeak:\t      34 kB\n");
static_assert(in_order.end.ok() && in_order.end.at_end());
static_assert(in_order.fields.name == "x" && in_order.fields.threads == 2u);
static_assert(in_order.fields.vm_rss == tp::kibibytes{12} && in_order.fields.vm_rss_peak == tp::kibibytes{34});
static_assert(in_order.fields.visits == 1, "one pass over the list reads a text in the kernel's order");

constexpr auto out_of_order = read("VmRSSPeak:\t      34 kB\nVmRSS:\t      12 kB\nThreads:\t2\nName:\tx\n");
static_assert(out_of_order.end.ok());
static_assert(out_of_order.fields.name == "x" && out_of_order.fields.threads == 2u);
static_assert(out_of_order.fields.vm_rss == tp::kibibytes{12} && out_of_order.fields.vm_rss_peak == tp::kibibytes{34});

// What is not there is absent; what is not known is passed over, with a colon or without.
constexpr auto strangers = read("New:\t1\nThreadz:\tx\nno colon here\nVmRSSNew:\t5 kB\n\nThreads:\t3\nThreadsNew:\t4\n: \nLast\n");
static_assert(strangers.end.ok() && strangers.end.at_end());
static_assert(strangers.fields.threads == 3u && !strangers.fields.name && !strangers.fields.vm_rss);
static_assert(read("").end.ok() && read({}).end.ok() && !read("").fields.name);

// What later kernels append to a line is passed over.
static_assert(read("Threads:\t3 of 9\nName:\tx\n").fields.threads == 3u && read("Threads:\t3 of 9\nName:\tx\n").fields.name == "x");

// A text's own blanks stay: only the separator goes.
static_assert(read("Name:\t a  b \n").fields.name == " a  b " && read("Name: x\n").fields.name == "x" &&
              read("Name:\t\t\n").fields.name == "\t");
static_assert(read("Name:\t\n").fields.name == "" && read("Name:\n").fields.name == "");

// The blanks before a number vary.
static_assert(read("Threads:3\n").fields.threads == 3u && read("Threads: \t  3\n").fields.threads == 3u);

// A known key with a value of another form.
static_assert(fails("Threads:\tx\n", tp::errc::malformed, 9));
static_assert(fails("Name:\tx\nThreads:\t\n", tp::errc::malformed, 17));
static_assert(fails("VmRSS:\t12 mB\n", tp::errc::malformed, 10));
static_assert(fails("Threads:\t4294967296\n", tp::errc::malformed, 9));
static_assert(fails("Threads:\t3x\n", tp::errc::malformed, 10), "other bytes on the heels of a value belong to it");

// Only the kernel's last newline makes a text whole.
static_assert(fails("Threads:\t3", tp::errc::truncated, 10) && fails("Threads:", tp::errc::truncated, 8) &&
              fails("Thre", tp::errc::truncated, 4));
static_assert(fails("New:\t1\nunknown", tp::errc::truncated, 14));

// A line that is another record's ends the reading.
constexpr auto until_digit = [] {
    record r;
    auto const end = text::read_fields(text::cursor{"Threads:\t3\nNew:\t1\n7 next\nName:\tx\n"}, r,
        [](text::cursor const& at) { return at.peek() == '7'; });
    return outcome{r, end};
}();
static_assert(until_digit.end.ok() && until_digit.end.rest() == "7 next\nName:\tx\n" && until_digit.fields.threads == 3u &&
              !until_digit.fields.name);

} // namespace

TEST_CASE("keyed: of a key that stands twice, the last counts")
{
    auto const o = read("Threads:\t1\nThreads:\t2\n");
    REQUIRE(o.end.ok());
    CHECK(o.fields.threads == 2u);
}

TEST_CASE("keyed: many unknown lines cost one look each")
{
    std::string many = "Threads:\t5\n";
    for (auto i = 0; i < 1000; ++i) many += "Key" + std::to_string(i) + ":\t" + std::to_string(i) + "\n";
    auto const o = read(many);
    REQUIRE(o.end.ok());
    CHECK(o.fields.threads == 5u);
    CHECK(o.fields.visits == 1001);
}
