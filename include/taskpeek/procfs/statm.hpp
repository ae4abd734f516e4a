// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/statm`: the size of an address space, in pages.

#include <taskpeek/result.hpp>
#include <taskpeek/text/columns.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <string_view>

namespace taskpeek::procfs {

/// The seven numbers of `statm` (fs/proc/array.c, proc_pid_statm), named as in proc(5). All 0 of a kernel thread or a zombie, which
/// have no address space; a process has a `size` above 0.
/// Errors: truncated (no newline at the end), malformed (fewer than 7 numbers, or none).
struct statm {
    static constexpr kernel_file file = kernel_file::statm; ///< what it decodes
    static constexpr std::size_t typical_size = 160; ///< bytes; 7 numbers of 20 digits
    static constexpr bool holds_no_views = true; ///< may outlive the text

    pages size;     ///< mapped: `VmSize` of `status`
    pages resident; ///< in memory: `VmRSS`; inexact, as that is
    pages shared;   ///< of `resident`, of files and shared memory: `RssFile` and `RssShmem`
    pages text;     ///< mapped code of the executable: `VmExe`
    pages lib;      ///< always 0 since 2.6
    pages data;     ///< private writable mappings, and stacks: `VmData` and `VmStk`
    pages dt;       ///< always 0 since 2.6

    /// Calls `visit(name, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Statm, class Visitor>
    static constexpr void each_field(Statm& s, Visitor&& visit) noexcept
    {
        visit("size", s.size);
        visit("resident", s.resident);
        visit("shared", s.shared);
        visit("text", s.text);
        visit("lib", s.lib);
        visit("data", s.data);
        visit("dt", s.dt);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<statm> parse(std::string_view printed) noexcept
    {
        statm s;
        text::cursor in{printed};
        text::read_columns(in, s);
        if (!in.ok()) return in.failure(file);
        return s;
    }
};

} // namespace taskpeek::procfs
