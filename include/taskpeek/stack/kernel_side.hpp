// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The kernel's half of a thread's calls: its frames in kernel mode, and the system call between them and the user's.

#include <taskpeek/procfs/stack.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/capture.hpp>
#include <taskpeek/stack/syscall_names.hpp>
#include <taskpeek/task/process.hpp>

#include <cstdint>
#include <string_view>

#include <fcntl.h>

namespace taskpeek::stack {

/// Why `stack` cannot be read, as far as the reader can tell.
enum class kernel_stack_rule : std::uint8_t {
    not_hidden,
    needs_admin,    ///< since 4.19 it takes CAP_SYS_ADMIN in the first user namespace, even for one's own threads
    needs_ptrace,   ///< the thread may not be attached to: another user's, not dumpable, Yama
    not_configured  ///< the kernel has no such file (CONFIG_STACKTRACE)
};

/// The rule in words.
[[nodiscard]] constexpr std::string_view describe(kernel_stack_rule rule) noexcept
{
    switch (rule) {
    case kernel_stack_rule::not_hidden: return "not hidden";
    case kernel_stack_rule::needs_admin: return "the kernel shows kernel stacks only with CAP_SYS_ADMIN in the first user namespace (since 4.19)";
    case kernel_stack_rule::needs_ptrace: return "the thread may not be attached to with ptrace(2)";
    case kernel_stack_rule::not_configured: return "this kernel has no file for it (CONFIG_STACKTRACE)";
    }
    return "";
}

/// The kernel side of one thread.
/// Lifetime: the frames are views into the memory that was lent.
struct kernel_side {
    result<procfs::stack> frames = error{};  ///< innermost first; empty of a thread that is on a CPU
    kernel_stack_rule hidden = kernel_stack_rule::not_hidden;
};

/// Reads the kernel stack of a thread (`task/<tid>/stack`). It is read at another time than the user's side: of a thread that runs
/// meanwhile the two do not belong together.
/// Lifetime: views into \p memory, of which `procfs::stack::typical_size` bytes suffice.
[[nodiscard]] inline kernel_side read_kernel_side(thread const& of, lent_buffer memory) noexcept
{
    kernel_side side;
    side.frames = of.read<procfs::stack>(memory);
    if (side.frames) return side;
    auto const code = side.frames.error().code;
    if (code == errc::unsupported) side.hidden = kernel_stack_rule::not_configured;
    if (code != errc::denied) return side;
    // `syscall` asks for the right to attach and for nothing else: so it tells which of the two rules refused.
    side.hidden = of.read<procfs::syscall>() ? kernel_stack_rule::needs_admin : kernel_stack_rule::needs_ptrace;
    return side;
}

/// The ABI whose numbers a process's system calls have: that of its executable. (A 64-bit program may still make 32-bit calls.)
/// Errors: as opening `exe` does; unsupported for a machine that we do not know.
[[nodiscard]] inline result<syscall_abi> abi_of(process const& of) noexcept
{
    auto const opened = io::open(of.directory(), "exe", O_RDONLY | O_NONBLOCK, kernel_file::exe, of.id());
    if (!opened) return opened.error();
    char header[20];
    auto const got = io::pread(opened.value().get(), header, sizeof header, 0);
    if (!got.ok()) return os_failure(got.error(), kernel_file::elf, of.id());
    if (got.count() == sizeof header && std::string_view{header, 4} == "\x7f" "ELF") {
        auto const machine = static_cast<unsigned>(static_cast<unsigned char>(header[18]) | static_cast<unsigned char>(header[19]) << 8);
        if (machine == 62) return syscall_abi::x86_64;
        if (machine == 3) return syscall_abi::i386;
        if (machine == 183) return syscall_abi::aarch64;
    }
    return error{errc::unsupported, kernel_file::elf, 0, of.id(), 0};
}

} // namespace taskpeek::stack
