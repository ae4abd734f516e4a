// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The kernel's flags of a vma, as `VmFlags` of `smaps` shows them.

#include <taskpeek/text/list.hpp>

#include <string_view>

namespace taskpeek::procfs {

/// One flag of a vma, in two letters (fs/proc/task_mmu.c, show_smap_vma_flags). Letters of a kernel to come are kept; their
/// `meaning()` is empty.
struct vm_flag {
    std::string_view letters;

    [[nodiscard]] constexpr std::string_view meaning() const noexcept
    {
        struct entry { std::string_view letters, meaning; };
        constexpr entry known[] = {
            {"rd", "readable"}, {"wr", "writable"}, {"ex", "executable"}, {"sh", "shared"},
            {"mr", "may be made readable"}, {"mw", "may be made writable"}, {"me", "may be made executable"}, {"ms", "may be shared"},
            {"gd", "stack that grows down"}, {"pf", "pure page frame numbers"}, {"dw", "writes to the file are refused"}, // dw: until 5.14
            {"lo", "locked in memory"}, {"io", "memory-mapped I/O"}, {"sr", "advised to be read in sequence"},
            {"rr", "advised to be read at random"}, {"dc", "not copied on fork"}, {"de", "not expanded on mremap"},
            {"ac", "accounted"}, {"nr", "swap is not reserved"}, {"ht", "huge TLB pages"}, {"sf", "faults synchronously"}, // sf: since 4.15
            {"nl", "nonlinear"},                                                                                       // until 3.19
            {"ar", "specific to the architecture"}, {"wf", "wiped on fork"},                                           // wf: since 4.14
            {"dd", "not in core dumps"}, {"sd", "soft-dirty"}, {"mm", "mixed map"}, {"hg", "advised to use huge pages"},
            {"nh", "advised not to use huge pages"}, {"mg", "advised to be merged"},
            {"mp", "Intel MPX"},                                    // 3.19 to 5.5
            {"um", "userfaultfd for missing pages"},                // since 4.3
            {"uw", "userfaultfd for writes"},                       // since 5.7; 4.3 to 5.6 never set
            {"ui", "userfaultfd for minor faults"},                 // since 5.13
            {"bt", "BTI guarded page"},                             // arm64, since 5.8
            {"mt", "memory tagging"},                               // arm64, since 5.10
            {"ss", "shadow stack"},                                 // x86 since 6.6, arm64 since 6.13
            {"lf", "lock on fault"},                                // since 6.2
            {"dp", "dropped under memory pressure"},                // since 6.11
            {"sl", "sealed"},                                       // since 6.10
            {"gu", "lightweight guards"},                           // since 6.19, and 6.18.37; guards themselves: 6.13
        };
        for (auto const& flag : known)
            if (flag.letters == letters) return flag.meaning;
        return {};
    }

    friend constexpr bool operator==(vm_flag, vm_flag) noexcept = default;
};

/// Two letters; anything between blanks is taken.
constexpr void read_value(text::cursor& in, vm_flag& out) noexcept
{
    auto const* const from = in.position();
    while (!in.at_end() && !text::list<vm_flag>::separates(in.peek())) in.advance_to(in.position() + 1);
    out.letters = {from, static_cast<std::size_t>(in.position() - from)};
}

/// The flags of one vma: `rd ex mr mw me`.
/// Lifetime: a view into the text.
class vm_flags : public ranges::view_base {
public:
    constexpr vm_flags() noexcept = default;
    constexpr explicit vm_flags(std::string_view text) noexcept : flags_{text} {}

    /// Is the flag of these \p letters set?
    [[nodiscard]] constexpr bool has(std::string_view letters) const noexcept
    {
        for (auto const flag : flags_)
            if (flag.letters == letters) return true;
        return false;
    }

    [[nodiscard]] constexpr auto begin() const noexcept { return flags_.begin(); }
    [[nodiscard]] constexpr auto end() const noexcept { return flags_.end(); }
    [[nodiscard]] constexpr std::string_view text() const noexcept { return flags_.text(); }

private:
    text::list<vm_flag> flags_;
};

[[gnu::always_inline]] constexpr void read_value(text::cursor& in, vm_flags& out) noexcept
{
    std::string_view line;
    read_value(in, line);
    while (line.ends_with(' ')) line.remove_suffix(1);
    out = vm_flags{line};
}

} // namespace taskpeek::procfs
