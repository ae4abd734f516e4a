// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The per-task flags of the kernel, `PF_*` of include/linux/sched.h, as field 9 of `stat` shows them.

#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// The flags that have kept their bit from 3.10 (or since they came) to 6.18. The others have moved or gone: docs/support.md.
enum class task_flag : std::uint32_t {
    exiting = 0x00000004,        ///< PF_EXITING: is shutting down
    wq_worker = 0x00000020,      ///< PF_WQ_WORKER: a workqueue worker
    forknoexec = 0x00000040,     ///< PF_FORKNOEXEC: has forked and not exec'ed since
    mce_process = 0x00000080,    ///< PF_MCE_PROCESS: its process handles memory errors by a policy of its own (PR_MCE_KILL)
    superpriv = 0x00000100,      ///< PF_SUPERPRIV: has used a capability
    dumpcore = 0x00000200,       ///< PF_DUMPCORE: dumped core
    signaled = 0x00000400,       ///< PF_SIGNALED: killed by a signal
    memalloc = 0x00000800,       ///< PF_MEMALLOC: allocates to free memory
    nproc_exceeded = 0x00001000, ///< PF_NPROC_EXCEEDED: its user had more tasks than RLIMIT_NPROC at a set*uid(2)
    used_math = 0x00002000,      ///< PF_USED_MATH: has used the FPU (not set by every architecture)
    nofreeze = 0x00008000,       ///< PF_NOFREEZE: is not frozen when the machine is suspended
    memalloc_noio = 0x00080000,  ///< PF_MEMALLOC_NOIO: its allocations start no I/O
    kthread = 0x00200000,        ///< PF_KTHREAD: a kernel thread
    randomize = 0x00400000,      ///< PF_RANDOMIZE: its address space is randomised
    no_setaffinity = 0x04000000, ///< PF_NO_SETAFFINITY: user space may not set its affinity (since 3.10)
    mce_early = 0x08000000,      ///< PF_MCE_EARLY: wants to be killed early for a memory error, not at the access
    suspend_task = 0x80000000    ///< PF_SUSPEND_TASK: has suspended the machine and is not frozen with it (since 3.11)
};

/// A set of `PF_*`. `bits` keeps those without a name here as well.
struct task_flags {
    std::uint32_t bits = 0;

    [[nodiscard]] constexpr bool has(task_flag flag) const noexcept { return (bits & static_cast<std::uint32_t>(flag)) != 0; }

    friend constexpr bool operator==(task_flags, task_flags) noexcept = default;
};

/// `"PF_KTHREAD"`.
[[nodiscard]] constexpr std::string_view name_of(task_flag flag) noexcept
{
    switch (flag) {
    case task_flag::exiting: return "PF_EXITING";
    case task_flag::wq_worker: return "PF_WQ_WORKER";
    case task_flag::forknoexec: return "PF_FORKNOEXEC";
    case task_flag::mce_process: return "PF_MCE_PROCESS";
    case task_flag::superpriv: return "PF_SUPERPRIV";
    case task_flag::dumpcore: return "PF_DUMPCORE";
    case task_flag::signaled: return "PF_SIGNALED";
    case task_flag::memalloc: return "PF_MEMALLOC";
    case task_flag::nproc_exceeded: return "PF_NPROC_EXCEEDED";
    case task_flag::used_math: return "PF_USED_MATH";
    case task_flag::nofreeze: return "PF_NOFREEZE";
    case task_flag::memalloc_noio: return "PF_MEMALLOC_NOIO";
    case task_flag::kthread: return "PF_KTHREAD";
    case task_flag::randomize: return "PF_RANDOMIZE";
    case task_flag::no_setaffinity: return "PF_NO_SETAFFINITY";
    case task_flag::mce_early: return "PF_MCE_EARLY";
    case task_flag::suspend_task: return "PF_SUSPEND_TASK";
    }
    return "";
}

template <text::gives_decimals In>
[[gnu::always_inline]] constexpr void read_value(In& in, task_flags& out) noexcept
{
    out.bits = in.template decimal<std::uint32_t>();
}

} // namespace taskpeek::procfs
