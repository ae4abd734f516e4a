// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Which pages of an address space are in memory, page by page: PAGEMAP_SCAN where the kernel has it, `/proc/<tgid>/pagemap` elsewhere.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/text/lending.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>

namespace taskpeek {

/// What is known of a page.
struct page_state {
    bool present = false;    ///< in memory
    bool swapped = false;    ///< in swap, or on its way between nodes
    bool guard = false;      ///< a lightweight guard (MADV_GUARD_INSTALL, since 6.13; told since 6.15, "swapped" on the kernels between)
    bool file = false;       ///< of a file or shared memory
    bool huge = false;       ///< part of a huge page; PAGEMAP_SCAN only
    bool zero = false;       ///< the zero page: read, never written; PAGEMAP_SCAN only
    bool soft_dirty = false; ///< written to since `clear_refs` was last written 4; always false without CONFIG_MEM_SOFT_DIRTY

    [[nodiscard]] constexpr bool is_nothing() const noexcept { return !present && !swapped && !guard; }
    friend constexpr bool operator==(page_state, page_state) noexcept = default;
};

/// Neighbouring pages of one state.
struct page_run {
    address start;
    address end;
    page_state state;

    [[nodiscard]] constexpr bytes size() const noexcept { return end - start; }
};

namespace detail {

/// `struct pm_scan_arg` and `struct page_region` (include/uapi/linux/fs.h, since 6.7).
struct pm_scan_arg {
    std::uint64_t size = sizeof(pm_scan_arg);
    std::uint64_t flags = 0;
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t walk_end = 0;
    std::uint64_t vec = 0;
    std::uint64_t vec_len = 0;
    std::uint64_t max_pages = 0;
    std::uint64_t category_inverted = 0;
    std::uint64_t category_mask = 0;
    std::uint64_t category_anyof_mask = 0;
    std::uint64_t return_mask = 0;

    /// _IOWR('f', 16, struct pm_scan_arg)
    static constexpr std::uint32_t number = 3u << 30 | 96u << 16 | 'f' << 8 | 16;
};
static_assert(sizeof(pm_scan_arg) == 96);

struct page_region {
    std::uint64_t start, end, categories;
};

enum : std::uint64_t {
    page_is_file = 4,
    page_is_present = 8,
    page_is_swapped = 16,
    page_is_pfnzero = 32,
    page_is_huge = 64,
    page_is_soft_dirty = 128,
    page_is_guard = 256
};

} // namespace detail

/// Lending range over the pages of a part of an address space that are present, swapped or guards; pages of no such state are passed over.
/// Allocation-free; 5 KiB of its own. Lifetime: borrows the handle.
class page_runs : public lending_range<page_runs, page_run> {
    using base = lending_range<page_runs, page_run>;

public:
    page_runs() noexcept = default;

    /// The pages from \p start to \p end, both multiples of \p page_size.
    page_runs(process const& target, address start, address end, bytes page_size) noexcept
        : directory_{target.directory()}, id_{target.id()}, from_{start}, end_{end}, page_size_{page_size.count} {}
    page_runs(page_runs const& other) noexcept
        : base{}, directory_{other.directory_}, id_{other.id_}, from_{other.from_}, end_{other.end_}, page_size_{other.page_size_},
          only_pagemap_{other.only_pagemap_}
    {
    }
    page_runs& operator=(page_runs const& other) noexcept
    {
        if (this != &other) {
            base::operator=(other);
            directory_ = other.directory_;
            id_ = other.id_;
            from_ = other.from_;
            end_ = other.end_;
            page_size_ = other.page_size_;
            only_pagemap_ = other.only_pagemap_;
            begun_ = false;
            failure_ = {};
            file_.reset();
            filled_ = next_ = 0;
        }
        return *this;
    }
    ~page_runs() = default;

    /// Uses `pagemap` alone, as on kernels before 6.7.
    void only_pagemap() noexcept { only_pagemap_ = true; }

    /// Success, or why the range ended early. Errors: denied (needs ptrace rights), vanished, unsupported (no
    /// CONFIG_PROC_PAGE_MONITOR), os.
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }

    /// Was it PAGEMAP_SCAN that answered?
    [[nodiscard]] bool is_scan() const noexcept { return !only_pagemap_ && scan_works_; }

private:
    friend base;

    static constexpr std::size_t batch = 200;

    [[nodiscard]] page_run const& current() const noexcept { return row_; }

    bool fetch() noexcept
    {
        if (failure_.file != kernel_file::none || page_size_ == 0) return false;
        if (!begun_) {
            begun_ = true;
            at_ = from_.value;
            auto opened = io::open(directory_, "pagemap", O_RDONLY, kernel_file::pagemap, id_);
            if (!opened) { fail(opened.error()); return false; }
            file_ = static_cast<io::descriptor&&>(opened.value());
        }
        return is_scan() ? fetch_region() : fetch_entries();
    }

    void fail(error why) noexcept { failure_ = taskpeek::detail::explain(directory_, {}, why, true); }

    bool fetch_region() noexcept
    {
        while (next_ == filled_) {
            if (at_ >= end_.value) return false;
            detail::pm_scan_arg arg;
            arg.start = at_;
            arg.end = end_.value;
            arg.vec = reinterpret_cast<std::uintptr_t>(regions_);
            arg.vec_len = batch;
            arg.category_anyof_mask = detail::page_is_present | detail::page_is_swapped | guard_;
            arg.return_mask = detail::page_is_file | detail::page_is_present | detail::page_is_swapped | detail::page_is_pfnzero |
                              detail::page_is_huge | detail::page_is_soft_dirty | guard_;
            auto const got = io::system_call(SYS_ioctl, file_.get(), static_cast<long>(detail::pm_scan_arg::number), io::as_argument(&arg));
            if (got.error() == 22 && guard_ != 0) { guard_ = 0; continue; } // EINVAL: a kernel before 6.15
            if (got.error() == 25 || got.error() == 22) { // ENOTTY: a kernel before 6.7
                scan_works_ = false;
                return fetch_entries();
            }
            if (!got.ok()) { fail(os_failure(got.error(), kernel_file::pagemap, id_)); return false; }
            filled_ = got.count();
            next_ = 0;
            if (arg.walk_end <= at_) { at_ = end_.value; continue; } // no progress: the end
            at_ = arg.walk_end;
        }
        auto const& r = regions_[next_++];
        auto const has = [&](std::uint64_t c) { return (r.categories & c) != 0; };
        bool const guard = has(detail::page_is_guard);
        row_ = {address{r.start},
                address{r.end},
                {has(detail::page_is_present), has(detail::page_is_swapped) && !guard, guard, has(detail::page_is_file),
                 has(detail::page_is_huge), has(detail::page_is_pfnzero), has(detail::page_is_soft_dirty)}};
        return true;
    }

    /// Joins neighbouring entries of `pagemap`, 8 bytes for each page (Documentation/admin-guide/mm/pagemap.rst).
    bool fetch_entries() noexcept
    {
        row_ = {};
        for (;;) {
            if (next_ == filled_) {
                if (at_ >= end_.value || !read_entries()) break;
            }
            auto const state = decode(entries_[next_]);
            auto const page = batch_start_ + next_ * page_size_;
            if (!row_.state.is_nothing() && (state != row_.state || page != row_.end.value)) return true;
            ++next_;
            if (state.is_nothing()) continue;
            if (row_.state.is_nothing()) row_ = {address{page}, address{page}, state};
            row_.end = address{page + page_size_};
        }
        return !row_.state.is_nothing();
    }

    bool read_entries() noexcept
    {
        auto const left = (end_.value - at_) / page_size_;
        auto const wanted = left < batch ? static_cast<std::size_t>(left) : batch;
        auto const got = io::pread(file_.get(), reinterpret_cast<char*>(entries_), wanted * 8, at_ / page_size_ * 8);
        if (!got.ok()) { fail(os_failure(got.error(), kernel_file::pagemap, id_)); return false; }
        filled_ = got.count() / 8;
        next_ = 0;
        batch_start_ = at_;
        at_ += filled_ * page_size_;
        return filled_ != 0;
    }

    [[nodiscard]] static constexpr page_state decode(std::uint64_t entry) noexcept
    {
        auto const bit = [&](int n) { return (entry >> n & 1) != 0; };
        bool const guard = bit(58);
        page_state s;
        s.present = bit(63);
        s.swapped = bit(62) && !guard;
        s.guard = guard;
        s.file = bit(61);
        s.soft_dirty = bit(55);
        return s;
    }

    int directory_ = -1;
    task_id id_;
    address from_, end_;
    std::uint64_t page_size_ = 0;
    bool only_pagemap_ = false;
    bool scan_works_ = true;
    bool begun_ = false;
    std::uint64_t guard_ = detail::page_is_guard;
    io::descriptor file_;
    std::uint64_t at_ = 0, batch_start_ = 0;
    std::size_t filled_ = 0, next_ = 0;
    error failure_;
    page_run row_;
    union {
        detail::page_region regions_[batch];
        std::uint64_t entries_[batch];
    };
};

} // namespace taskpeek
