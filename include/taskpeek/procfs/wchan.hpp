// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/wchan` and `/proc/<tgid>/task/<tid>/wchan`: the kernel function in which a task waits.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// Where a task waits (fs/proc/base.c, proc_pid_wchan; with CONFIG_KALLSYMS). `0` is printed of a task that runs or is runnable, and
/// to a reader who may not ptrace the task: the two look alike. Up to 4.3 such a reader got an empty text, and where no symbol
/// fits, the address was printed in decimal.
/// No newline ends the text: one that was cut is another text.
/// Errors: none.
/// Lifetime: `text` is a view into the text.
struct wchan {
    static constexpr kernel_file file = kernel_file::wchan; ///< what it decodes
    static constexpr std::size_t typical_size = 512; ///< bytes; a symbol has up to 511 since 6.1

    std::string_view text; ///< as printed

    /// The function; empty if the kernel does not tell one.
    [[nodiscard]] constexpr std::string_view symbol() const noexcept { return is_number() ? std::string_view{} : text; }

    /// The address that kernels up to 4.3 print where they have no symbol.
    [[nodiscard]] constexpr optional_address location() const noexcept
    {
        if (!is_number()) return {};
        text::cursor in{text};
        auto const number = in.decimal<std::uint64_t>();
        return in.ok() && in.at_end() ? optional_address{number} : optional_address{};
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Wchan, class Visitor>
    static constexpr void each_field(Wchan& w, Visitor&& visit) noexcept { visit("wchan", w.text); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<wchan> parse(std::string_view text) noexcept { return wchan{text}; }

private:
    // No symbol begins with a digit.
    [[nodiscard]] constexpr bool is_number() const noexcept { return !text.empty() && text.front() >= '0' && text.front() <= '9'; }
};

} // namespace taskpeek::procfs
