// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/smaps_rollup.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::kibibytes;

namespace {

constexpr auto linux_6_18 =
    "5581e9e5c000-7ffc1da0a000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                 101 kB\n"
    "Pss:                 102 kB\n"
    "Pss_Dirty:           103 kB\n"
    "Pss_Anon:            104 kB\n"
    "Pss_File:            105 kB\n"
    "Pss_Shmem:           106 kB\n"
    "Shared_Clean:        107 kB\n"
    "Shared_Dirty:        108 kB\n"
    "Private_Clean:       109 kB\n"
    "Private_Dirty:       110 kB\n"
    "Referenced:          111 kB\n"
    "Anonymous:           112 kB\n"
    "KSM:                 113 kB\n"
    "LazyFree:            114 kB\n"
    "AnonHugePages:       115 kB\n"
    "ShmemPmdMapped:      116 kB\n"
    "FilePmdMapped:       117 kB\n"
    "Shared_Hugetlb:      118 kB\n"
    "Private_Hugetlb:     119 kB\n"
    "Swap:                120 kB\n"
    "SwapPss:             121 kB\n"
    "Locked:              122 kB\n"sv;

constexpr auto linux_4_14 =
    "00400000-ffffffffff601000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                   8 kB\n"
    "Pss:                   7 kB\n"
    "Shared_Clean:          0 kB\n"
    "Locked:               11 kB\n"sv;

constexpr pf::smaps_rollup s = pf::smaps_rollup::parse(linux_6_18).value();
static_assert(s.span.start == tp::address{0x5581e9e5c000} && s.span.end == tp::address{0x7ffc1da0a000} && s.span.path == "[rollup]");
static_assert(s.span.has_special_name() && s.span.perms == pf::permissions{});
static_assert(s.rss == kibibytes{101} && s.pss == kibibytes{102} && s.pss_dirty == kibibytes{103});
static_assert(s.pss_anon == kibibytes{104} && s.pss_file == kibibytes{105} && s.pss_shmem == kibibytes{106});
static_assert(s.shared_clean == kibibytes{107} && s.shared_dirty == kibibytes{108});
static_assert(s.private_clean == kibibytes{109} && s.private_dirty == kibibytes{110});
static_assert(s.referenced == kibibytes{111} && s.anonymous == kibibytes{112} && s.ksm == kibibytes{113} && s.lazy_free == kibibytes{114});
static_assert(s.anon_huge_pages == kibibytes{115} && s.shmem_pmd_mapped == kibibytes{116} && s.file_pmd_mapped == kibibytes{117});
static_assert(s.shared_hugetlb == kibibytes{118} && s.private_hugetlb == kibibytes{119});
static_assert(s.swap == kibibytes{120} && s.swap_pss == kibibytes{121} && s.locked == kibibytes{122});

constexpr pf::smaps_rollup old = pf::smaps_rollup::parse(linux_4_14).value();
static_assert(old.rss == kibibytes{8} && old.pss == kibibytes{7} && old.shared_clean == kibibytes{0} && old.locked == kibibytes{11});
static_assert(!old.pss_dirty && !old.pss_anon && !old.pss_file && !old.pss_shmem && !old.ksm && !old.swap, "absent is not zero");

} // namespace

TEST_CASE("smaps_rollup: a text cut within a line is truncated")
{
    tp::tests::check_every_beginning<pf::smaps_rollup>(linux_6_18, [](std::string_view beginning) {
        return !beginning.empty() && beginning.back() == '\n';
    });
}

TEST_CASE("smaps_rollup: damage anywhere is survived, and errors stay within the text")
{
    tp::tests::check_every_damage<pf::smaps_rollup>(linux_4_14);
}

TEST_CASE("smaps_rollup: keys of kernels to come are passed over")
{
    auto text = std::string{linux_6_18};
    text.insert(text.find("Locked:"), "NewKey:               1 kB\nno colon\n");
    text += "Last: 1\n";
    auto const decoded = pf::smaps_rollup::parse(text);
    REQUIRE(decoded);
    CHECK(decoded.value().locked == kibibytes{122});
}

TEST_CASE("smaps_rollup: other texts are malformed")
{
    tp::tests::check_malformed<pf::smaps_rollup>({
        {"\n", 0},
        {"Rss:                 101 kB\n", 0},
        {"1000-2000 ---p 00000000 00:00 0 [rollup]\nRss:  x kB\n", 47},
        {"1000-2000 ---p 00000000 00:00 0 [rollup]\nRss:  18446744073709551616 kB\n", 66},
    });
}

TEST_CASE("smaps_rollup: each key is listed once, in the kernel's order")
{
    std::size_t at = 0;
    auto count = 0;
    pf::smaps_rollup::each_field(s, [&](std::string_view key, auto const& field) {
        auto const found = linux_6_18.find("\n" + std::string{key} + ":", at);
        CAPTURE(key);
        REQUIRE(found != std::string_view::npos);
        CHECK(field.has_value());
        at = found + 1;
        ++count;
    });
    CHECK(count == 22);
}
