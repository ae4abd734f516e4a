// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/smaps`: the vmas of a process and what memory each holds.

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/procfs/records.hpp>
#include <taskpeek/procfs/vm_flags.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/units.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// One vma with its numbers (fs/proc/task_mmu.c, show_smap). The kernel walks the page tables of the whole vma for them, holding
/// the target's mmap lock for reading meanwhile. What a kernel does not print is `nullopt`.
/// Errors: truncated, malformed.
/// Lifetime: `mapping.path` and `vm_flags` are views into the text.
struct smap {
    static constexpr kernel_file file = kernel_file::smaps; ///< what it decodes
    static constexpr std::size_t typical_size = 65536; ///< bytes; of `smaps` with some 90 vmas
    static constexpr std::size_t number_column = 16; ///< where the kernel right-aligns the numbers of kB, eight columns wide
    static constexpr bool needs_address_space = true;

    vma mapping;                               ///< the line that `maps` has too

    std::optional<kibibytes> size;             ///< `Size`
    std::optional<kibibytes> kernel_page_size; ///< `KernelPageSize`
    std::optional<kibibytes> mmu_page_size;    ///< `MMUPageSize`
    std::optional<kibibytes> rss;              ///< `Rss`: resident
    std::optional<kibibytes> pss;              ///< `Pss`: resident, each page divided by how many map it
    std::optional<kibibytes> pss_dirty;        ///< `Pss_Dirty`: since 6.0
    std::optional<kibibytes> shared_clean;     ///< `Shared_Clean`
    std::optional<kibibytes> shared_dirty;     ///< `Shared_Dirty`
    std::optional<kibibytes> private_clean;    ///< `Private_Clean`
    std::optional<kibibytes> private_dirty;    ///< `Private_Dirty`
    std::optional<kibibytes> referenced;       ///< `Referenced`
    std::optional<kibibytes> anonymous;        ///< `Anonymous`
    std::optional<kibibytes> ksm;              ///< `KSM`: since 6.6
    std::optional<kibibytes> lazy_free;        ///< `LazyFree`: since 4.12
    std::optional<kibibytes> anon_huge_pages;  ///< `AnonHugePages`
    std::optional<kibibytes> shmem_pmd_mapped; ///< `ShmemPmdMapped`: since 4.8
    std::optional<kibibytes> file_pmd_mapped;  ///< `FilePmdMapped`: since 5.4
    std::optional<kibibytes> shared_hugetlb;   ///< `Shared_Hugetlb`: since 4.4
    std::optional<kibibytes> private_hugetlb;  ///< `Private_Hugetlb`: since 4.4
    std::optional<kibibytes> swap;             ///< `Swap`
    std::optional<kibibytes> swap_pss;         ///< `SwapPss`: since 4.3
    std::optional<kibibytes> locked;           ///< `Locked`
    std::optional<kibibytes> nonlinear;        ///< `Nonlinear`: until 3.19, of nonlinear vmas only
    std::optional<bool> thp_eligible;          ///< `THPeligible`: since 5.0
    std::optional<std::uint32_t> protection_key; ///< `ProtectionKey`: where the CPU has protection keys; since 4.6
    std::optional<procfs::vm_flags> vm_flags;  ///< `VmFlags`: since 3.8

    /// Calls `visit(key, field)` for every field but `mapping`, in the kernel's order. Decoding and printing both go by this list.
    template <class Smap, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Smap& s, Visitor&& visit) noexcept
    {
        visit("Size", s.size);
        visit("KernelPageSize", s.kernel_page_size);
        visit("MMUPageSize", s.mmu_page_size);
        visit("Rss", s.rss);
        visit("Pss", s.pss);
        visit("Pss_Dirty", s.pss_dirty);
        visit("Shared_Clean", s.shared_clean);
        visit("Shared_Dirty", s.shared_dirty);
        visit("Private_Clean", s.private_clean);
        visit("Private_Dirty", s.private_dirty);
        visit("Referenced", s.referenced);
        visit("Anonymous", s.anonymous);
        visit("KSM", s.ksm);
        visit("LazyFree", s.lazy_free);
        visit("AnonHugePages", s.anon_huge_pages);
        visit("ShmemPmdMapped", s.shmem_pmd_mapped);
        visit("FilePmdMapped", s.file_pmd_mapped);
        visit("Shared_Hugetlb", s.shared_hugetlb);
        visit("Private_Hugetlb", s.private_hugetlb);
        visit("Swap", s.swap);
        visit("SwapPss", s.swap_pss);
        visit("Locked", s.locked);
        visit("Nonlinear", s.nonlinear);
        visit("THPeligible", s.thp_eligible);
        visit("ProtectionKey", s.protection_key);
        visit("VmFlags", s.vm_flags);
    }

    /// Takes one vma and its numbers off the front of many.
    constexpr void read(text::cursor& in, last_text last) noexcept
    {
        each_field(*this, [](char const*, auto& field) noexcept { field.reset(); });
        mapping.read(in, last);
        if (!in.ok()) return;
        in = text::read_fields(in, *this, [this](text::cursor const& at) {
            return vm_flags.has_value() || next_line(at) != line::of_this_vma;
        });
        // without VmFlags, which every kernel since 3.8 prints last, only the next vma or the end shows that this one is whole
        if (last == last_text::no && !vm_flags && in.ok() && next_line(in) == line::cut_short)
            in.fail_at(in.rest().data() + in.rest().size());
    }

    constexpr void mark_truncated() noexcept { mapping.mark_truncated(); }

    /// Passes over lines that a kernel to come prints behind `VmFlags`.
    static constexpr void skip_strangers(text::cursor& in) noexcept
    {
        while (!in.at_end() && next_line(in) == line::of_this_vma) [[unlikely]] in.next_line();
    }

private:
    enum class line : unsigned char { of_this_vma, of_the_next, cut_short };

    /// Does an address and a hyphen stand there, which begin a vma? A key may begin with a hex digit too.
    [[nodiscard]] static constexpr line next_line(text::cursor const& at) noexcept
    {
        if (at.at_end()) return line::cut_short;
        auto const* const end = at.position() + at.rest().size();
        auto const address = text::scan_hex(at.position(), end);
        if (address.next == end) return line::cut_short;
        return address.next != nullptr && *address.next == '-' ? line::of_the_next : line::of_this_vma;
    }
};

/// The vmas in a text of `smaps`, in ascending order of address.
using smaps = records<smap>;

} // namespace taskpeek::procfs
