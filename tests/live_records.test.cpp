// SPDX-License-Identifier: BSL-1.0

/// \file
/// maps and smaps of living processes: lines longer than the memory, an execve or a death in the middle, and what ranges promise.

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"
#include "support/deep_file.hpp"
#include "support/sanitizers.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

namespace {

struct seen_vma {
    tp::address start, end;
    pf::permissions perms;
    std::string path;
    bool truncated;

    friend bool operator==(seen_vma const&, seen_vma const&) = default;
};

pf::vma const& mapping_of(pf::vma const& row) { return row; }
pf::vma const& mapping_of(pf::smap const& row) { return row.mapping; }

template <class Range>
std::vector<seen_vma> all(Range& range)
{
    std::vector<seen_vma> seen;
    for (auto const& row : range) {
        auto const& v = mapping_of(row);
        seen.push_back({v.start, v.end, v.perms, std::string{v.path}, v.path_truncated});
    }
    return seen;
}

/// What a plain reader of the file finds; the decoder reads the whole text at once.
std::vector<seen_vma> expected_maps(int pid)
{
    std::ostringstream text;
    text << std::ifstream{"/proc/" + std::to_string(pid) + "/maps"}.rdbuf();
    auto const bytes = text.str();
    pf::maps whole{std::string_view{bytes}};
    auto seen = all(whole);
    REQUIRE(whole.status().has_value());
    return seen;
}

/// A child with many vmas: every other page of a mapping is of another protection.
tp::tests::child child_of_many_vmas(std::size_t vmas)
{
    return tp::tests::child{[vmas] {
        auto* const at = static_cast<char*>(mmap(nullptr, vmas * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        for (std::size_t i = 0; i < vmas; i += 2) mprotect(at + i * 4096, 4096, PROT_NONE);
    }};
}

tp::process open(tp::tests::child const& c)
{
    auto handle = tp::process::open(c.id());
    REQUIRE(handle.has_value());
    return std::move(handle.value());
}

/// A child that maps the deep file twice, with a page between that tells whether the next line arrives.
tp::tests::child child_mapping(int fd)
{
    return tp::tests::child{[fd] {
        auto* const at = static_cast<char*>(mmap(nullptr, 5 * 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mmap(at + 8192, 8192, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
        mmap(at + 3 * 8192, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 4096);
    }};
}

} // namespace

TEST_CASE("maps and smaps of a living process are what its file says, whatever the memory")
{
    auto const c = child_of_many_vmas(3000);
    auto const p = open(c);
    auto const wanted = expected_maps(c.pid());
    CHECK(wanted.size() > 3000);
    for (auto const size : std::initializer_list<std::size_t>{0, 256, 1000, 4096, 5000, 65536, 1 << 20}) {
        CAPTURE(size);
        std::vector<char> memory(size);
        auto maps = p.maps(memory);
        CHECK(all(maps) == wanted);
        CHECK(maps.status().has_value());
    }
    for (auto const size : std::initializer_list<std::size_t>{0, 2000, 65536}) {
        CAPTURE(size);
        std::vector<char> memory(size);
        auto smaps = p.smaps(memory);
        CHECK(all(smaps) == wanted);
        CHECK(smaps.status().has_value());
    }
    // a lent buffer of no bytes is the range's own memory
    auto smaps = p.smaps();
    for (auto const& row : smaps) {
        REQUIRE(row.size.has_value());
        CHECK(row.size->count * 1024 == row.mapping.size().count);
        CHECK(row.rss.has_value());
        CHECK(row.vm_flags.has_value());
    }
}

TEST_CASE("a path longer than the memory is truncated, and the next line still arrives")
{
    for (int const levels : {10, 36, 39, 40, 41, 45, 100, 400}) { // paths of 2 KB … 80 KB, with and without room for the rest of a record
        CAPTURE(levels);
        tp::tests::deep_file const file{levels};
        REQUIRE(file.is_made());
        auto const path = file.path();
        auto const c = child_mapping(file.descriptor());
        auto const p = open(c);
        auto const wanted = expected_maps(c.pid());

        auto const check = [&](auto&& range, bool whole) {
            auto const seen = all(range);
            CHECK(range.status().has_value());
            REQUIRE(seen.size() == wanted.size());
            int deep = 0;
            for (std::size_t i = 0; i < seen.size(); ++i) {
                CHECK(seen[i].start == wanted[i].start);
                CHECK(seen[i].end == wanted[i].end);
                CHECK(seen[i].perms == wanted[i].perms);
                if (seen[i].truncated) {
                    CHECK(wanted[i].path.starts_with(seen[i].path));
                    CHECK(seen[i].path.size() < wanted[i].path.size());
                    CHECK(seen[i].path.size() > 100);
                } else {
                    CHECK(seen[i].path == wanted[i].path);
                }
                if (wanted[i].path == path) {
                    ++deep;
                    if (whole) CHECK_FALSE(seen[i].truncated);
                    else if (path.size() > 8192) CHECK(seen[i].truncated);
                }
            }
            CHECK(deep == 2);
        };
        check(p.maps(), false);
        check(p.smaps(), false);
        tp::buffer<512> tiny;
        check(p.maps(tiny), false);
        std::vector<char> lent(128 * 1024);
        check(p.maps(lent), true);
        check(p.smaps(lent), true);
    }
}

TEST_CASE("a newline in the name of a mapped file is escaped and said to be ambiguous")
{
    tp::tests::deep_file const file{1, " a\nb\\012 (deleted)"};
    REQUIRE(file.is_made());
    auto const c = child_mapping(file.descriptor());
    auto const p = open(c);
    int found = 0;
    for (auto const& vma : p.maps()) {
        if (!vma.path.ends_with("/ a\\012b\\012 (deleted)")) continue;
        ++found;
        CHECK(vma.path_is_ambiguous());
        CHECK(vma.may_be_deleted());
    }
    CHECK(found == 2);
}

TEST_CASE("memory too small for a line's fields is truncated, not malformed")
{
    auto const c = child_of_many_vmas(10);
    auto const p = open(c);
    for (auto const size : std::initializer_list<std::size_t>{1, 20, 49}) {
        std::vector<char> memory(size);
        auto maps = p.maps(memory);
        for (auto const& vma : maps) CHECK(vma.end > vma.start);
        REQUIRE_FALSE(maps.status().has_value());
        CHECK(maps.status().error().code == errc::truncated);
        CHECK(maps.status().error().task == p.id());
    }
}

TEST_CASE("a process that executes another program in the middle of its maps does not pass for one with fewer")
{
    // one page of maps that is followed by others, and so few that the second read is the last
    for (auto const vmas : std::initializer_list<std::size_t>{60, 1000}) {
        CAPTURE(vmas);
        int go[2];
        REQUIRE(pipe(go) == 0);
        auto const memory_of = [vmas] {
            auto* const at = static_cast<char*>(mmap(nullptr, vmas * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            for (std::size_t i = 0; i < vmas; i += 2) mprotect(at + i * 4096, 4096, PROT_NONE);
        };
        tp::tests::child const c{memory_of, [&] {
            char byte;
            while (read(go[0], &byte, 1) != 1) {}
            execl("/bin/sleep", "sleep", "1000", nullptr);
            _exit(1);
        }};
        auto const p = open(c);
        auto const before = expected_maps(c.pid()).size();
        auto maps = p.maps();
        auto vma = maps.begin();
        REQUIRE(vma != maps.end());
        REQUIRE(write(go[1], "x", 1) == 1);
        tp::buffer<> memory;
        for (int i = 0; i < 2000; ++i) {
            auto const comm = p.read<pf::comm>(memory);
            REQUIRE(comm.has_value());
            if (comm.value().name == "sleep") break;
            usleep(5000);
        }
        std::size_t count = 0;
        for (; vma != maps.end(); ++vma) ++count;
        CHECK(count < before);
        REQUIRE_FALSE(maps.status().has_value());
        CHECK(maps.status().error().code == errc::truncated);
        CHECK(maps.status().error().file == tp::kernel_file::maps);
        CHECK(maps.status().error().task == p.id());
        CHECK(maps.status().error().offset > 0);

        // it still maps its libraries when it already has its new name
        for (int i = 0; i < 2000; ++i) {
            auto const syscall = p.read<pf::syscall>(memory);
            if (syscall && syscall.value().nr == SYS_clock_nanosleep) break;
            usleep(5000);
        }
        auto again = p.maps();
        CHECK(all(again) == expected_maps(c.pid()));
        CHECK(again.status().has_value());
        close(go[0]);
        close(go[1]);
    }
}

TEST_CASE("a process that dies in the middle of its maps is a zombie, then vanished")
{
    for (bool const reaped : {false, true}) {
        CAPTURE(reaped);
        auto c = child_of_many_vmas(1000);
        auto const p = open(c);
        auto maps = p.maps();
        auto smaps = p.smaps();
        auto vma = maps.begin();
        auto smap = smaps.begin();
        REQUIRE(vma != maps.end());
        REQUIRE(smap != smaps.end());
        c.kill();
        c.await_end();
        if (reaped) c.reap();
        for (; vma != maps.end(); ++vma) {}
        for (; smap != smaps.end(); ++smap) {}
        REQUIRE_FALSE(maps.status().has_value());
        CHECK(maps.status().error().code == (reaped ? errc::vanished : errc::zombie));
        REQUIRE_FALSE(smaps.status().has_value());
        CHECK(smaps.status().error().code == (reaped ? errc::vanished : errc::zombie));
    }
}

TEST_CASE("a copy of a stream is fresh, reads its own file, and may outlive the original")
{
    auto const c = child_of_many_vmas(500);
    auto const p = open(c);
    auto const wanted = expected_maps(c.pid());
    std::optional<tp::live_records<pf::vma>> copy;
    {
        auto maps = p.maps();
        auto vma = maps.begin();
        for (int i = 0; i < 100; ++i) ++vma;
        auto const where = vma->start;
        copy = maps;
        auto moved = std::move(maps);
        CHECK(all(moved) == wanted);
        CHECK(vma->start == where); // NOLINT: what was moved is a copy
        auto assigned = p.maps();
        (void)assigned.begin();
        assigned = *copy;
        CHECK(all(assigned) == wanted);
    }
    CHECK(all(*copy) == wanted);
    CHECK(copy->status().has_value());

    tp::live_records<pf::vma> empty;
    CHECK(empty.begin() == empty.end());
    CHECK_FALSE(empty.status().has_value()); // of no process
}

TEST_CASE("a second begin() of the same stream traps in a debug build")
{
    if (tp::tests::sanitized) return tp::tests::skip("a sanitizer handles the trap itself");
#ifdef NDEBUG
    return tp::tests::skip("NDEBUG is defined");
#endif
    auto const p = tp::process::self();
    REQUIRE(p.has_value());
    auto const status = tp::tests::status_of([&] {
        signal(SIGILL, SIG_DFL); // the test framework handles them
        signal(SIGTRAP, SIG_DFL);
        auto maps = p.value().maps();
        (void)maps.begin();
        (void)maps.begin();
    });
    REQUIRE(WIFSIGNALED(status));
    CHECK((WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP));
}
