// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How much of its stack a thread has used, uses now, and may still use, without stopping it.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

#include <fcntl.h>

namespace taskpeek::stack {

/// What bounds a stack.
enum class stack_limit : std::uint8_t {
    rlimit,    ///< the first thread's: grows down to RLIMIT_STACK below where it began
    unlimited, ///< the first thread's with RLIMIT_STACK unlimited: grows until it meets a neighbour
    mapping    ///< another thread's: the vma
};

/// One thread's stack.
struct headroom {
    task_id id;
    bool on_own_stack = false;        ///< false: sp lies elsewhere (alternate signal stack, coroutine), or is not told
    std::optional<address> sp;        ///< absent while it runs
    mapping const* vma = nullptr;     ///< the stack; null where it is not known which it is
    mapping const* guard = nullptr;   ///< the inaccessible vma below, if there is one
    stack_limit limited_by = stack_limit::mapping;
    std::optional<bytes> size;        ///< that it may grow to; absent where unlimited
    address top;                      ///< the first address above it
    std::optional<bytes> used_now;    ///< from sp to the top
    std::optional<bytes> high_water;  ///< from the lowest page ever touched to the top
    bool high_water_is_bound = false; ///< "at most": huge pages are touched as a whole
    std::optional<bytes> resident;    ///< pages of it in memory now
    std::optional<error> pagemap_error; ///< why there is no high-water mark

    /// The part of the size that was ever used, in percent; absent where either is not known.
    [[nodiscard]] std::optional<unsigned> percent() const noexcept
    {
        auto const used = high_water ? high_water : used_now;
        if (!used || !size || size->count == 0) return std::nullopt;
        return static_cast<unsigned>(used->count * 100 / size->count);
    }
};

namespace detail {

/// What pagemap tells of a range (Documentation/admin-guide/mm/pagemap.rst).
struct touched_pages {
    std::optional<std::uint64_t> lowest; ///< address of the lowest page that was touched
    std::uint64_t present = 0;           ///< pages
};

[[nodiscard]] inline result<touched_pages> scan_pagemap(int pagemap, address start, address end, std::uint64_t page) noexcept
{
    touched_pages out;
    std::uint64_t entries[512];
    for (auto at = start.value; at < end.value;) {
        auto const left = (end.value - at) / page;
        auto const batch = left < 512 ? left : 512;
        auto const got = io::pread(pagemap, reinterpret_cast<char*>(entries), static_cast<std::size_t>(batch * 8), at / page * 8);
        if (!got.ok()) return os_failure(got.error(), kernel_file::pagemap);
        auto const count = got.count() / 8;
        if (count == 0) break;
        for (std::size_t i = 0; i < count; ++i) {
            bool const present = (entries[i] >> 63 & 1) != 0;
            bool const swapped = (entries[i] >> 62 & 1) != 0;
            if (!present && !swapped) continue;
            if (!out.lowest) out.lowest = at + i * page;
            out.present += present;
        }
        at += count * page;
    }
    return out;
}

} // namespace detail

/// What is common to the stacks of one process: read it once.
class headroom_reader {
public:
    /// \p maps must hold all vmas as they are now; \p page_size is read_system_info's.
    headroom_reader(process const& of, mapping_table const& maps, bytes page_size) noexcept
        : maps_{maps}, page_{page_size.count}
    {
        auto const fd = io::open_at(of.directory(), "pagemap", O_RDONLY);
        if (fd.ok()) pagemap_ = io::descriptor{static_cast<int>(fd.value())};
        else pagemap_errno_ = fd.error();
        buffer<procfs::limits::typical_size> memory;
        auto const limits = of.read<procfs::limits>(memory);
        if (limits && limits.value().max_stack_size) stack_limit_ = limits.value().max_stack_size->soft;
        else limits_failed_ = true;
        buffer<procfs::stat::typical_size> stat_memory;
        auto const stat = of.read<procfs::stat>(stat_memory);
        if (stat) start_stack_ = stat.value().startstack.raw() > 1 ? stat.value().startstack.raw() : 0;
    }

    /// Errors: vanished, zombie, kernel_thread, denied (what `syscall` answers).
    [[nodiscard]] result<headroom> read(thread const& of) const noexcept
    {
        auto const told = of.read<procfs::syscall>();
        if (!told) return told.error();
        if (told.value().kind == procfs::syscall::form::no_user_registers)
            return taskpeek::detail::explain(of.directory(), {}, {errc::kernel_thread, kernel_file::syscall, 0, of.id(), 0}, true);
        headroom h;
        h.id = of.id();
        h.sp = told.value().sp;
        bool const first = of.id().is_leader();
        auto const* const at_sp = h.sp ? maps_.find(*h.sp) : nullptr;
        auto const* const main_stack = start_stack_ != 0 ? maps_.find(address{start_stack_}) : named_stack();
        if (first) {
            h.vma = main_stack;
            h.on_own_stack = at_sp != nullptr && at_sp == main_stack;
        } else if (at_sp != nullptr && at_sp != main_stack && at_sp->perms.write && has_guard_below(*at_sp)) {
            // A thread's stack is no property of the task: it is where sp is, if that looks like one.
            h.vma = at_sp;
            h.on_own_stack = true;
        }
        if (h.vma == nullptr) return h;
        h.top = h.vma->end;
        h.guard = guard_below(*h.vma);
        if (first) {
            h.limited_by = stack_limit::rlimit;
            if (limits_failed_) h.size.reset();
            else if (stack_limit_.is_unlimited()) h.limited_by = stack_limit::unlimited;
            else h.size = *stack_limit_.value();
        } else {
            h.size = h.vma->end - h.vma->start;
        }
        if (h.on_own_stack && h.sp) h.used_now = h.top - *h.sp;
        mark(h);
        return h;
    }

private:
    [[nodiscard]] mapping const* named_stack() const noexcept
    {
        for (auto const& m : maps_.all())
            if (maps_.path(m) == "[stack]") return &m;
        return nullptr;
    }
    [[nodiscard]] mapping const* guard_below(mapping const& m) const noexcept
    {
        if (&m == maps_.all().data()) return nullptr;
        auto const& below = *(&m - 1);
        bool const inaccessible = !below.perms.read && !below.perms.write && !below.perms.execute;
        return inaccessible && below.end == m.start ? &below : nullptr;
    }
    [[nodiscard]] bool has_guard_below(mapping const& m) const noexcept { return guard_below(m) != nullptr; }

    void mark(headroom& h) const noexcept
    {
        if (!pagemap_.is_open()) { h.pagemap_error = os_failure(pagemap_errno_, kernel_file::pagemap, h.id); return; }
        auto const scanned = detail::scan_pagemap(pagemap_.get(), h.vma->start, h.vma->end, page_);
        if (!scanned) { h.pagemap_error = scanned.error(); return; }
        h.resident = bytes{scanned.value().present * page_};
        if (!scanned.value().lowest) return;
        h.high_water = h.top - address{*scanned.value().lowest};
        // A page-middle-directory-sized block that is touched whole, down to an aligned address, may be one huge page.
        constexpr std::uint64_t huge = 2u << 20;
        h.high_water_is_bound = *scanned.value().lowest % huge == 0 && h.high_water->count >= huge;
    }

    mapping_table const& maps_;
    std::uint64_t page_;
    io::descriptor pagemap_;
    int pagemap_errno_ = 0;
    limit_value<bytes> stack_limit_;
    bool limits_failed_ = false;
    std::uint64_t start_stack_ = 0;
};

} // namespace taskpeek::stack
