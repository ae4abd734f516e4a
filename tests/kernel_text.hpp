// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Lines of `maps` and `smaps` as the kernel prints them, written after its printf formats (fs/proc/task_mmu.c) and not after the
/// decoders, so that the two can be held against each other.

#include <taskpeek/procfs/smaps.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace taskpeek::tests {

[[gnu::format(printf, 1, 2)]] inline std::string printed(char const* format, ...)
{
    char text[512];
    std::va_list arguments;
    va_start(arguments, format);
    auto const size = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return {text, static_cast<std::size_t>(size)};
}

using ull = unsigned long long;

/// seq_path() with "\n": the one byte that it escapes.
[[nodiscard]] inline std::string mangled(std::string_view path)
{
    std::string out;
    for (char const c : path) out += c == '\n' ? std::string{"\\012"} : std::string{c};
    return out;
}

/// show_vma_header_prefix() and, where there is a name, seq_pad(): \p long_size is that of the kernel, 8 or 4.
[[nodiscard]] inline std::string maps_line(procfs::vma const& v, std::size_t long_size = 8)
{
    auto line = printed("%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", static_cast<ull>(v.start.value), static_cast<ull>(v.end.value),
                        v.perms.read ? 'r' : '-', v.perms.write ? 'w' : '-', v.perms.execute ? 'x' : '-', v.perms.shared ? 's' : 'p',
                        static_cast<ull>(v.offset.count), v.dev.major, v.dev.minor, static_cast<ull>(v.inode));
    if (!v.path.empty()) {
        auto const width = 25 + long_size * 6 - 1;
        if (line.size() < width) line.append(width - line.size(), ' ');
        line += " " + mangled(v.path);
    }
    return line + "\n";
}

/// `Rss:                 12 kB`: keys fill 16 columns, numbers 8.
[[nodiscard]] inline std::string memory_line(std::string_view key, kibibytes k)
{
    return printed("%-16s%8llu kB\n", (std::string{key} + ":").c_str(), static_cast<ull>(k.count));
}

/// show_smap() of 6.18; of 4.13 and before, where the page sizes stand further down, with \p page_sizes_late.
[[nodiscard]] inline std::string smaps_entry(procfs::smap const& s, bool page_sizes_late = false)
{
    auto text = maps_line(s.mapping);
    auto const put = [&text](char const* key, std::optional<kibibytes> const& k) {
        if (k) text += memory_line(key, *k);
    };
    auto const page_sizes = [&] {
        put("KernelPageSize", s.kernel_page_size);
        put("MMUPageSize", s.mmu_page_size);
    };
    put("Size", s.size);
    if (!page_sizes_late) page_sizes();
    put("Rss", s.rss);
    put("Pss", s.pss);
    put("Pss_Dirty", s.pss_dirty);
    put("Shared_Clean", s.shared_clean);
    put("Shared_Dirty", s.shared_dirty);
    put("Private_Clean", s.private_clean);
    put("Private_Dirty", s.private_dirty);
    put("Referenced", s.referenced);
    put("Anonymous", s.anonymous);
    put("KSM", s.ksm);
    put("LazyFree", s.lazy_free);
    put("AnonHugePages", s.anon_huge_pages);
    put("ShmemPmdMapped", s.shmem_pmd_mapped);
    put("FilePmdMapped", s.file_pmd_mapped);
    put("Shared_Hugetlb", s.shared_hugetlb);
    put("Private_Hugetlb", s.private_hugetlb);
    put("Swap", s.swap);
    put("SwapPss", s.swap_pss);
    if (page_sizes_late) page_sizes();
    put("Locked", s.locked);
    put("Nonlinear", s.nonlinear);
    if (s.thp_eligible) text += printed("THPeligible:    %8u\n", *s.thp_eligible ? 1u : 0u);
    if (s.protection_key) text += printed("ProtectionKey:  %8u\n", *s.protection_key);
    if (s.vm_flags) {
        text += "VmFlags: ";
        for (auto const flag : *s.vm_flags) text += std::string{flag.letters} + " ";
        text += "\n";
    }
    return text;
}

[[nodiscard]] inline bool same(procfs::vma const& a, procfs::vma const& b)
{
    return a.start == b.start && a.end == b.end && a.perms == b.perms && a.offset == b.offset && a.dev == b.dev && a.inode == b.inode &&
           a.path == b.path && a.path_truncated == b.path_truncated;
}

[[nodiscard]] inline bool same(std::optional<procfs::vm_flags> const& a, std::optional<procfs::vm_flags> const& b)
{
    return a.has_value() == b.has_value() && (!a || a->text() == b->text());
}
template <class T>
[[nodiscard]] bool same(T const& a, T const& b) { return a == b; }

} // namespace taskpeek::tests
