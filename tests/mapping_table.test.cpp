// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/stack/mapping_table.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <sys/mman.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

constexpr std::string_view recorded =
    "00400000-00401000 r--p 00000000 08:01 7                                  /bin/x y\n"
    "00401000-00405000 r-xp 00001000 08:01 7                                  /bin/x y\n"
    "00600000-00602000 rw-p 00000000 00:00 0 \n"
    "7f0000000000-7f0000001000 r--p 00000000 08:01 8                          /lib/a\n"
    "7f0000001000-7f0000002000 ---p 00000000 00:00 0 \n"
    "7f0000002000-7f0000003000 r-xp 00002000 08:01 8                          /lib/a\n"
    "7f0000005000-7f0000006000 r-xp 00000000 00:00 0                          [vdso]\n";

} // namespace

TEST_CASE("mapping_table: an address is found in its vma, and in no gap")
{
    std::vector<char> memory(4096);
    auto const parsed = st::mapping_table::parse(recorded, memory);
    REQUIRE(parsed);
    auto const& t = parsed.value();
    REQUIRE(t.all().size() == 7);
    CHECK(t.find(tp::address{0x3fffff}) == nullptr);
    REQUIRE(t.find(tp::address{0x400000}) != nullptr);
    CHECK(t.find(tp::address{0x400fff}) == &t.all()[0]);
    CHECK(t.find(tp::address{0x401000}) == &t.all()[1]);
    CHECK(t.find(tp::address{0x405000}) == nullptr);
    CHECK(t.find(tp::address{UINT64_MAX}) == nullptr);
    CHECK(t.path(t.all()[1]) == "/bin/x y");
    CHECK(t.path(t.all()[2]).empty());
    CHECK(t.path(t.all()[6]) == "[vdso]");
    CHECK(t.is_executable(tp::address{0x401000}));
    CHECK_FALSE(t.is_executable(tp::address{0x600000}));
}

TEST_CASE("mapping_table: the head of a file is its first vma, over holes of its own")
{
    std::vector<char> memory(4096);
    auto const parsed = st::mapping_table::parse(recorded, memory);
    REQUIRE(parsed);
    auto const& t = parsed.value();
    CHECK(t.head(t.all()[1]) == &t.all()[0]);
    CHECK(t.head(t.all()[5]) == &t.all()[3]);
    CHECK(t.head(t.all()[6]) == &t.all()[6]);
    auto const beheaded = st::mapping_table::parse("00401000-00405000 r-xp 00001000 08:01 7   /bin/x\n", memory);
    REQUIRE(beheaded);
    CHECK(beheaded.value().head(beheaded.value().all()[0]) == nullptr);
}

TEST_CASE("mapping_table: too little memory is said, whatever its size and alignment")
{
    std::vector<char> memory(4096);
    for (std::size_t size = 0; size < 540; ++size) {
        auto const parsed = st::mapping_table::parse(recorded, tp::lent_buffer{memory.data() + size % 8, size});
        if (parsed) continue;
        REQUIRE(parsed.error().code == tp::errc::truncated);
    }
    auto const enough = st::mapping_table::parse(recorded, tp::lent_buffer{memory.data() + 1, 600});
    REQUIRE(enough);
    CHECK(enough.value().path(enough.value().all()[5]) == "/lib/a");
    CHECK(st::mapping_table::parse("nonsense\n", memory).error().code == tp::errc::malformed);
}

TEST_CASE("mapping_table: a live process's vmas")
{
    auto const self = tp::process::self();
    REQUIRE(self);
    std::vector<char> memory(1u << 20);
    auto const read = st::mapping_table::read(self.value(), memory);
    REQUIRE(read);
    auto const here = tp::address{reinterpret_cast<std::uintptr_t>(&recorded)};
    REQUIRE(read.value().find(here) != nullptr);
    CHECK(read.value().is_executable(tp::address{reinterpret_cast<std::uintptr_t>(&mmap)}));
}
