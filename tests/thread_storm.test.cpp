// SPDX-License-Identifier: BSL-1.0

/// \file
/// Walks while 200 processes and 1,000 threads a second come and go: nothing that stays is missing, nothing comes twice.

#include <taskpeek/taskpeek.hpp>

#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <new>
#include <random>
#include <thread>
#include <unordered_set>
#include <vector>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using std::chrono::steady_clock;

namespace {

constexpr auto duration = std::chrono::seconds{tp::tests::sanitized ? 2 : 10};
constexpr unsigned forks_per_second = 200, exits_per_second = 1000;
constexpr std::size_t staying_threads = 300;

/// What the storm's processes tell the test, in memory that they share.
struct account {
    std::atomic<unsigned> forks{0};
    std::atomic<unsigned> exits{0};
    std::array<std::atomic<int>, staying_threads> staying{};
};

account& shared_account()
{
    auto* const memory = mmap(nullptr, sizeof(account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    return *new (memory) account;
}

account* storm_account; // for threads, which take a plain function

/// Starts a detached thread on a small stack.
void start_thread(void* (*run)(void*), void* argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, tp::tests::sanitized ? 1 << 20 : 1 << 16);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, run, argument) != 0) storm_account->exits.fetch_sub(1); // shows in the rate
    pthread_attr_destroy(&attributes);
}

void* stay(void* number)
{
    storm_account->staying[reinterpret_cast<std::uintptr_t>(number)] = tp::tests::own_tid();
    tp::tests::wait_for_ever();
}

/// Lives some microseconds, then counts as an exit.
void* pass(void* microseconds)
{
    usleep(static_cast<useconds_t>(reinterpret_cast<std::uintptr_t>(microseconds)));
    storm_account->exits.fetch_add(1);
    return nullptr;
}

void* as_pointer(std::uintptr_t number) { return reinterpret_cast<void*>(number); } // NOLINT

/// Calls `event` so many times a second, and makes up for what it missed.
template <class Event>
[[noreturn]] void repeat(unsigned per_second, Event event)
{
    auto const start = steady_clock::now();
    for (unsigned long done = 0;; ++done) {
        std::this_thread::sleep_until(start + std::chrono::nanoseconds{1'000'000'000ul * done / per_second});
        event();
    }
}

/// Threads that stay, between threads that end at some time of the test; then brief ones, which are last in the list.
[[noreturn]] void storm_of_threads()
{
    repeat(exits_per_second, [random = std::minstd_rand{7}]() mutable { start_thread(pass, as_pointer(random() % 40'000)); });
}

void prepare_threads()
{
    std::minstd_rand random{3};
    for (std::uintptr_t i = 0; i < staying_threads; ++i) {
        start_thread(stay, as_pointer(i));
        for (int passing = 0; passing < 2; ++passing) start_thread(pass, as_pointer(random() % 12'000'000));
    }
    auto const has_not_begun = [](auto const& tid) { return tid == 0; };
    while (std::any_of(storm_account->staying.begin(), storm_account->staying.end(), has_not_begun)) usleep(1000);
}

[[noreturn]] void storm_of_processes()
{
    signal(SIGCHLD, SIG_IGN); // the kernel reaps them
    repeat(forks_per_second, [] {
        auto const pid = fork();
        if (pid == 0) _exit(0);
        if (pid > 0) storm_account->forks.fetch_add(1);
    });
}

struct seen_in_a_walk {
    std::unordered_set<int> tids;
    bool storm_marked = false;
};

} // namespace

TEST_CASE("in a storm of processes and threads a walk misses nothing that stays, and hands out nothing twice")
{
    storm_account = &shared_account();
    auto& account = *storm_account;
    std::vector<tp::tests::child> staying;
    for (int i = 0; i < 20; ++i) staying.emplace_back();
    tp::tests::child const threads{prepare_threads, storm_of_threads};
    tp::tests::child const processes{[] {}, storm_of_processes};

    auto const start = steady_clock::now();
    auto const exits_before = account.exits.load();
    auto const forks_before = account.forks.load();
    std::vector<char> listing(32 * 65536);
    auto const storm = tp::process::open(threads.id());
    REQUIRE(storm.has_value());

    unsigned walks = 0, errors = 0, duplicates = 0, failures = 0;
    unsigned missing_processes = 0, missing_threads = 0, missing_unmarked = 0, missing_in_lent = 0, marked_in_lent = 0;
    std::uint64_t vanished = 0;

    auto const go = [&](auto walk) {
        seen_in_a_walk seen;
        ++walks;
        for (auto const& row : walk) {
            auto const& [id, stat] = row;
            if (!stat) ++errors;
            else if (stat.value().pid != id.tid) ++errors;
            if (!seen.tids.insert(id.tid.value).second) ++duplicates;
            if (id.tgid == threads.id() && row.possibly_incomplete()) seen.storm_marked = true;
        }
        if (!walk.status()) ++failures;
        vanished += walk.report().vanished;
        return seen;
    };
    auto const missing_threads_in = [&](seen_in_a_walk const& seen) {
        auto const is_missing = [&](auto const& tid) { return seen.tids.count(tid) == 0; };
        return static_cast<unsigned>(std::count_if(account.staying.begin(), account.staying.end(), is_missing));
    };
    auto const check_processes = [&](seen_in_a_walk const& seen) {
        for (auto const& c : staying) missing_processes += seen.tids.count(c.pid()) == 0;
        for (auto const pid : {threads.pid(), processes.pid(), getpid()}) missing_processes += seen.tids.count(pid) == 0;
    };
    auto const check_own_memory = [&](seen_in_a_walk const& seen) {
        auto const missing = missing_threads_in(seen);
        missing_threads += missing;
        if (!seen.storm_marked) missing_unmarked += missing;
    };
    auto const check_lent_memory = [&](seen_in_a_walk const& seen) {
        missing_in_lent += missing_threads_in(seen);
        marked_in_lent += seen.storm_marked;
    };
    char small_listing[1024];
    while (steady_clock::now() < start + duration) {
        check_processes(go(tp::processes<pf::stat>()));
        auto const own = go(tp::threads<pf::stat>());
        check_processes(own);
        check_own_memory(own);
        auto const lent = go(tp::threads<pf::stat>({.listing = listing}));
        check_processes(lent);
        check_lent_memory(lent);
        for (int i = 0; i < 10; ++i) {
            check_own_memory(go(storm.value().threads<pf::stat>({.listing = small_listing})));
            check_lent_memory(go(storm.value().threads<pf::stat>({.listing = listing})));
        }
    }
    auto const seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    auto const fork_rate = (account.forks.load() - forks_before) / seconds;
    auto const exit_rate = (account.exits.load() - exits_before) / seconds;
    MESSAGE(walks, " walks in ", seconds, " s under ", fork_rate, " forks/s and ", exit_rate, " thread exits/s; ", vanished, " tasks vanished on the way, ",
            missing_threads, " staying threads missed by processes marked so, ", marked_in_lent, " complete listings given up");

    CHECK(errors == 0);
    CHECK(failures == 0);
    CHECK(duplicates == 0);
    CHECK(missing_processes == 0);
    CHECK(missing_unmarked == 0);
    CHECK(missing_in_lent == 0);
    // a storm that is none proves nothing; how strong it was is said above
    WARN(fork_rate > 0.95 * forks_per_second);
    WARN(exit_rate > 0.95 * exits_per_second);
    CHECK(fork_rate > 0.1 * forks_per_second);
    CHECK(exit_rate > 0.1 * exits_per_second);
    CHECK(walks > 20);
}
