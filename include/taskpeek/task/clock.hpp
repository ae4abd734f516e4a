// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// When a task began, and how much CPU it used between two looks.

#include <taskpeek/io/syscall.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/units.hpp>

#include <cstdint>

namespace taskpeek {

/// When the task of \p stat began, since the epoch. As exact as `btime`: one second off at most, plus a clock tick.
/// Errors: unsupported (\p sys has no boot time).
[[nodiscard]] constexpr result<nanoseconds> start_time(procfs::stat const& stat, system_info const& sys) noexcept
{
    if (!sys.boot_time) return error{errc::unsupported, kernel_file::system_stat, 0, {}, 0};
    return nanoseconds{sys.boot_time->count * 1'000'000'000} + to_nanoseconds(stat.starttime, sys);
}

/// Time since some point in the past, which setting the clock does not move (CLOCK_MONOTONIC).
[[nodiscard]] inline nanoseconds monotonic_now() noexcept
{
    struct { std::int64_t seconds = 0, nanoseconds = 0; } now; // __kernel_timespec of 64-bit ABIs, and of clock_gettime64
#if defined SYS_clock_gettime64
    (void)io::system_call(SYS_clock_gettime64, 1, io::as_argument(&now));
#else
    (void)io::system_call(SYS_clock_gettime, 1, io::as_argument(&now));
#endif
    return nanoseconds{static_cast<std::uint64_t>(now.seconds) * 1'000'000'000 + static_cast<std::uint64_t>(now.nanoseconds)};
}

/// A task's CPU time at one moment. Of a process: of all its threads, those that ended included; of a thread: its own.
struct cpu_look {
    tid task;
    clock_ticks started; ///< since boot: a tid that is used again does not pass for the task that had it
    clock_ticks used;    ///< user and kernel mode
    nanoseconds at;      ///< on the clock of `monotonic_now`

    constexpr cpu_look(procfs::stat const& stat, nanoseconds taken_at) noexcept
        : task{stat.pid}, started{stat.starttime}, used{stat.utime + stat.stime}, at{taken_at} {}
};

/// How many CPUs the task kept busy between two looks: 1.0 is one CPU all the time. In steps of a clock tick (mostly 10 ms).
/// Errors: invalid (the looks are of two tasks, or not one after the other).
[[nodiscard]] constexpr result<double> cpu_usage(cpu_look const& before, cpu_look const& after, system_info const& sys) noexcept
{
    if (before.task != after.task || before.started != after.started || after.at <= before.at)
        return error{errc::invalid, kernel_file::stat, 0, {tgid{after.task.value}, after.task}, 0};
    if (after.used < before.used) return 0.0; // the kernel's sums may step back by a tick (kernel/sched/cputime.c, cputime_adjust)
    auto const busy = to_nanoseconds(after.used - before.used, sys);
    return static_cast<double>(busy.count) / static_cast<double>((after.at - before.at).count);
}

} // namespace taskpeek
