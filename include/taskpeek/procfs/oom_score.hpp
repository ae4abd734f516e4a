// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/oom_score`: how likely the kernel is to kill a process when memory runs out.

#include <taskpeek/result.hpp>
#include <taskpeek/text/columns.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// The badness of a process (fs/proc/base.c, proc_oom_score), 0 … 2000: the highest is killed first. A process that uses next to
/// no memory has 666 since 5.9 and 0 before; one with `oom_score_adj` -1000 has 0.
/// Errors: truncated (no newline at the end), malformed (no number).
struct oom_score {
    static constexpr kernel_file file = kernel_file::oom_score; ///< what it decodes
    static constexpr std::size_t typical_size = 32; ///< bytes; one number
    static constexpr bool holds_no_views = true; ///< may outlive the text

    std::uint64_t value = 0;

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Record, class Visitor>
    static constexpr void each_field(Record& r, Visitor&& visit) noexcept { visit("oom_score", r.value); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<oom_score> parse(std::string_view text) noexcept
    {
        oom_score score;
        text::cursor in{text};
        text::read_columns(in, score);
        if (!in.ok()) return in.failure(file);
        return score;
    }
};

} // namespace taskpeek::procfs
