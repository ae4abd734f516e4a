// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/task/<tid>/children`: the child processes that one thread has.

#include <taskpeek/ids.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/list.hpp>

#include <cstddef>
#include <string_view>

namespace taskpeek::procfs {

/// The children of one thread (fs/proc/array.c, children_seq_show; since 3.5, with CONFIG_PROC_CHILDREN since 4.2). A child belongs
/// to the thread that created it, or that it was given to: the children of a process are those of all its threads.
/// While children come and go, some may be missing; the list is exact only of a stopped process.
/// Each id is followed by a blank, no newline ends the text: one that was cut behind a blank is not known from a shorter list.
/// Errors: truncated (the last id has no blank behind it), malformed.
/// Lifetime: a view into the text.
struct children {
    static constexpr kernel_file file = kernel_file::children; ///< what it decodes
    static constexpr std::size_t typical_size = 1024; ///< bytes; room for 100 children and more
    static constexpr bool many_reads = true;          ///< a read gives about a page of it

    text::list<tgid> ids; ///< in the order of birth

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Children, class Visitor>
    static constexpr void each_field(Children& c, Visitor&& visit) noexcept { visit("children", c.ids); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<children> parse(std::string_view text) noexcept
    {
        text::cursor in{text};
        while (!in.at_end()) {
            (void)in.decimal<decltype(tgid::value)>();
            in.expect(' ');
        }
        if (!in.ok()) return in.failure(file);
        return children{text::list<tgid>{text}};
    }
};

} // namespace taskpeek::procfs
