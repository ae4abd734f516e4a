// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/stack` and `/proc/<tgid>/task/<tid>/stack`: the kernel functions that a task is in.

#include <taskpeek/result.hpp>
#include <taskpeek/text/lines.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// One call in the kernel: `[<0>] do_wait+0x160/0x2f0 [module]`.
struct kernel_frame {
    optional_address pc;     ///< told up to 4.14 (there to the privileged), and where no symbol fits
    std::string_view symbol; ///< with the compiler's suffixes; empty where the kernel found none
    bytes offset;            ///< of the return address in the function
    bytes size;              ///< of the function
    std::string_view module; ///< the module, or `bpf`; empty for the kernel's own
    bool reliable = true;    ///< false behind a `?`: found on the stack, but maybe of an earlier call

    /// The symbol without what compilers append to a function of which they made a variant: `.llvm.123`, `.constprop.0`, `.isra.0`,
    /// `.part.0`, `.cold` …
    [[nodiscard]] constexpr std::string_view base_name() const noexcept
    {
        for (auto dot = symbol.find('.', 1); dot != std::string_view::npos; dot = symbol.find('.', dot + 1)) {
            auto const rest = symbol.substr(dot + 1);
            auto const word = rest.substr(0, rest.find('.'));
            for (std::string_view const suffix : {"llvm", "constprop", "isra", "part", "cold", "lto_priv", "localalias", "clone"})
                if (word == suffix) return symbol.substr(0, dot);
        }
        return symbol;
    }

    /// Is it no call but the mark that kernels up to 4.19 put behind the outermost: an address of ones only?
    [[nodiscard]] constexpr bool is_terminator() const noexcept
    {
        return symbol.empty() && (pc.raw() == UINT64_MAX || pc.raw() == UINT32_MAX);
    }

    friend constexpr bool operator==(kernel_frame const&, kernel_frame const&) noexcept = default;
};

/// `[<0>] f+0x1/0x2 [module]`, `[<ffffffff81000000>] f+0x1/0x2`, `[<0>] ? f+0x1/0x2`, `[<0>] 0xffffffffc0000000`, or any of them
/// without the brackets in front.
constexpr void read_value(text::cursor& in, kernel_frame& out) noexcept
{
    out = {};
    if (in.skip("[<")) {
        out.pc = optional_address{in.hex<std::uint64_t>()};
        in.expect(">] ");
    }
    out.reliable = !in.skip("? ");
    if (in.skip("0x")) {
        out.pc = optional_address{in.hex<std::uint64_t>()};
    } else {
        out.symbol = in.until('+');
        if (in.ok() && out.symbol.empty()) in.fail_at(in.position() - 1);
        out.offset = bytes{in.prefixed_hex<std::uint64_t>()};
        in.expect('/');
        out.size = bytes{in.prefixed_hex<std::uint64_t>()};
    }
    if (!in.at_end() && in.peek() != ' ') in.fail();
    if (in.skip(" [")) out.module = in.until(']');
}

/// The kernel stack of a task, innermost call first (fs/proc/base.c, proc_pid_stack; with CONFIG_STACKTRACE): at most 64 frames.
/// Empty of a task that is on a CPU (of others than the reader), and of a zombie. Reading the file needs CAP_SYS_ADMIN in the
/// first user namespace since 4.19, even for one's own tasks, and the right to attach with ptrace(2) before.
/// A text cut between two lines is not known from a shallower stack.
/// Errors: truncated (no newline at the end), malformed.
/// Lifetime: views into the text.
struct stack {
    static constexpr kernel_file file = kernel_file::stack; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes; 64 frames

    text::lines<kernel_frame> frames; ///< without the terminator of older kernels

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Stack, class Visitor>
    static constexpr void each_field(Stack& s, Visitor&& visit) noexcept { visit("stack", s.frames); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<stack> parse(std::string_view text) noexcept
    {
        text::cursor in{text};
        auto frames = text;
        while (!in.at_end()) {
            auto const* const line = in.position();
            kernel_frame frame;
            text::read_line(in, frame);
            if (in.ok() && in.at_end() && frame.is_terminator()) frames = {text.data(), static_cast<std::size_t>(line - text.data())};
        }
        if (!in.ok()) return in.failure(file);
        return stack{text::lines<kernel_frame>{frames}};
    }
};

} // namespace taskpeek::procfs
