// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"
#include "kernel_text.hpp"

#include <taskpeek/procfs/smaps.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::kibibytes;

namespace {

constexpr auto linux_3_10 =
    "00400000-0040b000 r-xp 00000000 08:01 655382                             /bin/cat\n"
    "Size:                 44 kB\n"
    "Rss:                   8 kB\n"
    "Pss:                   7 kB\n"
    "Shared_Clean:          1 kB\n"
    "Shared_Dirty:          2 kB\n"
    "Private_Clean:         3 kB\n"
    "Private_Dirty:         4 kB\n"
    "Referenced:            5 kB\n"
    "Anonymous:             6 kB\n"
    "AnonHugePages:         9 kB\n"
    "Swap:                 10 kB\n"
    "KernelPageSize:        4 kB\n"
    "MMUPageSize:          16 kB\n"
    "Locked:               11 kB\n"
    "Nonlinear:            12 kB\n"
    "VmFlags: rd ex mr mw me dw nl \n"sv;

constexpr auto linux_4_4 =
    "7ffc1d9e9000-7ffc1da0a000 rw-p 00000000 00:00 0                          [stack]\n"
    "Size:                136 kB\n"
    "Rss:                  16 kB\n"
    "Pss:                  15 kB\n"
    "Shared_Clean:          0 kB\n"
    "Shared_Dirty:          0 kB\n"
    "Private_Clean:         0 kB\n"
    "Private_Dirty:        14 kB\n"
    "Referenced:           13 kB\n"
    "Anonymous:            12 kB\n"
    "AnonHugePages:         0 kB\n"
    "Shared_Hugetlb:        1 kB\n"
    "Private_Hugetlb:       2 kB\n"
    "Swap:                  3 kB\n"
    "SwapPss:               5 kB\n"
    "KernelPageSize:        4 kB\n"
    "MMUPageSize:           4 kB\n"
    "Locked:                6 kB\n"
    "VmFlags: rd wr mr mw me gd ac ?? \n"sv;

constexpr auto linux_6_1 =
    "7f6ba7000000-7f6ba7200000 rw-s 00001000 00:01 1029                       /memfd:buffer (deleted)\n"
    "Size:               2048 kB\n"
    "KernelPageSize:        4 kB\n"
    "MMUPageSize:           4 kB\n"
    "Rss:                1024 kB\n"
    "Pss:                 512 kB\n"
    "Pss_Dirty:           256 kB\n"
    "Shared_Clean:          0 kB\n"
    "Shared_Dirty:       1024 kB\n"
    "Private_Clean:         0 kB\n"
    "Private_Dirty:         0 kB\n"
    "Referenced:         1024 kB\n"
    "Anonymous:             0 kB\n"
    "LazyFree:              7 kB\n"
    "AnonHugePages:         0 kB\n"
    "ShmemPmdMapped:        8 kB\n"
    "FilePmdMapped:         9 kB\n"
    "Shared_Hugetlb:        0 kB\n"
    "Private_Hugetlb:       0 kB\n"
    "Swap:                  0 kB\n"
    "SwapPss:               0 kB\n"
    "Locked:                0 kB\n"
    "THPeligible:    0\n"
    "VmFlags: rd wr sh mr mw me ms sd \n"sv;

// Each field has a value of its own, so that no two can be mixed up.
constexpr auto linux_6_18 =
    "5581e9e5c000-5581e9e7d000 rw-p 00000000 00:00 0                          [heap]\n"
    "Size:                101 kB\n"
    "KernelPageSize:      102 kB\n"
    "MMUPageSize:         103 kB\n"
    "Rss:                 104 kB\n"
    "Pss:                 105 kB\n"
    "Pss_Dirty:           106 kB\n"
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
    "Locked:              122 kB\n"
    "THPeligible:           1\n"
    "ProtectionKey:        15\n"
    "VmFlags: rd wr mr mw me ac sd \n"sv;

// The first vma of a text, while the row that is lent still stands.
[[nodiscard]] constexpr pf::smap first(std::string_view text)
{
    pf::smaps table{text};
    return *table.begin();
}

constexpr pf::smap s = first(linux_6_18);
static_assert(s.mapping.start == tp::address{0x5581e9e5c000} && s.mapping.path == "[heap]");
static_assert(s.size == kibibytes{101} && s.kernel_page_size == kibibytes{102} && s.mmu_page_size == kibibytes{103});
static_assert(s.rss == kibibytes{104} && s.pss == kibibytes{105} && s.pss_dirty == kibibytes{106});
static_assert(s.shared_clean == kibibytes{107} && s.shared_dirty == kibibytes{108});
static_assert(s.private_clean == kibibytes{109} && s.private_dirty == kibibytes{110});
static_assert(s.referenced == kibibytes{111} && s.anonymous == kibibytes{112} && s.ksm == kibibytes{113} &&
              s.lazy_free == kibibytes{114});
static_assert(s.anon_huge_pages == kibibytes{115} && s.shmem_pmd_mapped == kibibytes{116} && s.file_pmd_mapped == kibibytes{117});
static_assert(s.shared_hugetlb == kibibytes{118} && s.private_hugetlb == kibibytes{119});
static_assert(s.swap == kibibytes{120} && s.swap_pss == kibibytes{121} && s.locked == kibibytes{122});
static_assert(s.thp_eligible == true && s.protection_key == 15u && s.vm_flags->text() == "rd wr mr mw me ac sd" && !s.nonlinear);

constexpr pf::smap old = first(linux_3_10);
static_assert(old.mapping.path == "/bin/cat");
static_assert(old.size == kibibytes{44} && old.rss == kibibytes{8} && old.pss == kibibytes{7} && old.anonymous == kibibytes{6});
static_assert(old.kernel_page_size == kibibytes{4} && old.mmu_page_size == kibibytes{16}, "they stood behind Swap until 4.13");
static_assert(old.swap == kibibytes{10} && old.locked == kibibytes{11} && old.nonlinear == kibibytes{12} &&
              old.anon_huge_pages == kibibytes{9});
static_assert(old.vm_flags->has("nl") && old.vm_flags->has("dw"));
static_assert(!old.swap_pss && !old.pss_dirty && !old.lazy_free && !old.thp_eligible && !old.protection_key &&
              !old.shared_hugetlb && !old.ksm,
              "absent is not zero");

constexpr pf::smap jessie = first(linux_4_4);
static_assert(jessie.mapping.path == "[stack]" && jessie.shared_hugetlb == kibibytes{1} && jessie.private_hugetlb == kibibytes{2});
static_assert(jessie.swap_pss == kibibytes{5} && jessie.mmu_page_size == kibibytes{4} && jessie.locked == kibibytes{6} &&
              !jessie.nonlinear);
static_assert(jessie.vm_flags->has("gd") && jessie.vm_flags->has("??"));

constexpr pf::smap bookworm = first(linux_6_1);
static_assert(bookworm.mapping.path == "/memfd:buffer (deleted)" && bookworm.mapping.perms.shared &&
              bookworm.pss_dirty == kibibytes{256});
static_assert(bookworm.lazy_free == kibibytes{7} && bookworm.shmem_pmd_mapped == kibibytes{8} &&
              bookworm.file_pmd_mapped == kibibytes{9});
static_assert(bookworm.thp_eligible == false && !bookworm.protection_key && !bookworm.ksm);

[[nodiscard]] std::string joined(std::initializer_list<std::string_view> texts)
{
    std::string all;
    for (auto const text : texts) all += text;
    return all;
}

// What a walk over a copy of \p text, of exactly its size, gives.
struct walked {
    std::vector<std::uint64_t> starts;
    std::vector<std::string> flags;
    tp::error why{tp::errc{}, tp::kernel_file::none, 0, {}, 0};
};
[[nodiscard]] walked walk(std::string_view text)
{
    auto const copy = std::make_unique<char[]>(text.size());
    text.copy(copy.get(), text.size());
    walked w;
    pf::smaps table{std::string_view{copy.get(), text.size()}};
    for (auto const& one : table) {
        w.starts.push_back(one.mapping.start.value);
        w.flags.emplace_back(one.vm_flags ? one.vm_flags->text() : "none");
    }
    if (!table.status()) w.why = table.status().error();
    return w;
}

// The same table as kernels before 3.8 print it.
[[nodiscard]] std::string without_flags(std::string text)
{
    for (std::size_t at; (at = text.find("VmFlags:")) != std::string::npos;) text.erase(at, text.find('\n', at) + 1 - at);
    return text;
}

auto const four_kernels = joined({linux_3_10, linux_4_4, linux_6_1, linux_6_18});
std::vector<std::uint64_t> const four_starts{0x400000, 0x7ffc1d9e9000, 0x7f6ba7000000, 0x5581e9e5c000};

} // namespace

TEST_CASE("smaps: a vma ends with its flags; without them, where the next one begins")
{
    auto const whole = walk(four_kernels);
    CHECK(whole.starts == four_starts);
    CHECK(whole.flags[1] == "rd wr mr mw me gd ac ??");
    CHECK(whole.why.code == tp::errc{});

    auto const bare = walk(without_flags(four_kernels));
    CHECK(bare.starts == four_starts);
    CHECK(bare.flags == std::vector<std::string>(4, "none"));
    CHECK(bare.why.code == tp::errc{});
}

TEST_CASE("smaps: a row does not keep what its predecessor had")
{
    auto const text = joined({linux_6_18, linux_3_10, "1000-2000 rw-p 00000000 00:00 0 \nRss: 1 kB\n"});
    pf::smaps table{text};
    auto at = table.begin();
    CHECK(at->protection_key);
    ++at;
    CHECK_FALSE(at->protection_key);
    CHECK_FALSE(at->ksm);
    ++at;
    CHECK_FALSE(at->nonlinear);
    CHECK_FALSE(at->vm_flags);
    CHECK(at->mapping.path.empty());
    CHECK(at->rss == kibibytes{1});
    ++at;
    CHECK(at == table.end());
    CHECK(table.status());
}

TEST_CASE("smaps: keys and lines of kernels to come are passed over, wherever they stand")
{
    for (auto const stranger : {"NewKey:               1 kB\n"sv, "no colon at all\n"sv, "arm64_tags: 7\n"sv, "deaf\n"sv, "\n"sv,
                                "VmFlagsNew: rd \n"sv, "7 up: 1\n"sv})
        for (bool const flags : {true, false}) {
            auto const text = flags ? four_kernels : without_flags(four_kernels);
            for (std::size_t at = text.find('\n') + 1; at != 0; at = text.find('\n', at) + 1) {
                auto changed = text;
                changed.insert(at, stranger);
                CAPTURE(changed);
                auto const found = walk(changed);
                CHECK(found.starts == four_starts);
                CHECK(found.why.code == tp::errc{});
                if (at == text.size()) break;
            }
        }
}

TEST_CASE("smaps: a text cut anywhere hands out what is whole, then says truncated, where")
{
    for (std::size_t size = 0; size <= four_kernels.size(); ++size) {
        auto const beginning = std::string_view{four_kernels}.substr(0, size);
        auto const found = walk(beginning);
        CAPTURE(beginning);
        if (tp::tests::ends_with_a_line(beginning)) {
            CHECK(found.why.code == tp::errc{});
        } else {
            CHECK(found.why == tp::error{tp::errc::truncated, tp::kernel_file::smaps, 0, {}, static_cast<std::uint32_t>(size)});
        }
    }
}

TEST_CASE("smaps: damage anywhere is survived, and errors stay within the text")
{
    auto text = joined({linux_6_1, linux_3_10});
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto const was = text[i];
        for (char const c : {'\0', '\n', ' ', ':', '-', '0', 'f', '[', '\xff'}) {
            text[i] = c;
            auto const found = walk(text);
            CAPTURE(i);
            CHECK(found.starts.size() <= 3);
            CHECK(found.why.offset <= text.size());
            if (found.why.code != tp::errc{}) CHECK(found.why.file == tp::kernel_file::smaps);
        }
        text[i] = was;
    }
}

TEST_CASE("smaps: an error says where in the whole text, not in its vma")
{
    auto text = four_kernels;
    auto const at = text.find("Pss_Dirty:           106 kB");
    text.replace(at, 27, "Pss_Dirty:           10x kB");
    auto const found = walk(text);
    CHECK(found.starts.size() == 3);
    CHECK(found.why == tp::error{tp::errc::malformed, tp::kernel_file::smaps, 0, {}, static_cast<std::uint32_t>(at + 23)});
}

TEST_CASE("smaps: a text of another kind is malformed from its first byte")
{
    for (auto const text : {"Name:\tx\n"sv, "x\n"sv, "\n"sv, "Rss:                   1 kB\n"sv}) {
        auto const found = walk(text);
        CHECK(found.starts.empty());
        CHECK(found.why == tp::error{tp::errc::malformed, tp::kernel_file::smaps, 0, {}, 0});
    }
    CHECK(walk("").why.code == tp::errc{});
}

TEST_CASE("smaps: numbers at the end of their type, and past it")
{
    auto const number = [](std::string_view key, std::string_view value) {
        auto const text = "1000-2000 rw-p 00000000 00:00 0 \n" + std::string{key} + ":  " + std::string{value} + "\n";
        return walk(text).why.code;
    };
    CHECK(number("Rss", "18446744073709551615 kB") == tp::errc{});
    CHECK(number("Rss", "18446744073709551616 kB") == tp::errc::malformed);
    CHECK(number("Rss", "-1 kB") == tp::errc::malformed);
    CHECK(number("Rss", "1") == tp::errc::malformed);
    CHECK(number("THPeligible", "2") == tp::errc::malformed);
    CHECK(number("ProtectionKey", "4294967295") == tp::errc{});
    CHECK(number("ProtectionKey", "4294967296") == tp::errc::malformed);
}

TEST_CASE("smaps: each key is listed once, in the kernel's order, and printed as it is decoded")
{
    auto text = tp::tests::smaps_entry(s);
    CHECK(text == linux_6_18);
    CHECK(tp::tests::smaps_entry(old, true) == linux_3_10);
    CHECK(tp::tests::smaps_entry(jessie, true) == linux_4_4);

    std::size_t at = 0;
    pf::smap::each_field(s, [&](std::string_view key, auto const&) {
        if (key == "Nonlinear") return; // until 3.19
        auto const found = text.find("\n" + std::string{key} + ":", at);
        CAPTURE(key);
        REQUIRE(found != std::string::npos);
        at = found + 1;
    });
}
