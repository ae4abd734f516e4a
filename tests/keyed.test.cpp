// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/keyed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

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

namespace {

/// As `smaps` has it: numbers stand at column 16.
struct aligned_record {
    static constexpr std::size_t number_column = 16;
    std::optional<tp::kibibytes> rss;
    std::optional<tp::kibibytes> private_hugetlb;
    std::optional<tp::kibibytes> a_key_of_eighteen_;

    template <class Record, class Visitor>
    static constexpr void each_field(Record& r, Visitor&& visit) noexcept
    {
        visit("Rss", r.rss);
        visit("Private_Hugetlb", r.private_hugetlb);
        visit("A_Key_Of_Eighteen_", r.a_key_of_eighteen_);
    }
};

/// What a record's first line gives: its number, or where it failed, without the \p inserted bytes.
template <class Record, class Field>
[[nodiscard]] std::string first_line(std::string const& line, std::optional<Field> Record::*field, std::size_t inserted = 0)
{
    auto const all = line + "\nNext:\t1\nLast:\t                         2\n";
    Record r;
    auto const end = text::read_fields(text::cursor{all}, r);
    if (!end.ok()) return "failed at " + std::to_string(end.failure(tp::kernel_file::none).offset - inserted);
    if (!(r.*field)) return "absent";
    if constexpr (std::is_same_v<Field, tp::kibibytes>) return std::to_string((r.*field)->count);
    else return std::to_string(*(r.*field));
}

/// Damages \p line everywhere behind its colon. With a blank more there no value is read at once: both ways must give the same.
template <class Record, class Field>
void check_both_ways(std::string line, std::optional<Field> Record::*field)
{
    auto const behind_colon = line.find(':') + 1;
    auto const agree = [&](std::string const& text) {
        return first_line(text, field) == first_line(text.substr(0, behind_colon) + " " + text.substr(behind_colon), field, 1);
    };
    CHECK(agree(line));
    for (auto i = behind_colon; i < line.size(); ++i) {
        auto const was = line[i];
        for (int byte = 0; byte < 256; ++byte) {
            line[i] = static_cast<char>(byte);
            CAPTURE(line);
            REQUIRE(agree(line));
        }
        line[i] = was;
        REQUIRE(agree(line.substr(0, i) + line.substr(i + 1)));
    }
}

} // namespace

TEST_CASE("keyed: a number is the same, read at once or byte by byte")
{
    for (auto const* const number : {"0", "7", "12", "999999", "1234567", "12345678", "123456789", "4294967295", "4294967296"}) {
        check_both_ways(std::string{"Threads:\t"} + number, &record::threads);
        auto const columns = std::string(8 - std::min<std::size_t>(8, std::string_view{number}.size()), ' ') + number + " kB";
        check_both_ways("VmRSS:\t" + columns, &record::vm_rss);
        check_both_ways("Rss:            " + columns, &aligned_record::rss);
        check_both_ways("Private_Hugetlb:" + columns, &aligned_record::private_hugetlb);
        check_both_ways("A_Key_Of_Eighteen_: " + columns, &aligned_record::a_key_of_eighteen_);
    }
    CHECK(first_line("Rss:                  12 kB", &aligned_record::rss) == "12");
    CHECK(first_line("Threads:\t12", &record::threads) == "12");
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
