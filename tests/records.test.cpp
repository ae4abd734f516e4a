// SPDX-License-Identifier: BSL-1.0

#include "in_pieces.hpp"
#include "kernel_text.hpp"

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/procfs/records.hpp>
#include <taskpeek/procfs/smaps.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/ref.hpp>
#include <range/v3/view/transform.hpp>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::in_pieces;

namespace {

constexpr auto three =
    "1000-2000 r--p 00000000 00:00 0 \n"
    "2000-4000 rw-p 00000000 00:00 0                                          [heap]\n"
    "5000-6000 r-xp 00000000 08:01 42                                         /bin/x\n"sv;

static_assert(ranges::input_range<pf::maps> && ranges::view_<pf::maps> && !ranges::forward_range<pf::maps>);
static_assert(std::semiregular<pf::maps> && std::semiregular<pf::smaps>);
static_assert(std::is_same_v<decltype(*std::declval<pf::maps&>().begin()), pf::vma const&>, "a row is lent");

// In a constant expression, from beginning to end.
static_assert([] {
    pf::maps table{three};
    std::uint64_t total = 0;
    for (auto const& v : table) total += v.size().count;
    return total == 0x4000 && table.status().has_value();
}());
static_assert([] {
    pf::maps table{"1000-2000 r--p 00000000 00:00 0 \n1000 x\n"};
    std::size_t rows = 0;
    for (auto const& v : table) rows += v.inode == 0;
    return rows == 1 && table.status().error().code == tp::errc::malformed && table.status().error().offset == 37;
}());

[[nodiscard]] std::vector<std::uint64_t> starts(pf::maps& table)
{
    std::vector<std::uint64_t> all;
    for (auto const& v : table) all.push_back(v.start.value);
    return all;
}

[[nodiscard]] std::string many_smaps(bool flags = true)
{
    std::string text;
    for (auto i = 1u; i <= 5; ++i) {
        pf::smap s;
        s.mapping.start = tp::address{i * 0x1000};
        s.mapping.end = tp::address{i * 0x1000 + 0x1000};
        s.mapping.path = i % 2 != 0 ? "/a  path " : "";
        s.size = tp::kibibytes{4};
        s.rss = tp::kibibytes{i};
        s.anonymous = tp::kibibytes{i}; // its key might begin an address
        s.file_pmd_mapped = tp::kibibytes{i};
        if (flags) s.vm_flags = pf::vm_flags{"rd wr"};
        text += tp::tests::smaps_entry(s);
        if (i == 2) text += "arm64_tags: 7\n";
        if (i == 3) text += "NewKey: behind the flags\n";
    }
    return text + "NewKey: at the end\n";
}

} // namespace

TEST_CASE("records: an error ends the range, and stays")
{
    pf::maps table{"1000-2000 r--p 00000000 00:00 0 \nnonsense\n3000-4000 r--p 00000000 00:00 0 \n"};
    CHECK(table.status()); // nothing has been read yet
    CHECK(starts(table) == std::vector<std::uint64_t>{0x1000});
    for (auto twice = 0; twice < 2; ++twice) {
        auto const status = table.status();
        REQUIRE_FALSE(status);
        CHECK(status.error() == tp::error{tp::errc::malformed, tp::kernel_file::maps, 0, {}, 33});
    }
}

TEST_CASE("records: a copy and a move are fresh, over the same text, whatever has been read and whether it failed")
{
    pf::maps table{three};
    auto at = table.begin();
    ++at;
    auto copy = table;
    CHECK(starts(copy) == std::vector<std::uint64_t>{0x1000, 0x2000, 0x5000});
    auto moved = std::move(table);
    CHECK(starts(moved) == std::vector<std::uint64_t>{0x1000, 0x2000, 0x5000});

    pf::maps broken{"x\n"};
    CHECK(starts(broken).empty());
    CHECK_FALSE(broken.status());
    auto mended = broken;
    CHECK(mended.status());

    broken = copy;
    CHECK(broken.status());
    CHECK(starts(broken) == std::vector<std::uint64_t>{0x1000, 0x2000, 0x5000});

    auto& self = broken;
    broken = self;
    CHECK(broken.status());

    pf::maps none;
    CHECK(starts(none).empty());
    CHECK(none.status());
}

TEST_CASE("records: filter and transform; ref_view keeps hold of the status")
{
    auto const writable = [](pf::vma const& v) { return v.perms.write; };
    auto const size = [](pf::vma const& v) { return v.size().count; };
    std::string const text = std::string{three} + "nonsense\n";

    pf::maps table{text};
    std::uint64_t total = 0;
    for (auto const bytes : table | ranges::views::filter(writable) | ranges::views::transform(size)) total += bytes;
    CHECK(total == 0x2000);
    CHECK(table.status()); // the pipeline ran on a copy

    total = 0;
    for (auto const bytes : ranges::ref_view(table) | ranges::views::filter(writable) | ranges::views::transform(size)) total += bytes;
    CHECK(total == 0x2000);
    REQUIRE_FALSE(table.status());
    CHECK(table.status().error().offset == three.size());
}

TEST_CASE("records: a text that comes in pieces of any size gives the same records and the same status")
{
    for (auto const& text : {many_smaps(), many_smaps(false), many_smaps(false) + "8", many_smaps() + "6000-7000 r--p 0000", many_smaps() + "7000-6000 r--p 00000000 00:00 0 \n"}) {
        auto const walk = [](auto&& table) {
            std::vector<std::string> rows;
            for (auto const& s : table) rows.push_back(tp::tests::smaps_entry(s));
            auto const status = table.status();
            return std::pair{rows, status ? tp::error{tp::errc{}, tp::kernel_file::none, 0, {}, 0} : status.error()};
        };
        auto const whole = walk(pf::smaps{text});
        CHECK(whole.first.size() == 5);
        for (std::size_t piece = 1; piece < text.size() + 2; piece += piece < 300 ? 1 : 37) {
            CAPTURE(piece);
            auto const pieces = walk(pf::records<pf::smap, in_pieces>{in_pieces{text, piece}});
            CHECK(pieces.first == whole.first);
            CHECK(pieces.second == whole.second);
        }
    }
}

TEST_CASE("records: a source that fails ends the range with its own reason")
{
    in_pieces::failed = false;
    pf::records<pf::vma, in_pieces> table{in_pieces{three, 40}};
    auto at = table.begin();
    CHECK(at->start == tp::address{0x1000});
    in_pieces::failed = true;
    ++at;
    CHECK(at == table.end());
    REQUIRE_FALSE(table.status());
    CHECK(table.status().error().code == tp::errc::denied);
    in_pieces::failed = false;
}
