// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/environ`: the environment that a process was started with.

#include <taskpeek/result.hpp>
#include <taskpeek/text/strings.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// One string of an environment: `NAME=value`, by convention only.
struct environment_entry {
    std::string_view text; ///< raw bytes

    constexpr environment_entry() noexcept = default;
    constexpr explicit environment_entry(std::string_view whole) noexcept : text{whole} {}

    /// What stands before the first `=`; the whole string if there is none.
    [[nodiscard]] constexpr std::string_view name() const noexcept { return text.substr(0, text.find('=')); }

    /// What stands behind the first `=`; none if there is none.
    [[nodiscard]] constexpr std::optional<std::string_view> value() const noexcept
    {
        auto const sign = text.find('=');
        if (sign == std::string_view::npos) return std::nullopt;
        return text.substr(sign + 1);
    }

    friend constexpr bool operator==(environment_entry, environment_entry) noexcept = default;
};

/// The environment of a process as execve(2) laid it out (fs/proc/base.c, environ_read), read from its memory. setenv(3) does not
/// show here; a process may have overwritten it (setproctitle(3) does), so any bytes can stand here.
/// Kernel threads and zombies have none: an empty text, on later kernels (seen on 6.18) ESRCH.
/// Errors: none. A text cut anywhere is another text of this kind; only `ends_with_nul()` may tell.
/// Lifetime: views into the text.
struct environ {
    static constexpr kernel_file file = kernel_file::environ; ///< what it decodes
    static constexpr std::size_t typical_size = 8192; ///< bytes; some environments are much larger
    static constexpr bool needs_address_space = true; ///< emptiness may mean that there is none

    text::strings<environment_entry> entries; ///< in the order given to execve(2)

    /// The value of the first entry called \p name, as getenv(3) would have found it at the start.
    [[nodiscard]] constexpr std::optional<std::string_view> value_of(std::string_view name) const noexcept
    {
        for (auto const entry : entries)
            if (auto const value = entry.value(); value && entry.name() == name) return value;
        return std::nullopt;
    }

    /// Is the last entry whole?
    [[nodiscard]] constexpr bool ends_with_nul() const noexcept { return entries.text().ends_with('\0'); }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Environ, class Visitor>
    static constexpr void each_field(Environ& e, Visitor&& visit) noexcept { visit("environ", e.entries); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<environ> parse(std::string_view text) noexcept
    {
        return environ{text::strings<environment_entry>{text}};
    }
};

} // namespace taskpeek::procfs
