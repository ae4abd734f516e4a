// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/comm` and `/proc/<tgid>/task/<tid>/comm`: the name of a task.

#include <taskpeek/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// The name of a task (fs/proc/base.c, comm_show; since 2.6.33): what prctl(PR_SET_NAME) or execve(2) set last. One newline ends the
/// text; newlines before it are the name's own, so a text cut behind one of these is another name.
/// Errors: truncated (no newline at the end).
/// Lifetime: `name` is a view into the text.
struct comm {
    static constexpr kernel_file file = kernel_file::comm; ///< what it decodes
    static constexpr std::size_t typical_size = 128; ///< bytes; the longest name has 63

    /// Raw bytes: up to 15; up to 63 of workqueue workers since 4.18 and of all kernel threads since 5.17. May be empty.
    std::string_view name;

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Comm, class Visitor>
    static constexpr void each_field(Comm& c, Visitor&& visit) noexcept { visit("comm", c.name); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<comm> parse(std::string_view text) noexcept
    {
        if (!text.ends_with('\n')) return error{errc::truncated, file, 0, {}, static_cast<std::uint32_t>(text.size())};
        return comm{text.substr(0, text.size() - 1)};
    }
};

} // namespace taskpeek::procfs
