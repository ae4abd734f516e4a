// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/sanitizers.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

// A walk fits on a stack of a thread, and on an alternate one for signals.
static_assert(sizeof(tp::thread_walk<pf::stat>) < 12 * 1024);
static_assert(sizeof(tp::process_walk<pf::status>) < 12 * 1024);
static_assert(sizeof(tp::process_walk<>) < 4 * 1024);

namespace {

/// A tree of one's own: a directory for each process.
class made_tree : public tp::tests::temporary_directory {
public:
    void add(std::string const& place, std::string const& content) const
    {
        auto const file = path() + "/" + place;
        std::filesystem::create_directories(std::filesystem::path{file}.parent_path());
        std::ofstream{file, std::ios::binary} << content;
    }
};

std::string stat_of(int pid, std::string const& name)
{
    auto text = std::to_string(pid) + " (" + name + ") S 1";
    for (int i = 5; i <= 52; ++i) text += " 0";
    return text + "\n";
}

} // namespace

TEST_CASE("names come back byte for byte in a walk over all threads")
{
    tp::tests::waiting_threads const threads{tp::tests::awkward_names()};
    std::size_t found = 0;
    auto walk = tp::threads<pf::stat, pf::status, pf::comm>();
    for (auto const& [id, stat, status, comm] : walk) {
        if (id.tgid.value != getpid()) continue;
        auto const* const name = threads.name_of_tid(id.tid.value);
        if (name == nullptr) continue;
        ++found;
        REQUIRE(stat.has_value());
        REQUIRE(status.has_value());
        REQUIRE(comm.has_value());
        CHECK(stat.value().comm == *name);
        char memory[64];
        CHECK(tp::text::unescape_name(*status.value().name, memory).text == *name);
        CHECK(comm.value().name == *name);
    }
    CHECK(walk.status().has_value());
    CHECK(found == threads.size());
}

TEST_CASE("a walk over processes lists leaders only, one over threads all of them, each once")
{
    tp::tests::waiting_threads const threads{std::vector<std::string>(5, "walker")};
    tp::tests::child const c;
    std::set<int> processes;
    auto processes_walk = tp::processes<>();
    for (auto const& row : processes_walk) {
        CHECK(row.id().is_leader());
        CHECK(processes.insert(row.id().tgid.value).second);
    }
    CHECK(processes_walk.status().has_value());
    CHECK(processes_walk.report().tasks == processes.size());
    CHECK(processes.count(getpid()) == 1);
    CHECK(processes.count(c.pid()) == 1);
    CHECK(processes.count(threads.tid(0)) == 0);

    std::set<int> tids;
    for (auto const& row : tp::threads<>()) {
        CHECK(tids.insert(row.id().tid.value).second);
        if (threads.name_of_tid(row.id().tid.value) != nullptr) CHECK(row.id().tgid.value == getpid());
    }
    for (std::size_t i = 0; i < threads.size(); ++i) CHECK(tids.count(threads.tid(i)) == 1);
    CHECK(tids.count(c.pid()) == 1);
}

TEST_CASE("stat of a thread is its own, stat of a process the sum")
{
    tp::tests::waiting_threads const threads{{"summed"}};
    auto const self = getpid();
    std::int64_t process_threads = 0;
    for (auto const& [id, stat] : tp::processes<pf::stat>())
        if (id.tgid.value == self && stat) process_threads = stat.value().num_threads;
    CHECK(process_threads == static_cast<std::int64_t>(tp::tests::own_thread_count()));
    bool seen = false;
    for (auto const& [id, stat] : tp::threads<pf::stat>()) {
        if (id.tid.value != threads.tid(0)) continue;
        REQUIRE(stat.has_value());
        seen = stat.value().comm == "summed" && stat.value().pid == id.tid;
    }
    CHECK(seen);
}

TEST_CASE("threads that the listing does not hold mark their process, and none is lost while none dies")
{
    tp::tests::waiting_threads const threads{std::vector<std::string>(400, "many")};
    auto const self = tp::process::self();
    REQUIRE(self.has_value());
    auto const count = [&](tp::walk_options const& options, bool wanted_mark) {
        std::set<int> tids;
        auto walk = self.value().threads<>(options);
        for (auto const& row : walk) {
            tids.insert(row.id().tid.value);
            CHECK(row.possibly_incomplete() == wanted_mark);
        }
        CHECK(walk.status().has_value());
        CHECK(walk.report().possibly_incomplete == (wanted_mark ? 1 : 0));
        return tids.size();
    };
    tp::buffer<32 * 512> listing;
    CHECK(count({}, true) == tp::tests::own_thread_count());
    CHECK(count({.listing = listing}, false) == tp::tests::own_thread_count());

    // the mark is one process's, not the walk's
    tp::tests::child const c;
    bool others_unmarked = true;
    for (auto const& row : tp::threads<>())
        if (row.id().tgid == c.id() && row.possibly_incomplete()) others_unmarked = false;
    CHECK(others_unmarked);
}

TEST_CASE("a tree of directories is walked like /proc")
{
    made_tree const tree;
    tree.add("5/stat", stat_of(5, "five"));
    tree.add("5/task/5/stat", stat_of(5, "five"));
    tree.add("5/task/6/stat", stat_of(6, "six) (x"));
    tree.add("9/stat", "no stat\n");
    tree.add("9/task/9/stat", "9 (cut) S 1");
    tree.add("self/stat", stat_of(5, "not a number"));
    tree.add("007/stat", stat_of(7, "seven"));
    tree.add("99999999999/stat", stat_of(8, "no pid"));

    std::map<int, std::string> processes;
    auto walk = tp::processes<pf::stat>({.root = tree.path().c_str()});
    for (auto const& [id, stat] : walk)
        processes[id.tgid.value] = stat ? std::string{stat.value().comm} : std::string{name_of(stat.error().code)};
    CHECK(walk.status().has_value());
    CHECK(processes.at(5) == "five");
    CHECK(processes.at(9) == "malformed");
    CHECK(processes.size() == 2); // "007" is listed, but no kernel would name a directory so, and 7/stat is not there
    CHECK(walk.report().vanished == 1);

    std::map<int, std::string> threads;
    auto thread_walk = tp::threads<pf::stat>({.root = tree.path().c_str()});
    for (auto const& [id, stat] : thread_walk) {
        threads[id.tid.value] = stat ? std::string{stat.value().comm} : std::string{name_of(stat.error().code)};
        if (!stat) CHECK(stat.error().task == id);
    }
    CHECK(thread_walk.status().has_value());
    CHECK(threads == std::map<int, std::string>{{5, "five"}, {6, "six) (x"}, {9, "truncated"}});
    CHECK(thread_walk.report().tasks == 3);

    auto const directory = open(tree.path().c_str(), O_RDONLY | O_DIRECTORY);
    int count = 0;
    for (auto const& row : tp::threads<pf::stat>({.root = tp::proc_root{directory}})) count += row.id().tgid.value > 0;
    for (auto const& row : tp::threads<pf::stat>(tp::proc_root{directory})) count += row.id().tgid.value > 0;
    close(directory);
    CHECK(count == 6);

    std::string const path{tree.path()};
    count = 0;
    for (auto const& row : tp::threads<>(path)) count += row.id().tgid.value > 0;
    for (auto const& row : tp::processes<pf::comm, pf::stat>(path.c_str())) count += row.id().tgid.value > 0;
    auto walk_elsewhere = tp::processes<>("/nonexistent");
    CHECK(walk_elsewhere.begin() == walk_elsewhere.end());
    CHECK(count == 5);
}

TEST_CASE("a recording that lacks files keeps its tasks")
{
    made_tree const tree;
    tree.add("5/status", "Name:\tfive\n");
    tree.add("5/maps", "");
    auto walk = tp::processes<pf::status, pf::stat, pf::io>(tree.path());
    int count = 0;
    for (auto const& [id, status, stat, io] : walk) {
        ++count;
        CHECK(status.has_value());
        REQUIRE(stat.has_error());
        CHECK(stat.error().code == errc::unsupported);
        REQUIRE(io.has_error());
        CHECK(io.error().code == errc::unsupported);
    }
    CHECK(count == 1);
    CHECK(walk.report().vanished == 0);
    auto threads = tp::threads<pf::status>(tree.path());
    for (auto const& [id, status] : threads) {
        CHECK(id == tp::leader_of(tp::tgid{5}));
        REQUIRE(status.has_error());
        CHECK(status.error() == tp::error{errc::unsupported, tp::kernel_file::task, ENOENT, id, 0});
    }
    CHECK(threads.report().tasks == 1);
    CHECK(threads.report().vanished == 0);
    auto const process = tp::process::open(tp::tgid{5}, tree.path());
    REQUIRE(process.has_value());
    auto maps = process.value().maps();
    CHECK(maps.begin() == maps.end());
    CHECK_FALSE(maps.status().has_value()); // whose emptiness nothing explains
}

TEST_CASE("what hidepid hides is denied with its ids, or not there at all")
{
    struct utsname kernel;
    int version[2] = {};
    REQUIRE(uname(&kernel) == 0);
    (void)std::sscanf(kernel.release, "%d.%d", &version[0], &version[1]);
    if (std::pair{version[0], version[1]} < std::pair{5, 8}) return tp::tests::skip("before 5.8 hidepid is one for all mounts of /proc");

    tp::tests::child const hidden;
    for (char const* const options : {"hidepid=1", "hidepid=2"}) {
        CAPTURE(options);
        tp::tests::temporary_directory const mounted;
        auto const ended = tp::tests::status_of([&] {
            if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(77);
            if (mount("proc", mounted.path().c_str(), "proc", 0, options) != 0) _exit(77);
            auto const parent = getppid();
            int const root = ::open(mounted.path().c_str(), O_RDONLY | O_DIRECTORY); // nobody may not come through the directory above
            if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(3);
            tp::tests::end_with_parent(parent);

            bool const listed = std::string_view{options} == "hidepid=1";
            int found = 0;
            auto threads = tp::threads<pf::stat>(tp::proc_root{root});
            for (auto const& [id, stat] : threads)
                if (id == tp::leader_of(hidden.id()) && !stat && stat.error().code == errc::denied && stat.error().task == id) ++found;
            if (!threads.status() || found != listed) _exit(4);
            auto processes = tp::processes<pf::stat>(tp::proc_root{root});
            found = 0;
            for (auto const& [id, stat] : processes)
                if (id == tp::leader_of(hidden.id()) && !stat && stat.error().code == errc::denied && stat.error().task == id) ++found;
            if (!processes.status() || found != listed) _exit(5);
            auto const opened = tp::process::open(hidden.id(), tp::proc_root{root});
            if (opened || opened.error().code != (listed ? errc::denied : errc::vanished)) _exit(6);
            _exit(0);
        });
        REQUIRE(WIFEXITED(ended));
        if (WEXITSTATUS(ended) == 77) return tp::tests::skip("only the privileged may mount another /proc");
        CHECK(WEXITSTATUS(ended) == 0);
    }
}

TEST_CASE("a walk without a task list says so")
{
    auto processes = tp::processes<pf::stat>({.root = "/nonexistent"});
    CHECK(processes.begin() == processes.end());
    REQUIRE_FALSE(processes.status().has_value());
    CHECK(processes.status().error() == tp::error{errc::vanished, tp::kernel_file::proc, ENOENT, {}, 0});
    auto threads = tp::threads<pf::stat>({.root = "/dev/null"});
    CHECK(threads.begin() == threads.end());
    REQUIRE_FALSE(threads.status().has_value());
    CHECK(threads.status().error().os_error == ENOTDIR);
}

TEST_CASE("a listing too small for one entry is an error, not an empty process")
{
    tp::tests::child const c;
    char tiny[8];
    auto const p = tp::process::open(c.id());
    REQUIRE(p.has_value());
    auto walk = p.value().threads<pf::stat>({.listing = tiny});
    CHECK(walk.begin() == walk.end());
    REQUIRE_FALSE(walk.status().has_value());
    CHECK(walk.status().error().code == errc::invalid);
}

TEST_CASE("a text that outgrows the walk's memory is truncated unless a larger one is lent")
{
    made_tree const tree;
    std::string groups = "Name:\tx\nGroups:\t";
    for (int i = 0; i < 65536; ++i) groups += "4294967295 ";
    groups += "\nThreads:\t3\n";
    tree.add("5/status", groups);
    int rows = 0;
    for (auto const& [id, status] : tp::processes<pf::status>({.root = tree.path().c_str()})) {
        ++rows;
        REQUIRE_FALSE(status.has_value());
        CHECK(status.error().code == errc::truncated);
        CHECK(status.error().offset == pf::status::typical_size + 1);
    }
    std::vector<char> memory(groups.size() + 1);
    for (auto const& [id, status] : tp::processes<pf::status>({.root = tree.path().c_str(), .text = memory})) {
        ++rows;
        REQUIRE(status.has_value());
        CHECK(status.value().threads == 3u); // keys follow the groups
    }
    CHECK(rows == 2);
}

TEST_CASE("who died since the listing is skipped and counted")
{
    // the whole task list fits the walk's memory, so the first row is handed out before the children die
    made_tree const tree;
    for (int i = 1; i <= 20; ++i) tree.add(std::to_string(i) + "/stat", stat_of(i, "brief"));
    auto walk = tp::processes<pf::stat>({.root = tree.path().c_str()});
    auto row = walk.begin();
    REQUIRE(row != walk.end());
    auto const first = row->id().tgid.value;
    for (int i = 1; i <= 20; ++i)
        if (i != first) std::filesystem::remove_all(tree.path() + "/" + std::to_string(i));
    ++row;
    CHECK(row == walk.end());
    CHECK(walk.status().has_value());
    CHECK(walk.report().tasks == 1);
    CHECK(walk.report().vanished == 19);
}

TEST_CASE("a copy of a walk begins anew, wherever the original is")
{
    made_tree const tree;
    for (int i = 1; i <= 3; ++i) tree.add(std::to_string(i) + "/stat", stat_of(i, "copied"));
    auto walk = tp::processes<pf::stat>({.root = tree.path().c_str()});
    auto const count = [](auto&& range) {
        int n = 0;
        for (auto const& row : range) n += row.id().tgid.value > 0;
        return n;
    };
    auto row = walk.begin();
    ++row;
    auto copy = walk;
    CHECK(count(copy) == 3);
    CHECK(copy.report().tasks == 3);
    copy = walk; // run to its end, and fresh again
    CHECK(copy.report().tasks == 0);
    CHECK(count(copy) == 3);
    auto moved = std::move(copy); // a fresh one as well
    CHECK(count(moved) == 3);
    ++row;
    CHECK(walk.report().tasks == 3);
}

TEST_CASE("a second begin() of the same walk traps in a debug build")
{
    if (tp::tests::sanitized) return tp::tests::skip("a sanitizer handles the trap itself");
#ifdef NDEBUG
    return tp::tests::skip("NDEBUG is defined");
#endif
    auto const status = tp::tests::status_of([] {
        signal(SIGILL, SIG_DFL); // the test framework handles them
        signal(SIGTRAP, SIG_DFL);
        auto walk = tp::processes<>();
        (void)walk.begin();
        (void)walk.begin();
    });
    REQUIRE(WIFSIGNALED(status));
    CHECK((WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP));
}
