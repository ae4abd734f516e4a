// SPDX-License-Identifier: BSL-1.0

#include "support/fixtures.hpp"
#include "support/targets.hpp"

#include <taskpeek/stack/saved.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

[[nodiscard]] std::string content_of(std::string const& path)
{
    std::ifstream in{path, std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("saved: captures come back as they were, and unwind the same when the process has gone")
{
    tp::tests::temporary_directory const folder;
    auto const path = folder.path() + "/stacks";
    std::vector<std::vector<tp::address>> live;
    {
        tp::tests::target_program const target{"deep-O2", {"8"}};
        REQUIRE(target.is_ready());
        auto const process = tp::process::open(target.id());
        REQUIRE(process);
        std::vector<char> memory(1u << 20), rows(st::unwinder::typical_memory), stacks(8u << 20);
        auto const maps = st::mapping_table::read(process.value(), memory);
        REQUIRE(maps);
        st::unwinder unwinder{maps.value(), target.id(), process.value().directory(), rows};
        std::vector<st::thread_capture> captures;
        std::size_t used = 0;
        auto walk = process.value().threads<>();
        for (auto const& row : walk) {
            auto const thread = process.value().thread(row.id().tid);
            REQUIRE(thread);
            captures.push_back(st::brief_stop(thread.value(), maps.value(), tp::lent_buffer{stacks.data() + used, stacks.size() - used}));
            used += captures.back().copied();
            st::frame frames[64];
            auto const u = unwinder.unwind(captures.back(), frames);
            REQUIRE(u.is_complete());
            live.emplace_back();
            for (auto const& f : u.frames) live.back().push_back(f.pc);
        }
        REQUIRE(st::save(AT_FDCWD, path.c_str(), unwinder, captures));
        CHECK_FALSE(st::save(AT_FDCWD, path.c_str(), unwinder, captures)); // what is there stays
    }
    struct stat status;
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);

    auto const bytes = content_of(path);
    st::saved_captures saved{bytes};
    std::vector<char> memory(1u << 20), rows(st::unwinder::typical_memory);
    auto const maps = saved.maps(memory);
    REQUIRE(maps);
    st::unwinder unwinder{maps.value(), saved.process(), -1, rows};
    st::thread_capture c;
    std::size_t n = 0;
    for (; saved.next(c); ++n) {
        st::frame frames[64];
        auto const u = unwinder.unwind(c, frames);
        CHECK(u.is_complete());
        REQUIRE(n < live.size());
        REQUIRE(u.frames.size() == live[n].size());
        for (std::size_t i = 0; i < live[n].size(); ++i) CHECK(u.frames[i].pc == live[n][i]);
    }
    CHECK(saved.status());
    CHECK(n == live.size());

    // Cut at any place, or changed anywhere, it gives no more than it holds.
    std::mt19937_64 random{3};
    unsigned refused = 0;
    for (unsigned round = 0; round < 300; ++round) {
        auto changed = bytes.substr(0, round % 3 == 0 ? random() % bytes.size() : bytes.size());
        auto const front = std::min<std::size_t>(changed.size(), 8192);
        for (unsigned k = 0; k < 4 && front != 0; ++k) changed[random() % front] = static_cast<char>(random());
        st::saved_captures other{changed};
        auto const m = other.maps(memory);
        if (!m) { ++refused; continue; }
        st::unwinder code{m.value(), other.process(), -1, rows};
        unsigned threads = 0;
        while (other.next(c)) {
            st::frame frames[64];
            CHECK(code.unwind(c, frames).frames.size() <= 64);
            ++threads;
        }
        CHECK(threads <= live.size() + bytes.size() / 64);
    }
    CHECK(refused > 100);
}
