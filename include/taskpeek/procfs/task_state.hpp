// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What a task is doing, as one letter.

#include <taskpeek/text/cursor.hpp>

#include <string_view>

namespace taskpeek::procfs {

/// State of a task: the letter of `stat`, and of `State:` in `status` (fs/proc/array.c, task_state_array).
/// A letter of a kernel to come is kept; its `name()` is empty.
struct task_state {
    char letter = '?';

    static const task_state running, sleeping, disk_sleep, stopped, tracing_stop, dead, zombie, parked, idle;

    /// The kernel's word for the letter: `"disk sleep"`.
    [[nodiscard]] constexpr std::string_view name() const noexcept
    {
        switch (letter) {
        case 'R': return "running";        // runnable or on a CPU
        case 'S': return "sleeping";       // interruptible
        case 'D': return "disk sleep";     // uninterruptible
        case 'T': return "stopped";        // by a signal
        case 't': return "tracing stop";
        case 'X': case 'x': return "dead"; // x: 2.6.33 to 3.13
        case 'Z': return "zombie";
        case 'P': return "parked";         // since 4.14 (3.9 to 3.13 knew the letter and never printed it)
        case 'I': return "idle";           // since 4.14
        case 'K': return "wakekill";       // 2.6.33 to 3.13
        case 'W': return "waking";         // 2.6.33 to 3.13
        default: return "";
        }
    }

    friend constexpr bool operator==(task_state, task_state) noexcept = default;
};

inline constexpr task_state task_state::running{'R'};
inline constexpr task_state task_state::sleeping{'S'};
inline constexpr task_state task_state::disk_sleep{'D'};
inline constexpr task_state task_state::stopped{'T'};
inline constexpr task_state task_state::tracing_stop{'t'};
inline constexpr task_state task_state::dead{'X'};
inline constexpr task_state task_state::zombie{'Z'};
inline constexpr task_state task_state::parked{'P'};
inline constexpr task_state task_state::idle{'I'};

/// `S`, and in `status` the word after it, which is passed over.
[[gnu::always_inline]] constexpr void read_value(text::cursor& in, task_state& out) noexcept
{
    if (in.peek() == '\n') in.fail();
    out.letter = in.byte();
}

} // namespace taskpeek::procfs
