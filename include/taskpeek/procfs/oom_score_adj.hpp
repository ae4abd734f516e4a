// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/oom_score_adj`: by how much user space has shifted a process's `oom_score`.

#include <taskpeek/result.hpp>
#include <taskpeek/text/columns.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// The adjustment (fs/proc/base.c, oom_score_adj_read; since 2.6.36): -1000, never to be killed, … 1000, the first to be killed.
/// Errors: truncated (no newline at the end), malformed (no number).
struct oom_score_adj {
    static constexpr kernel_file file = kernel_file::oom_score_adj; ///< what it decodes
    static constexpr std::size_t typical_size = 32; ///< bytes; one number
    static constexpr bool holds_no_views = true; ///< may outlive the text

    std::int32_t value = 0;

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Record, class Visitor>
    static constexpr void each_field(Record& r, Visitor&& visit) noexcept { visit("oom_score_adj", r.value); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<oom_score_adj> parse(std::string_view text) noexcept
    {
        oom_score_adj score;
        text::cursor in{text};
        text::read_columns(in, score);
        if (!in.ok()) return in.failure(file);
        return score;
    }
};

} // namespace taskpeek::procfs
