// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Sets of signals, as `SigPnd`, `ShdPnd`, `SigBlk`, `SigIgn` and `SigCgt` of `status` show them.

#include <taskpeek/procfs/set_bits.hpp>
#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// A set of signals 1 … 64: bit n-1 is signal n (fs/proc/array.c, render_sigset_t).
struct signal_set {
    std::uint64_t bits = 0;

    /// Is \p signal in the set? A number that no signal has is not.
    [[nodiscard]] constexpr bool has(int signal) const noexcept
    {
        return signal >= 1 && signal <= 64 && (bits >> (signal - 1) & 1) != 0;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits == 0; }

    /// The signals, ascending. \code for (int const signal : *status.sig_cgt) use(signal_name(signal)); \endcode
    [[nodiscard]] constexpr auto begin() const noexcept { return set_bits<int, 1>::iterator{bits}; }
    [[nodiscard]] constexpr auto end() const noexcept { return set_bits<int, 1>::sentinel{}; }

    friend constexpr bool operator==(signal_set, signal_set) noexcept = default;
};

/// `"SIGSEGV"` for the 31 standard signals of x86, arm and most others (alpha, mips, parisc and sparc number some differently:
/// signal(7)); `"SIGRTMIN"` for 32, the kernel's first real-time signal (glibc's SIGRTMIN is 34); empty for 33 … 64, which have
/// numbers only.
[[nodiscard]] constexpr std::string_view signal_name(int signal) noexcept
{
    constexpr std::string_view names[] = {
        "", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
        "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU",
        "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS", "SIGRTMIN"};
    return signal >= 1 && signal <= 32 ? names[signal] : std::string_view{};
}

/// Sixteen hex digits: `0000000000004002`.
template <text::gives_hex In>
[[gnu::always_inline]] constexpr void read_value(In& in, signal_set& out) noexcept { out.bits = in.template hex<std::uint64_t>(); }

} // namespace taskpeek::procfs
