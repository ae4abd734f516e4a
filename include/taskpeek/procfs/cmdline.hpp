// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/cmdline`: the arguments of a process, or what it has written over them.

#include <taskpeek/result.hpp>
#include <taskpeek/text/strings.hpp>

#include <cstddef>
#include <string_view>

namespace taskpeek::procfs {

/// The arguments of a process (fs/proc/base.c, get_mm_cmdline), read from its memory: it may have overwritten them, and may do so
/// while they are read. Up to 4.1 the kernel cuts them after one page.
/// A process that overwrites the NUL behind its last argument (setproctitle(3)) is shown as the text up to the next NUL, be it in
/// the environment. Kernel threads and zombies have no arguments: an empty text.
/// Errors: none. A text cut anywhere is another text of this kind; only `ends_with_nul()` may tell.
/// Lifetime: views into the text.
struct cmdline {
    static constexpr kernel_file file = kernel_file::cmdline; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes; some command lines are much longer
    static constexpr bool needs_address_space = true; ///< emptiness may mean that there is none

    text::strings<> arguments; ///< raw bytes each; empty ones count

    /// Is the last argument whole? It is not if the process took the NUL away, or the text was cut.
    [[nodiscard]] constexpr bool ends_with_nul() const noexcept { return arguments.text().ends_with('\0'); }

    /// Does it look like one text that the process has set, rather than arguments: a first string with a blank in it, and nothing
    /// but empty strings behind? A program whose path holds a blank, run without arguments, looks alike.
    [[nodiscard]] constexpr bool may_be_title() const noexcept
    {
        auto const text = arguments.text();
        auto const first = text.substr(0, text.find('\0'));
        return first.find(' ') != std::string_view::npos && text.find_first_not_of('\0', first.size()) == std::string_view::npos;
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Cmdline, class Visitor>
    static constexpr void each_field(Cmdline& c, Visitor&& visit) noexcept { visit("cmdline", c.arguments); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<cmdline> parse(std::string_view text) noexcept
    {
        return cmdline{text::strings<>{text}};
    }
};

} // namespace taskpeek::procfs
