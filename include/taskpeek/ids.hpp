// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The ids of tasks and users, each a type of its own: mixing two does not compile.

#include <compare>
#include <cstdint>

namespace taskpeek {

/// A number that only means something together with its \p Tag.
template <class Tag, class Rep>
struct strong_id {
    Rep value{};

    constexpr strong_id() noexcept = default;
    constexpr explicit strong_id(Rep v) noexcept : value{v} {}

    friend constexpr bool operator==(strong_id, strong_id) noexcept = default;
    friend constexpr auto operator<=>(strong_id, strong_id) noexcept = default;
};

/// Id of one task, `task_struct.pid` in the kernel: what gettid(2) returns and ps calls LWP.
using tid = strong_id<struct tid_tag, std::int32_t>;

/// Id of one process (thread group), `task_struct.tgid` in the kernel: what getpid(2) returns and ps calls PID.
using tgid = strong_id<struct tgid_tag, std::int32_t>;

/// Id of a process group: what getpgrp(2) returns.
using pgid = strong_id<struct pgid_tag, std::int32_t>;

/// Id of a session: what getsid(2) returns.
using sid = strong_id<struct sid_tag, std::int32_t>;

/// A user id, as the reader's user namespace sees it.
using uid = strong_id<struct uid_tag, std::uint32_t>;

/// A group id, as the reader's user namespace sees it.
using gid = strong_id<struct gid_tag, std::uint32_t>;

/// The two ids that name a task: the process that it belongs to, and its own.
struct task_id {
    taskpeek::tgid tgid;
    taskpeek::tid tid;

    /// Is this the task whose id is the process's id?
    [[nodiscard]] constexpr bool is_leader() const noexcept { return tgid.value == tid.value; }

    friend constexpr bool operator==(task_id, task_id) noexcept = default;
    friend constexpr auto operator<=>(task_id, task_id) noexcept = default;
};

/// The task of process \p process that carries the process's own id.
[[nodiscard]] constexpr task_id leader_of(tgid process) noexcept { return {process, tid{process.value}}; }

} // namespace taskpeek
