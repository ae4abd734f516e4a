// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/schedstat` and `/proc/<tgid>/task/<tid>/schedstat`: how long a task ran and waited for a CPU.

#include <taskpeek/result.hpp>
#include <taskpeek/text/columns.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// The numbers of one thread (fs/proc/base.c, proc_pid_schedstat), named as in `task_struct`. The file of a process tells of its main
/// thread only. There is none without CONFIG_SCHED_INFO (before 4.2: CONFIG_SCHEDSTATS).
/// A line of `0 0 0` tells nothing: the kernel prints it while the accounting is off. All three are `nullopt` then.
/// Errors: truncated (no newline at the end), malformed (fewer than 3 numbers, or none).
struct schedstat {
    static constexpr kernel_file file = kernel_file::schedstat; ///< what it decodes
    static constexpr std::size_t typical_size = 80; ///< bytes; 3 numbers of 20 digits
    static constexpr bool holds_no_views = true; ///< may outlive the text

    std::optional<nanoseconds> sum_exec_runtime; ///< on a CPU
    std::optional<nanoseconds> run_delay;        ///< runnable, waiting for a CPU
    std::optional<std::uint64_t> pcount;         ///< timeslices: how often it got a CPU

    /// Calls `visit(name, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Schedstat, class Visitor>
    static constexpr void each_field(Schedstat& s, Visitor&& visit) noexcept
    {
        visit("sum_exec_runtime", s.sum_exec_runtime);
        visit("run_delay", s.run_delay);
        visit("pcount", s.pcount);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<schedstat> parse(std::string_view text) noexcept
    {
        schedstat s;
        text::cursor in{text};
        text::read_columns(in, s);
        if (!in.ok()) return in.failure(file);
        if (s.sum_exec_runtime->count == 0 && s.run_delay->count == 0 && *s.pcount == 0) return schedstat{};
        return s;
    }
};

} // namespace taskpeek::procfs
