// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"
#include "kernel_text.hpp"

#include <taskpeek/procfs/maps.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::check_every_beginning;
using tp::tests::check_every_damage;
using tp::tests::check_malformed;
using tp::tests::decode_error;
using tp::tests::maps_line;

namespace {

constexpr auto program = "7f1c2a400000-7f1c2a422000 r-xp 00026000 fe:01 1180013                    /usr/lib/x86_64-linux-gnu/libc.so.6\n"sv;

constexpr pf::vma v = pf::vma::parse(program).value();
static_assert(v.start == tp::address{0x7f1c2a400000} && v.end == tp::address{0x7f1c2a422000});
static_assert(v.perms == pf::permissions{.read = true, .write = false, .execute = true, .shared = false});
static_assert(v.offset == tp::bytes{0x26000});
static_assert(v.dev == pf::device{0xfe, 1});
static_assert(v.inode == 1180013);
static_assert(v.path == "/usr/lib/x86_64-linux-gnu/libc.so.6");
static_assert(!v.path_truncated);
static_assert(v.size() == tp::bytes{0x22000});
static_assert(v.contains(tp::address{0x7f1c2a400000}) && v.contains(tp::address{0x7f1c2a421fff}));
static_assert(!v.contains(tp::address{0x7f1c2a422000}) && !v.contains(tp::address{0x7f1c2a3fffff}));
static_assert(v.has_inode() && !v.has_special_name() && !v.is_writable_and_executable() && !v.may_be_deleted() && !v.path_is_ambiguous());

[[nodiscard]] constexpr pf::vma parse(std::string_view line) { return pf::vma::parse(line).value(); }
[[nodiscard]] constexpr std::string_view path(std::string_view line) { return parse(line).path; }

// Permissions: each of the four by itself.
static_assert(parse("1000-2000 r--p 0 0:0 0").perms == pf::permissions{true, false, false, false});
static_assert(parse("1000-2000 -w-p 0 0:0 0").perms == pf::permissions{false, true, false, false});
static_assert(parse("1000-2000 --xp 0 0:0 0").perms == pf::permissions{false, false, true, false});
static_assert(parse("1000-2000 ---s 0 0:0 0").perms == pf::permissions{false, false, false, true});
static_assert(parse("1000-2000 -wxp 0 0:0 0").is_writable_and_executable());

// Anonymous memory, with the kernel's trailing space and without, with a newline and without.
static_assert(path("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0 \n").empty());
static_assert(path("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0\n").empty());
static_assert(path("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0 ").empty());
static_assert(path("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0").empty());
static_assert(path("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0                          \n").empty());
static_assert(!parse("7f1c2a400000-7f1c2a422000 rw-p 00000000 00:00 0 \n").has_inode());

// Numbers: from 0 to the ends of their types, and 8 to 16 digits of address.
static_assert(parse("00000000-00001000 r--p 0 0:0 0").start == tp::address{0});
static_assert(parse("00400000-00401000 r-xp 00000000 08:01 42").start == tp::address{0x400000});
static_assert(parse("ffffffffff600000-ffffffffff601000 --xp 0 0:0 0").start == tp::address{0xffffffffff600000});
static_assert(parse("0-ffffffffffffffff r--p 0 0:0 0").end == tp::address{UINT64_MAX});
static_assert(parse("1000-2000 r--p ffffffffffffffff 0:0 18446744073709551615").offset == tp::bytes{UINT64_MAX});
static_assert(parse("1000-2000 r--p ffffffffffffffff 0:0 18446744073709551615").inode == UINT64_MAX);
static_assert(parse("1000-2000 r--p 0 103:fffff 7").dev == pf::device{0x103, 0xfffff}, "a minor has 20 bits");
static_assert(parse("1000-2000 r--p 0 ffffffff:ffffffff 7").dev == pf::device{UINT32_MAX, UINT32_MAX});

// What is behind the padding is the path's own, spaces and all. 64-bit kernels pad to column 73, 32-bit ones to 49; where the
// fields are longer, two spaces follow.
static_assert(path("7f1c2a400000-7f1c2a422000 r-xp 00026000 fe:01 1180013                     leading\n") == " leading");
static_assert(path("00400000-00401000 r-xp 00000000 08:01 42                                 /a  b \n") == "/a  b ");
static_assert(path("00010000-00011000 r-xp 00000000 b3:02 42         /bin/true\n") == "/bin/true");
static_assert(path("00010000-00011000 r-xp 00000000 b3:02 42           leading\n") == "  leading");
static_assert(path("ffffffffff600000-ffffffffff601000 r-xp ffffffffffffffff fffff:fffff 18446744073709551615  /x\n") == "/x");
static_assert(path("ffffffffff600000-ffffffffff601000 r-xp ffffffffffffffff fffff:fffff 18446744073709551615   x\n") == " x");
static_assert(path("1000-2000 r-xp 0 0:0 0 /not/padded") == "/not/padded", "written by hand");

static_assert(parse("1000-2000 rw-p 0 0:0 7 /a (deleted)").may_be_deleted() &&
              !parse("1000-2000 rw-p 0 0:0 7 /a (deleted).txt").may_be_deleted());
static_assert(parse("1000-2000 rw-p 0 0:0 7 /a\\012b").path_is_ambiguous() &&
              !parse("1000-2000 rw-p 0 0:0 7 /a\\011b").path_is_ambiguous());
static_assert(parse("1000-2000 rw-p 0 0:0 7 /\xff\xfe\x80").path == "/\xff\xfe\x80");

struct name {
    std::string_view path;
    bool special;
    std::uint64_t inode = 0;
};

// Every name that a kernel has given, and some that none has.
constexpr name names[] = {
    {"[heap]", true}, {"[stack]", true}, {"[stack:123]", true}, {"[vdso]", true}, {"[vvar]", true}, {"[vvar_vclock]", true},
    {"[vsyscall]", true}, {"[vectors]", true}, {"[sigpage]", true}, {"[uprobes]", true}, {"[uprobes-trampoline]", true}, {"[mpx]", true},
    {"[vdso_data]", true}, {"[anon:name]", true}, {"[anon:a  b]", true}, {"[anon: x]", true}, {"[anon:]", true}, {"[anon:[x]]", true},
    {"[anon_shmem:name]", true, 1024}, {"[anon_shmem:a  b ]", true, 1024}, {"[some kernel to come]", true}, {"[", true},
    {"/dev/zero (deleted)", false, 1025}, {"/SYSV00000000 (deleted)", false, 32768}, {"/memfd:name (deleted)", false, 1026},
    {"/memfd: (deleted)", false, 1026}, {"/anon_hugepage (deleted)", false, 1027}, {"/[aio] (deleted)", false, 1028},
    {"anon_inode:[perf_event]", false, 9}, {"anon_inode:[io_uring]", false, 9}, {"socket:[123]", false, 123}, {"/", false, 1},
    {"/a (deleted)", false, 2}, {"/[heap]", false, 3}, {"//a", false, 4}, {"/a  b ", false, 5}, {"/ ", false, 6},
    {"/\t\x1b]0;x\a", false, 7}, {" /a", false, 8}, {"   ", false, 9}, {"/a (deleted) (deleted)", false, 10}, {"/\xff\xfe", false, 11}, {"/a\\012b", false, 12},
    {"/00400000-00500000 r-xp 00000000 00:00 0 ", false, 13},
};

[[nodiscard]] std::string all_names(std::size_t long_size)
{
    std::string text;
    std::uint64_t at = 0x10000;
    for (auto const& n : names) {
        pf::vma line;
        line.start = tp::address{at};
        line.end = tp::address{at += 0x1000};
        line.inode = n.inode;
        line.path = n.path;
        text += maps_line(line, long_size);
    }
    return text;
}

} // namespace

TEST_CASE("maps: every name is handed out byte for byte, on 64-bit and 32-bit kernels, alone and in a table")
{
    for (auto const long_size : {8u, 4u}) {
        auto const text = all_names(long_size);
        pf::maps table{text};
        std::size_t n = 0;
        for (auto const& line : table) {
            REQUIRE(n < std::size(names));
            CAPTURE(names[n].path);
            CHECK(line.path == names[n].path);
            CHECK(line.inode == names[n].inode);
            CHECK(line.has_special_name() == names[n].special);
            CHECK(line.has_inode() == (names[n].inode != 0));
            CHECK(line.start == tp::address{0x10000 + n * 0x1000});
            ++n;
        }
        CHECK(n == std::size(names));
        CHECK(table.status());

        std::string_view rest = text;
        for (auto const& one : names) {
            auto const size = rest.find('\n') + 1;
            auto const line = pf::vma::parse(rest.substr(0, size));
            REQUIRE(line);
            CHECK(line.value().path == one.path);
            rest.remove_prefix(size);
        }
    }
}

TEST_CASE("maps: a path as long as nested directories make it")
{
    std::string long_path;
    while (long_path.size() < 90'000) long_path += "/a directory";
    pf::vma line = v;
    line.path = long_path;
    auto const text = maps_line(line) + std::string{program};
    pf::maps table{text};
    std::vector<std::size_t> sizes;
    for (auto const& one : table) sizes.push_back(one.path.size());
    CHECK(table.status());
    CHECK(sizes == std::vector{long_path.size(), v.path.size()});
}

TEST_CASE("maps: a line cut anywhere before its path is truncated")
{
    // A number that was cut reads as a shorter one, so from the inode's first digit on a line without its newline may be whole.
    auto const inode = program.find("1180013");
    check_every_beginning<pf::vma>(program, [&](std::string_view beginning) { return beginning.size() > inode; });
}

TEST_CASE("maps: a table cut anywhere hands out the lines that are whole, then says truncated, where")
{
    auto const text = std::string{program} + "7f1c2a422000-7f1c2a423000 rw-p 00000000 00:00 0 \n" + std::string{program};
    for (std::size_t size = 0; size <= text.size(); ++size) {
        auto const copy = std::make_unique<char[]>(size);
        text.copy(copy.get(), size);
        std::string_view const beginning{copy.get(), size};
        pf::maps table{beginning};
        std::size_t rows = 0;
        for (auto const& line : table) rows += line.size().count != 0;
        std::size_t whole = 0;
        for (char const c : beginning) whole += c == '\n';
        CAPTURE(beginning);
        CHECK(rows == whole);
        CHECK(table.status().has_value() == (beginning.empty() || beginning.back() == '\n'));
        if (table.status()) continue;
        CHECK(table.status().error() == tp::error{tp::errc::truncated, tp::kernel_file::maps, 0, {}, static_cast<std::uint32_t>(size)});
    }
}

TEST_CASE("maps: damage anywhere is survived, and errors stay within the line")
{
    check_every_damage<pf::vma>(program);
    check_every_damage<pf::vma>("00010000-00011000 r-xp 00000000 b3:02 42           leading\n");
}

TEST_CASE("maps: other lines are malformed")
{
    check_malformed<pf::vma>({
        {"\n", 0},
        {"x", 0},
        {"-1000 r--p 0 0:0 0", 0},
        {"1000 2000 r--p 0 0:0 0", 4},
        {"1000-x r--p 0 0:0 0", 5},
        {"0x1000-0x2000 r--p 0 0:0 0", 1},
        {"1000-2000  r--p 0 0:0 0", 10},
        {"1000-2000 R--p 0 0:0 0", 10},
        {"1000-2000 r--x 0 0:0 0", 13},
        {"1000-2000 rwx 0 0:0 0", 13},
        {"1000-2000 r--pp 0 0:0 0", 14},
        {"1000-2000 r--p x 0:0 0", 15},
        {"1000-2000 r--p 0 00 0", 19},
        {"1000-2000 r--p 0 0:0 x", 21},
        {"1000-2000 r--p 0 0:0 -1", 21},
        {"1000-2000 r--p 0 0:0 7x", 22},
        {"1000-2000 r--p 0 0:0 7\t/x", 22},
        {"2000-1000 r--p 0 0:0 0", 0},
        {"1000-2000 r--p 0 0:0 7 /a\nb", 25},
        {"1000-2000 r--p 0 0:0 7 /a\n\n", 25},
        {"1000-2000 r--p 0 0:0 7\n\n", 22},
        // past their types
        {"10000000000000000-20000000000000000 r--p 0 0:0 0", 16},
        {"1000-10000000000000000 r--p 0 0:0 0", 21},
        {"1000-2000 r--p 10000000000000000 0:0 0", 31},
        {"1000-2000 r--p 0 100000000:0 0", 17},
        {"1000-2000 r--p 0 0:100000000 0", 19},
        {"1000-2000 r--p 0 0:0 18446744073709551616", 40},
    });
}

TEST_CASE("maps: a line of a text without memory is truncated")
{
    auto const found = pf::vma::parse(std::string_view{});
    REQUIRE_FALSE(found);
    CHECK(found.error() == tp::error{tp::errc::truncated, tp::kernel_file::maps, 0, {}, 0});
}

TEST_CASE("maps: an empty text has no vmas, and that is no error")
{
    for (auto const text : {""sv, std::string_view{}}) {
        pf::maps table{text};
        CHECK(table.begin() == table.end());
        CHECK(table.status());
    }
}
