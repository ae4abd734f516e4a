// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/smaps_rollup`: the numbers of `smaps`, summed by the kernel over all vmas.

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/units.hpp>

#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// Memory of a whole process (fs/proc/task_mmu.c, show_smaps_rollup; since 4.14). What a kernel does not print is `nullopt`.
/// Errors: truncated, malformed.
/// Lifetime: `span.path` is a view into the text.
struct smaps_rollup {
    static constexpr kernel_file file = kernel_file::smaps_rollup; ///< what it decodes
    static constexpr std::size_t typical_size = 2048; ///< bytes
    static constexpr std::size_t number_column = 16; ///< where the kernel right-aligns the numbers of kB, eight columns wide
    static constexpr bool needs_address_space = true;

    vma span;                                  ///< from the first vma's start to the last one's end, named `[rollup]`

    std::optional<kibibytes> rss;              ///< `Rss`
    std::optional<kibibytes> pss;              ///< `Pss`
    std::optional<kibibytes> pss_dirty;        ///< `Pss_Dirty`: since 6.0
    std::optional<kibibytes> pss_anon;         ///< `Pss_Anon`: since 5.3
    std::optional<kibibytes> pss_file;         ///< `Pss_File`: since 5.3
    std::optional<kibibytes> pss_shmem;        ///< `Pss_Shmem`: since 5.3
    std::optional<kibibytes> shared_clean;     ///< `Shared_Clean`
    std::optional<kibibytes> shared_dirty;     ///< `Shared_Dirty`
    std::optional<kibibytes> private_clean;    ///< `Private_Clean`
    std::optional<kibibytes> private_dirty;    ///< `Private_Dirty`
    std::optional<kibibytes> referenced;       ///< `Referenced`
    std::optional<kibibytes> anonymous;        ///< `Anonymous`
    std::optional<kibibytes> ksm;              ///< `KSM`: since 6.6
    std::optional<kibibytes> lazy_free;        ///< `LazyFree`
    std::optional<kibibytes> anon_huge_pages;  ///< `AnonHugePages`
    std::optional<kibibytes> shmem_pmd_mapped; ///< `ShmemPmdMapped`
    std::optional<kibibytes> file_pmd_mapped;  ///< `FilePmdMapped`: since 5.4
    std::optional<kibibytes> shared_hugetlb;   ///< `Shared_Hugetlb`
    std::optional<kibibytes> private_hugetlb;  ///< `Private_Hugetlb`
    std::optional<kibibytes> swap;             ///< `Swap`
    std::optional<kibibytes> swap_pss;         ///< `SwapPss`
    std::optional<kibibytes> locked;           ///< `Locked`

    /// Calls `visit(key, field)` for every field but `span`, in the kernel's order. Decoding and printing both go by this list.
    template <class Rollup, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Rollup& s, Visitor&& visit) noexcept
    {
        visit("Rss", s.rss);
        visit("Pss", s.pss);
        visit("Pss_Dirty", s.pss_dirty);
        visit("Pss_Anon", s.pss_anon);
        visit("Pss_File", s.pss_file);
        visit("Pss_Shmem", s.pss_shmem);
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
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<smaps_rollup> parse(std::string_view text) noexcept
    {
        smaps_rollup s;
        text::cursor in{text};
        s.span.read(in, last_text::yes);
        if (in.ok()) in = text::read_fields(in, s);
        if (!in.ok()) return in.failure(file);
        return s;
    }
};

} // namespace taskpeek::procfs
