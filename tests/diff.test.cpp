// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/diff.hpp>
#include <taskpeek/vas/model.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

namespace {

vas::range vma(std::uint64_t start, std::uint64_t end, std::string_view path = {}, std::uint64_t rss = 0)
{
    vas::range r;
    r.start = tp::address{start};
    r.end = tp::address{end};
    r.kind = vas::range_class::anonymous;
    r.mapping.start = r.start;
    r.mapping.end = r.end;
    r.mapping.path = path;
    r.numbers = vas::vma_numbers{};
    r.numbers->rss = tp::kibibytes{rss};
    return r;
}

std::vector<std::string> changes(std::vector<vas::range> const& before, std::vector<vas::range> const& after)
{
    std::vector<std::string> out;
    vas::diff(before, after, [&](vas::vma_change const& c) {
        out.push_back(std::string{name_of(c.what)} + " " + std::to_string(c.size) + " " + std::to_string(c.rss));
    });
    return out;
}

} // namespace

TEST_CASE("vmas are born, go, grow, shrink, and change their Rss")
{
    using list = std::vector<std::string>;
    CHECK(changes({vma(0x1000, 0x2000)}, {vma(0x1000, 0x2000)}) == list{});
    CHECK(changes({}, {vma(0x1000, 0x2000, {}, 4)}) == list{"born 4096 4"});
    CHECK(changes({vma(0x1000, 0x3000, {}, 8)}, {}) == list{"gone -8192 -8"});
    CHECK(changes({vma(0x1000, 0x2000)}, {vma(0x1000, 0x4000)}) == list{"grown 8192 0"});
    CHECK(changes({vma(0x1000, 0x4000)}, {vma(0x1000, 0x2000)}) == list{"shrunk -8192 0"});
    CHECK(changes({vma(0x5000, 0x6000, "[stack]")}, {vma(0x4000, 0x6000, "[stack]")}) == list{"grown 4096 0"}); // downwards
    CHECK(changes({vma(0x1000, 0x2000, {}, 4)}, {vma(0x1000, 0x2000, {}, 1)}) == list{"same 0 -3"});
    CHECK(changes({vma(0x1000, 0x2000, "/a")}, {vma(0x1000, 0x2000, "/b")}) == list{"gone -4096 0", "born 4096 0"});
    CHECK(changes({vma(0x1000, 0x2000), vma(0x8000, 0x9000)}, {vma(0x3000, 0x4000), vma(0x8000, 0x9000)}) == list{"gone -4096 0", "born 4096 0"});
}

TEST_CASE("a leak shows in two looks at a live process")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    auto const before = vas::read_model(process.value(), {.numbers = true});
    REQUIRE(before);
    constexpr std::size_t size = 3u << 20;
    auto* const leaked = static_cast<char*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)); // shared: merges with nothing
    REQUIRE(leaked != MAP_FAILED);
    std::memset(leaked, 1, size);
    auto const after = vas::read_model(process.value(), {.numbers = true});
    REQUIRE(after);
    bool found = false;
    vas::diff(before.value()->ranges, after.value()->ranges, [&](vas::vma_change const& c) {
        if (c.what != vas::change::born || c.after->start.value != reinterpret_cast<std::uintptr_t>(leaked)) return;
        found = true;
        CHECK(c.size == static_cast<std::int64_t>(size));
        CHECK(c.rss == static_cast<std::int64_t>(size / 1024));
    });
    CHECK(found);
    munmap(leaked, size);
}
