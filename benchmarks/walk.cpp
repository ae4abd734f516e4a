// SPDX-License-Identifier: BSL-1.0
// How near to the bare system calls a walk over live tasks comes: ours, libproc2's, and the tools of procps.

#include "command_line.hpp"
#include "contest.hpp"
#include "floor.hpp"
#include "load.hpp"

#include <taskpeek/taskpeek.hpp>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <libproc2/pids.h>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

std::uint64_t our_thread_stat()
{
    std::uint64_t count = 0;
    for (auto const& [id, stat] : tp::threads<pf::stat>()) {
        if (!stat) continue;
        benchmark::DoNotOptimize(stat.value());
        ++count;
    }
    return count;
}

std::uint64_t our_process_status()
{
    std::uint64_t count = 0;
    for (auto const& [id, status] : tp::processes<pf::status>()) {
        if (!status) continue;
        benchmark::DoNotOptimize(status.value());
        ++count;
    }
    return count;
}

template <class Records>
std::uint64_t count_records(Records records)
{
    std::uint64_t count = 0;
    for (auto const& record : records) {
        benchmark::DoNotOptimize(record);
        ++count;
    }
    if (!records.status()) std::abort();
    return count;
}

/// A handle of libproc2 that is asked for \p items of every task, again and again.
class libproc2 {
public:
    libproc2(std::initializer_list<pids_item> items, pids_fetch_type what) : items_{items}, what_{what}
    {
        if (procps_pids_new(&handle_, items_.data(), static_cast<int>(items_.size())) < 0) std::abort();
    }
    libproc2(libproc2 const&) = delete;
    libproc2& operator=(libproc2 const&) = delete;
    ~libproc2() { procps_pids_unref(&handle_); }

    std::uint64_t pass() { return static_cast<std::uint64_t>(procps_pids_reap(handle_, what_)->counts->total); }

private:
    std::vector<pids_item> items_;
    pids_fetch_type what_;
    pids_info* handle_ = nullptr;
};

/// Runs a program to its end, its output thrown away.
std::uint64_t run(std::vector<std::string> words)
{
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid = -1;
    int status = -1;
    if (posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) == 0) ::waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) std::abort();
    return 0;
}

bench::contestant in_process(std::string name, std::function<std::uint64_t()> pass)
{
    return {.name = std::move(name), .pass = std::move(pass), .allocations = 0};
}

bench::contestant as_a_program(std::vector<std::string> words)
{
    auto name = words.front() + "(1)";
    return {.name = std::move(name), .pass = [words = std::move(words)] { return run(words); }};
}

} // namespace

int main(int argc, char** argv) // NOLINT(bugprone-exception-escape): ends the program, and says what
{
    auto const json = bench::read_command_line(argc, argv);

    bench::children children;
    children.add_threads(5000);
    for (int i = 0; i < 500; ++i) children.add_sleeper();
    auto const many_vmas = children.add_vmas(10'000);
    auto const pid = std::to_string(many_vmas);
    auto const maps = "/proc/" + pid + "/maps", smaps = "/proc/" + pid + "/smaps";
    auto const process = tp::process::open(tp::tgid{many_vmas});
    if (!process) std::abort();

    libproc2 all_stat{{PIDS_ID_PID, PIDS_ID_TGID, PIDS_ID_PPID, PIDS_STATE, PIDS_TIME_START, PIDS_TICS_USER, PIDS_TICS_SYSTEM, PIDS_FLT_MIN,
                       PIDS_PRIORITY, PIDS_NICE, PIDS_PROCESSOR, PIDS_SCHED_CLASS},
                      PIDS_FETCH_THREADS_TOO};
    libproc2 all_status{{PIDS_ID_PID, PIDS_ID_EUID, PIDS_ID_RUID, PIDS_ID_EGID, PIDS_VM_RSS, PIDS_VM_SIZE, PIDS_VM_DATA, PIDS_VM_SWAP,
                         PIDS_SIGNALS},
                        PIDS_FETCH_TASKS_ONLY};

    std::pair<bench::contest, int> contests[] = {
        {{"thread_walk_stat",
          {in_process("floor", bench::bare_thread_stat), in_process("taskpeek", our_thread_stat),
           in_process("libproc2", [&] { return all_stat.pass(); }), as_a_program({"ps", "-eLo", "pid,lwp,ppid,s,time,pri,ni,psr,cls"})}},
         60},
        {{"process_walk_status",
          {in_process("floor", bench::bare_process_status), in_process("taskpeek", our_process_status),
           in_process("libproc2", [&] { return all_status.pass(); }), as_a_program({"ps", "-eo", "pid,uid,ruid,rss,vsz,pending,blocked"})}},
         200},
        {{"maps_of_10000_vmas",
          {in_process("floor", [&] { return bench::bare_stream(maps.c_str()); }),
           in_process("taskpeek", [&] { return count_records(process.value().maps()); }), as_a_program({"pmap", pid})}},
         300},
        {{"smaps_of_10000_vmas",
          {in_process("floor", [&] { return bench::bare_stream(smaps.c_str()); }),
           in_process("taskpeek", [&] { return count_records(process.value().smaps()); }), as_a_program({"pmap", "-X", pid})}},
         60},
    };
    for (auto& [contest, rounds] : contests) contest.enter(rounds);

    benchmark::RunSpecifiedBenchmarks();
    auto rows = nlohmann::ordered_json::array();
    for (auto const& [contest, rounds] : contests) contest.report(rows);
    return bench::write_json(json, rows);
}
