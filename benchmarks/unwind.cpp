// SPDX-License-Identifier: BSL-1.0
// What unwinding alone costs: 100 threads, 21 calls and more deep, by us and by elfutils' libdw, from the same registers and the same
// copies of their stacks, both warm. The kernel has no part in it.

#include "../tests/support/libdw_oracle.hpp"
#include "command_line.hpp"
#include "contest.hpp"

#include <taskpeek/stack/unwind.hpp>
#include <taskpeek/taskpeek.hpp>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace tp = taskpeek;
namespace st = taskpeek::stack;

constexpr int thread_count = 100;
constexpr int calls = 17; // and those of the C library around them
int volatile sink;

// NOLINTNEXTLINE(misc-no-recursion): that is the matter
[[gnu::noinline]] int go_deeper(int left)
{
    char volatile room[48];
    room[0] = static_cast<char>(left);
    if (left == 0) pause();
    else sink = go_deeper(left - 1);
    return room[0] + 1;
}

[[noreturn]] void be_deep(int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < thread_count; ++i) std::thread{[] { sink = go_deeper(calls - 1); }}.detach();
    usleep(200'000);
    (void)!write(ready, "", 1);
    for (;;) pause();
}

} // namespace

int main(int argc, char** argv) // NOLINT(bugprone-exception-escape): ends the program, and says what
{
    auto const json = bench::read_command_line(argc, argv);
    int ready[2];
    if (pipe(ready) != 0) return 1;
    auto const child = fork();
    if (child == 0) be_deep(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    auto const process = tp::process::open(tp::tgid{child});
    std::vector<char> memory(1u << 20), rows(st::unwinder::typical_memory), stacks(8u << 20);
    auto const maps = st::mapping_table::read(process.value(), memory);
    if (!maps) return 1;
    std::vector<st::thread_capture> captures;
    std::size_t used = 0;
    for (auto const& row : process.value().threads<>()) {
        auto const thread = process.value().thread(row.id().tid);
        if (!thread || row.id().is_leader()) continue;
        captures.push_back(st::brief_stop(thread.value(), maps.value(), {stacks.data() + used, stacks.size() - used}));
        used += (captures.back().copied() + 15) & ~std::size_t{15};
    }

    st::unwinder unwinder{maps.value(), tp::tgid{child}, process.value().directory(), rows};
    std::vector<st::frame> frames(256);
    auto const by_us = [&] {
        std::uint64_t n = 0;
        for (auto const& c : captures) {
            auto const u = unwinder.unwind(c, frames);
            n += u.is_complete() ? u.frames.size() : 0;
        }
        return n;
    };
    tp::tests::libdw_oracle libdw{child};
    auto const by_libdw = [&] {
        std::uint64_t n = 0;
        for (auto const& c : captures) n += libdw.unwind(c).size();
        return n;
    };
    if (!libdw.is_ready() || by_us() != by_libdw()) return 1;
    std::printf("%zu threads, %ju frames\n", captures.size(), static_cast<std::uintmax_t>(by_us()));

    bench::contest contest{"unwind_100_threads", // libdw is to take at least 4 times as long
                           {{.name = "libdw", .pass = by_libdw, .allocations = 0}, {.name = "taskpeek", .pass = by_us, .allocations = 0}}};
    contest.enter(100);
    benchmark::RunSpecifiedBenchmarks();
    auto rows_of_json = nlohmann::ordered_json::array();
    contest.report(rows_of_json);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return bench::write_json(json, rows_of_json);
}
