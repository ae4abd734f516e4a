// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How much of its stack a thread has used, uses now, and may still use, without stopping it; and how large its kernel-mode stack is.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/machine.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/task/page_runs.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <sys/syscall.h>

namespace taskpeek::stack {

/// What bounds a stack.
enum class stack_limit : std::uint8_t {
    rlimit,    ///< the first thread's: grows down to RLIMIT_STACK below where it began
    unlimited, ///< the first thread's with RLIMIT_STACK unlimited: grows until it meets a neighbour
    mapping    ///< another thread's: the memory that was mapped for it
};

/// One thread's stack.
struct headroom {
    task_id id;
    bool on_own_stack = false;        ///< false: sp lies elsewhere (alternate signal stack, coroutine), or is not told
    bool size_is_bound = false;       ///< "at most": no guard tells where it ends, and the vma may hold other things below
    bool high_water_is_bound = false; ///< "at most": huge pages are touched as a whole, guards may look like swapped pages
    stack_limit limited_by = stack_limit::mapping;
    mapping const* vma = nullptr;     ///< that the stack is in; null where it is not known which it is
    mapping const* guard = nullptr;   ///< the inaccessible vma below, if there is one
    std::optional<address> sp;        ///< absent while it runs
    std::optional<bytes> guard_size;  ///< of that vma, or of a lightweight guard (madvise MADV_GUARD_INSTALL) at the vma's lower end
    std::optional<bytes> size;        ///< that it may grow to; absent where unlimited
    address bottom;                   ///< the lowest address of it that is mapped now
    address top;                      ///< the first address above it
    std::optional<bytes> used_now;    ///< from sp to the top
    std::optional<bytes> high_water;  ///< from the lowest page ever touched to the top, by whoever had this memory as a stack
    std::optional<bytes> resident;    ///< pages of it in memory now
    std::optional<error> pagemap_error; ///< why there is no high-water mark

    /// The part of the size that was ever used, in percent; absent where either is not known.
    [[nodiscard]] std::optional<unsigned> percent() const noexcept
    {
        auto const used = high_water ? high_water : used_now;
        if (!used || !size || size->count == 0) return std::nullopt;
        return static_cast<unsigned>(used->count * 100 / size->count);
    }
    /// Mapped for it now.
    [[nodiscard]] bytes reserved() const noexcept { return top - bottom; }
};

/// What is common to the stacks of one process: read it once.
/// A thread's stack is no property of the task that the kernel would tell. The first thread's is `[stack]`. Another's is the one that
/// its C library's own record of the thread lies on, at its upper end: get_robust_list(2) tells where that is, for glibc's and for
/// every other thread with such a list. Without one it is the vma that sp is in, if a guard is below it; a thread that is then on
/// another stack cannot be told from one that is on its own.
/// Lifetime: borrows the process and the table.
class headroom_reader {
public:
    /// \p maps must hold all vmas as they are now; \p page_size is read_system_info's.
    headroom_reader(process const& of, mapping_table const& maps, bytes page_size) noexcept
        : process_{of}, maps_{maps}, page_{page_size.count}
    {
        buffer<procfs::limits::typical_size> memory;
        auto const limits = of.read<procfs::limits>(memory);
        if (limits && limits.value().max_stack_size) stack_limit_ = limits.value().max_stack_size->soft;
        else limits_failed_ = true;
        buffer<procfs::stat::typical_size> stat_memory;
        auto const stat = of.read<procfs::stat>(stat_memory);
        if (stat) start_stack_ = stat.value().startstack.raw() > 1 ? stat.value().startstack.raw() : 0;
        auto walk = of.threads<>();
        for (auto const& row : walk) {
            auto const* const m = maps.find(address{robust_list_of(row.id().tid)});
            if (m == nullptr) continue;
            auto& crowd = crowds_[place_of(*m)];
            crowd = static_cast<std::uint8_t>(crowd == 0 ? 1 : 2);
        }
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
        if (of.id().is_leader()) place_first(h);
        else place_other(h, of);
        if (h.vma == nullptr) return h;
        h.on_own_stack = h.sp && h.bottom <= *h.sp && *h.sp < h.top;
        if (h.on_own_stack) h.used_now = h.top - *h.sp;
        mark(h);
        return h;
    }

private:
    void place_first(headroom& h) const noexcept
    {
        h.vma = first_stack();
        if (h.vma == nullptr) return;
        h.bottom = h.vma->start;
        h.top = h.vma->end;
        take_guard(h, guard_below(*h.vma));
        h.limited_by = stack_limit::rlimit;
        if (limits_failed_) return;
        if (stack_limit_.is_unlimited()) h.limited_by = stack_limit::unlimited;
        else h.size = *stack_limit_.value();
    }

    void place_other(headroom& h, thread const& of) const noexcept
    {
        auto const record = robust_list_of(of.id().tid);
        auto const* const own = record != 0 ? maps_.find(address{record}) : nullptr;
        auto const* const at_sp = h.sp ? maps_.find(*h.sp) : nullptr;
        auto const* const first = first_stack();
        auto const is_first = [&](mapping const* m) { return m == first; };
        if (own != nullptr && own->perms.write && !is_first(own)) h.vma = own;
        else if (at_sp != nullptr && at_sp->perms.write && !is_first(at_sp) && guard_below(*at_sp) != nullptr) h.vma = at_sp;
        if (h.vma == nullptr) return;
        h.bottom = h.vma->start;
        h.top = h.vma->end;
        if (h.vma == own && native_machine == machine::x86_64) {
            // glibc's struct pthread is the uppermost thing on the stack (nptl/allocatestack.c, TLS_TCB_AT_TP), 2.3 KiB with the list
            // 700 bytes into it. What the vma holds above is a neighbour's.
            auto const end = (record + 1536 + page_ - 1) & ~(page_ - 1);
            if (end < h.top.value) h.top = address{end};
        }
        take_guard(h, guard_below(*h.vma));
        // Stacks that are mapped one beside the other without guards make one vma.
        if (h.vma == own && crowds_[place_of(*own)] > 1) h.bottom = above_other_stacks(*own, record);
        if (h.bottom != h.vma->start) {
            h.guard = nullptr;
            h.guard_size.reset();
        }
        h.size_is_bound = h.guard == nullptr; // of a caller's own memory too
        h.size = h.top - h.bottom;
    }

    [[nodiscard]] std::uint64_t robust_list_of(tid id) const noexcept
    {
        std::uint64_t head = 0;
        std::size_t size = 0;
        auto const got = io::system_call(SYS_get_robust_list, id.value, io::as_argument(&head), io::as_argument(&size));
        return got.ok() ? head : 0;
    }

    /// Where `crowds_` has of how many threads the records are in a vma: 2 for more, and perhaps for one.
    [[nodiscard]] std::size_t place_of(mapping const& m) const noexcept
    {
        return static_cast<std::size_t>(&m - maps_.all().data()) % sizeof crowds_;
    }

    /// Where the highest of the stacks ends that are in the same vma below \p record.
    [[nodiscard]] address above_other_stacks(mapping const& m, std::uint64_t record) const noexcept
    {
        auto lowest = m.start.value;
        auto walk = process_.threads<>();
        for (auto const& row : walk) {
            auto const other = robust_list_of(row.id().tid);
            auto const end = (other + 1536 + page_ - 1) & ~(page_ - 1);
            if (other < record && m.contains(address{other}) && end > lowest && end < record) lowest = end;
        }
        return address{lowest};
    }

    [[nodiscard]] mapping const* first_stack() const noexcept
    {
        if (start_stack_ != 0) return maps_.find(address{start_stack_});
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
    static void take_guard(headroom& h, mapping const* guard) noexcept
    {
        h.guard = guard;
        if (guard != nullptr) h.guard_size = guard->end - guard->start;
    }

    void mark(headroom& h) const noexcept
    {
        page_runs runs{process_, h.bottom, h.top, bytes{page_}};
        bytes resident;
        std::optional<page_run> lowest;
        for (auto const& run : runs) {
            if (run.state.guard) {
                // glibc puts one at the lower end since 2.42. Pages below it are not of this stack.
                if (lowest) continue;
                h.guard_size = run.size();
                if (!h.id.is_leader()) {
                    h.bottom = run.end;
                    h.size = h.top - h.bottom;
                    h.size_is_bound = false;
                }
                continue;
            }
            if (!lowest) lowest = run;
            if (run.state.present) resident += run.size();
        }
        if (auto const status = runs.status(); !status) {
            h.pagemap_error = status.error();
            return;
        }
        h.resident = resident;
        h.high_water = lowest ? h.top - lowest->start : bytes{};
        if (!lowest) return;
        constexpr std::uint64_t huge = 2u << 20;
        // pagemap itself does not tell huge pages: what is touched down to where one would begin may be one. From 6.13 to 6.14 guards
        // look like swapped pages.
        bool const like_a_huge_page = !runs.is_scan() && lowest->start.value % huge == 0 && lowest->size().count >= huge;
        bool const like_a_guard = lowest->state.swapped && lowest->start == h.bottom && h.guard == nullptr;
        h.high_water_is_bound = lowest->state.huge || like_a_huge_page || like_a_guard;
    }

    process const& process_;
    mapping_table const& maps_;
    std::uint64_t page_;
    limit_value<bytes> stack_limit_;
    bool limits_failed_ = false;
    std::uint64_t start_stack_ = 0;
    std::uint8_t crowds_[4096]{};
};

/// What the size of kernel-mode stacks is derived from: no file tells it.
enum class kernel_stack_source : std::uint8_t {
    meminfo,      ///< KernelStack of `meminfo`, divided by the number of threads in `loadavg`, is near a power of two
    architecture  ///< THREAD_SIZE of kernels that are configured as usual: 16 KiB on x86-64 (since 3.15) and on arm64
};

[[nodiscard]] constexpr std::string_view describe(kernel_stack_source source) noexcept
{
    switch (source) {
    case kernel_stack_source::meminfo: return "KernelStack of meminfo, divided by the threads of loadavg";
    case kernel_stack_source::architecture: return "what kernels of this architecture usually have";
    }
    return "";
}

/// How large the kernel-mode stack of each thread of the machine is.
struct kernel_stack {
    bytes size;
    kernel_stack_source from = kernel_stack_source::architecture;
};

namespace detail {

/// The number behind \p key in \p text. Nothing if there is none.
[[nodiscard]] constexpr std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view key) noexcept
{
    auto const at = text.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + key.size());
    while (text.starts_with(' ')) text.remove_prefix(1);
    text::cursor in{text};
    auto const value = in.decimal<std::uint64_t>();
    return in.ok() ? std::optional{value} : std::nullopt;
}

/// KernelStack is of all threads and of the stacks that are kept for the next ones (some for each CPU): a little more than they have.
[[nodiscard]] constexpr std::optional<bytes> kernel_stack_size(std::string_view meminfo, std::string_view loadavg) noexcept
{
    auto const kibibytes = number_behind(meminfo, "KernelStack:");
    auto const threads = number_behind(loadavg, "/");
    if (!kibibytes || !threads || *threads == 0 || *kibibytes > UINT64_MAX / 2048) return std::nullopt;
    auto const each = *kibibytes * 1024 / *threads;
    auto const size = std::bit_floor(each + each / 16); // threads may have begun between the two files
    if (size < 4096 || size > std::uint64_t{1} << 20 || each > size + size / 2) return std::nullopt;
    return bytes{size};
}

} // namespace detail

/// Derives the size of kernel-mode stacks, and says from what. Reads up to 4 KiB of each file.
[[nodiscard]] inline kernel_stack read_kernel_stack(proc_root const& root = {}) noexcept
{
    if (auto const base = root.open()) {
        auto const read = [&](char const* name, lent_buffer into) {
            auto const fd = io::open_at(base.value().get(), name, O_RDONLY);
            if (!fd.ok()) return std::string_view{};
            io::descriptor const file{static_cast<int>(fd.value())};
            auto const got = io::read(file.get(), into.data(), into.size());
            return got.ok() ? std::string_view{into.data(), got.count()} : std::string_view{};
        };
        buffer<4096> memory;
        buffer<128> load;
        if (auto const size = detail::kernel_stack_size(read("meminfo", memory), read("loadavg", load)))
            return {*size, kernel_stack_source::meminfo};
    }
    return {bytes{16384}, kernel_stack_source::architecture};
}

} // namespace taskpeek::stack
