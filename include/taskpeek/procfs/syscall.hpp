// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/syscall` and `/proc/<tgid>/task/<tid>/syscall`: the system call that a task is blocked in.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// The six argument registers of a system call, used or not.
struct syscall_arguments {
    std::uint64_t values[6] = {};

    [[nodiscard]] constexpr std::uint64_t operator[](std::size_t i) const noexcept { return values[i]; }
    friend constexpr bool operator==(syscall_arguments const&, syscall_arguments const&) noexcept = default;
};

/// What a task is blocked in (fs/proc/base.c, proc_pid_syscall; lib/syscall.c; with CONFIG_HAVE_ARCH_TRACEHOOK).
/// Errors: truncated, malformed. Reading the file needs the right to attach with ptrace(2).
struct syscall {
    static constexpr kernel_file file = kernel_file::syscall; ///< what it decodes
    static constexpr std::size_t typical_size = 192; ///< bytes; a number, 6 arguments, sp and pc
    static constexpr bool holds_no_views = true; ///< may outlive the text

    /// Which of its four forms the line has.
    enum class form : std::uint8_t {
        running,           ///< `running`: on a CPU, or runnable: the kernel has no registers to show
        inside,            ///< blocked in a system call: everything is told
        outside,           ///< blocked elsewhere, in a page fault say: `sp` and `pc` are told
        no_user_registers  ///< nothing but zeros: a kernel thread, a zombie. (`0 0x0 0x0 …` is no read(2).)
    };

    form kind = form::running;
    std::optional<std::int64_t> nr;        ///< number of the system call, by the task's ABI (29 is pause for i386, shmget for x86-64)
    std::optional<syscall_arguments> args;
    std::optional<address> sp;             ///< user stack pointer
    std::optional<address> pc;             ///< user instruction pointer

    /// Calls `visit(name, field)` for every field, in the kernel's order; `kind` follows from them.
    template <class Syscall, class Visitor>
    static constexpr void each_field(Syscall& s, Visitor&& visit) noexcept
    {
        visit("nr", s.nr);
        visit("args", s.args);
        visit("sp", s.sp);
        visit("pc", s.pc);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<syscall> parse(std::string_view text) noexcept
    {
        syscall s;
        text::cursor in{text};
        if (in.peek() == 'r') {
            in.expect("running");
        } else {
            auto const number = in.decimal<std::int64_t>();
            syscall_arguments args;
            if (number >= 0)
                for (auto& arg : args.values) arg = hex(in);
            address const sp{hex(in)};
            address const pc{hex(in)};
            bool const told = sp.value != 0 || pc.value != 0;
            if (told && number >= 0) {
                s.nr = number;
                s.args = args;
            }
            if (told) {
                s.sp = sp;
                s.pc = pc;
            }
            s.kind = !told ? form::no_user_registers : number >= 0 ? form::inside : form::outside;
        }
        if (in.peek() != ' ' && in.peek() != '\n') in.fail();
        in.next_line();
        if (!in.ok()) return in.failure(file);
        return s;
    }

private:
    [[nodiscard]] static constexpr std::uint64_t hex(text::cursor& in) noexcept
    {
        in.expect(' ');
        return in.prefixed_hex<std::uint64_t>();
    }
};

} // namespace taskpeek::procfs
