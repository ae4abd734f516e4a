// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How a task is scheduled.

#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// A scheduling policy: `SCHED_*` of include/uapi/linux/sched.h. A number of a kernel to come is kept; its `name()` is empty.
struct scheduling_policy {
    std::uint32_t number = 0;

    /// `"SCHED_FIFO"`.
    [[nodiscard]] constexpr std::string_view name() const noexcept
    {
        switch (number) {
        case 0: return "SCHED_OTHER";     // SCHED_NORMAL in the kernel
        case 1: return "SCHED_FIFO";
        case 2: return "SCHED_RR";
        case 3: return "SCHED_BATCH";
        case 5: return "SCHED_IDLE";
        case 6: return "SCHED_DEADLINE";  // since 3.14
        case 7: return "SCHED_EXT";       // since 6.12
        default: return "";
        }
    }

    /// Does it run ahead of every task of an ordinary policy (FIFO, RR, DEADLINE)?
    [[nodiscard]] constexpr bool is_realtime() const noexcept { return number == 1 || number == 2 || number == 6; }

    friend constexpr bool operator==(scheduling_policy, scheduling_policy) noexcept = default;
};

template <text::gives_decimals In>
[[gnu::always_inline]] constexpr void read_value(In& in, scheduling_policy& out) noexcept
{
    out.number = in.template decimal<std::uint32_t>();
}

} // namespace taskpeek::procfs
