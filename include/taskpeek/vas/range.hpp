// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A stretch of an address space: what it is, and what says so.

#include <taskpeek/ids.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/task/page_runs.hpp>
#include <taskpeek/units.hpp>
#include <taskpeek/vas/target_file.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::vas {

/// What a range of addresses is there for.
///
/// malloc(3) of glibc takes small blocks from the *heap* (it moves the program break, brk(2)) and, in other threads, from *arenas*;
/// a block of M_MMAP_THRESHOLD bytes or more (128 KiB at first; it rises to the largest such block freed so far, 32 MiB at most) is
/// a mapping of its own, which is *anonymous* here. When the break cannot move any further, the main arena goes on in anonymous
/// mappings too.
enum class range_class : std::uint8_t {
    null_page,          ///< unmapped, below vm.mmap_min_addr: a null pointer faults here
    text,               ///< the program's code
    rodata,             ///< the program's constants, and its ELF headers
    relro,              ///< the program's data that became read-only after relocation
    data,               ///< the program's initialised variables
    bss,                ///< the program's variables that begin as zero
    heap,               ///< up to the program break, rounded up to a page
    library_text,
    library_rodata,
    library_relro,
    library_data,
    library_bss,
    dynamic_linker,     ///< ld.so, all parts of it
    main_stack,         ///< the main thread's
    thread_stack,       ///< of the thread `range::thread`, 0 if it is not known whose
    malloc_arena,       ///< what glibc's malloc uses in threads other than the main one
    arena_reserve,      ///< the rest of an arena's 64 MiB (1 MiB in 32-bit processes), not accessible yet
    guard,              ///< not accessible, below a stack or a part that must not be overrun: a vma, or pages (MADV_GUARD_INSTALL)
    reserved,           ///< mapped without any permission, for other uses
    shadow_stack,       ///< return addresses that only call instructions may write
    anonymous,          ///< memory of no file: malloc's large blocks, allocators' pools, mmap(2)
    named_anonymous,    ///< the same, named with prctl(PR_SET_VMA_ANON_NAME): `[anon:…]`, since 5.17
    jit_code,           ///< executable memory of no file
    huge_pages,         ///< of hugetlbfs
    file_mapping,       ///< a file
    shared_anonymous,   ///< shared with children: MAP_SHARED | MAP_ANONYMOUS
    sysv_shared_memory, ///< shmget(2)
    posix_shared_memory, ///< shm_open(3): a file in /dev/shm
    memfd,              ///< memfd_create(2)
    aio_ring,           ///< io_setup(2)
    kernel_object,      ///< rings and buffers shared with the kernel: io_uring, perf, BPF, dma-buf, devices
    vdso,               ///< code that the kernel lends to every process
    vvar,               ///< data of the vdso
    vsyscall,           ///< x86-64: the old vdso at a fixed address, in the kernel's half
    kernel_page,        ///< another page of the kernel's making: [uprobes], [sigpage], [vectors]
    unknown,            ///< mapped, and nothing says what for
    gap,                ///< nothing
    stack_growth,       ///< nothing yet: the main stack may grow to here (RLIMIT_STACK)
    stack_guard_gap,    ///< nothing: the kernel maps nothing so near below the stack (256 pages unless booted with stack_guard_gap=)
    non_canonical,      ///< no address: the hole between the halves
    kernel_half,        ///< the kernel's; see kernel_half.hpp
};
inline constexpr std::size_t range_class_count = static_cast<std::size_t>(range_class::kernel_half) + 1;

/// `"library_text"`.
[[nodiscard]] constexpr std::string_view name_of(range_class c) noexcept
{
    constexpr std::string_view names[] = {
        "null_page", "text", "rodata", "relro", "data", "bss", "heap", "library_text", "library_rodata", "library_relro", "library_data",
        "library_bss", "dynamic_linker", "main_stack", "thread_stack", "malloc_arena", "arena_reserve", "guard", "reserved", "shadow_stack",
        "anonymous", "named_anonymous", "jit_code", "huge_pages", "file_mapping", "shared_anonymous", "sysv_shared_memory",
        "posix_shared_memory", "memfd", "aio_ring", "kernel_object", "vdso", "vvar", "vsyscall", "kernel_page", "unknown", "gap",
        "stack_growth", "stack_guard_gap", "non_canonical", "kernel_half"};
    static_assert(sizeof names / sizeof *names == range_class_count);
    auto const i = static_cast<std::size_t>(c);
    return i < range_class_count ? names[i] : std::string_view{};
}

/// Is nothing mapped there?
[[nodiscard]] constexpr bool is_unmapped(range_class c) noexcept
{
    return c == range_class::null_page || (c >= range_class::gap && c <= range_class::kernel_half);
}

/// What a class rests on.
enum class basis : std::uint8_t {
    nothing,          ///< unknown
    maps,             ///< the line of `maps`: its name, device and permissions
    absence,          ///< `maps` has no line for it
    stat,             ///< an address that `stat` tells: `cited`
    auxv,             ///< an address that the auxiliary vector tells: `cited`
    program_header,   ///< a program header of the mapped file, whose address (load bias added) is `cited`; see `source` and `verified`
    permissions,      ///< a part of a program or library whose headers could not be read: its permissions
    stack_pointer,    ///< a thread's stack pointer, from `task/<tid>/syscall`: `cited`
    neighbour,        ///< what is mapped right beside it, from the address `cited` on
    arena_alignment,  ///< glibc's arenas begin at a multiple of 64 MiB (1 MiB in 32-bit processes): `cited`
    thread_stack_size, ///< as large as pthread_create(3) makes stacks, RLIMIT_STACK: `cited`
    limits,           ///< RLIMIT_STACK: `cited`
    mmap_min_addr,    ///< `/proc/sys/vm/mmap_min_addr`: `cited`
    vm_flags,         ///< VmFlags of `smaps`
    pagemap,          ///< the pages, as PAGEMAP_SCAN or `pagemap` tells them: those of a lightweight guard begin at `cited`
    highest_vma,      ///< derived: the least of the known layouts that holds the highest vma, which ends at `cited`
    mmap,             ///< measured: this kernel's mmap(2) gives addresses up to `cited` to who asks for them
    documented        ///< a default that the kernel documents: `cited`
};

/// `"program_header"`.
[[nodiscard]] constexpr std::string_view name_of(basis b) noexcept
{
    constexpr std::string_view names[] = {
        "nothing", "maps", "absence", "stat", "auxv", "program_header", "permissions", "stack_pointer", "neighbour", "arena_alignment",
        "thread_stack_size", "limits", "mmap_min_addr", "vm_flags", "pagemap", "highest_vma", "mmap", "documented"};
    auto const i = static_cast<std::size_t>(b);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// Why a range is taken for what it is.
struct evidence {
    basis rests_on = basis::nothing;
    std::uint64_t cited = 0;                    ///< the value itself, as `basis` says
    file_source source = file_source::none;     ///< of program headers: how they were reached
    bool verified = true;                       ///< of program headers: are they the mapped file's for certain?

    friend constexpr bool operator==(evidence const&, evidence const&) noexcept = default;
};

/// The numbers of one vma in `smaps`. A kernel that does not print one leaves it out.
struct vma_numbers {
    std::optional<kibibytes> rss, pss, private_dirty, shared_dirty, swap, anon_huge_pages;
    std::string_view vm_flags;             ///< `rd wr mr mw me`: see procfs/vm_flags.hpp
    bool has_lightweight_guards = false;   ///< VmFlags `gu`: some of its pages are guards (madvise MADV_GUARD_INSTALL, since 6.13)

    /// Memory that only writing back or swapping frees.
    [[nodiscard]] constexpr kibibytes dirty() const noexcept
    {
        return private_dirty.value_or(kibibytes{}) + shared_dirty.value_or(kibibytes{});
    }
};

/// Bytes of each kind of page in a part of an address space: see residency.hpp.
struct residency {
    bytes present, swapped, guard, file, huge, zero, soft_dirty;

    constexpr void add(page_run const& run) noexcept
    {
        auto const size = run.size();
        if (run.state.present) present += size;
        if (run.state.swapped) swapped += size;
        if (run.state.guard) guard += size;
        if (run.state.file) file += size;
        if (run.state.huge) huge += size;
        if (run.state.zero) zero += size;
        if (run.state.soft_dirty) soft_dirty += size;
    }
};

/// A stretch of the address space of one kind: a vma, a part of a vma, or addresses without one.
/// Lifetime: `mapping.path` and `numbers->vm_flags` are views, into the text of the walk or the memory of the model that it came from.
struct range {
    address start;
    address end;                 ///< the first address after it
    range_class kind = range_class::unknown;
    evidence why;
    tid thread;                  ///< whose stack pointer is here (the first one's, if several's); 0 for none known
    procfs::vma mapping;         ///< the whole vma; meaningful if `is_mapped()`
    std::optional<vma_numbers> numbers; ///< of the whole vma, on its first range, when asked for
    std::optional<residency> pages;     ///< of this range, when asked for

    [[nodiscard]] constexpr bytes size() const noexcept { return end - start; }
    [[nodiscard]] constexpr bool contains(address a) const noexcept { return start <= a && a < end; }
    [[nodiscard]] constexpr bool is_mapped() const noexcept { return !is_unmapped(kind); }

    /// Is it less than its vma?
    [[nodiscard]] constexpr bool is_part() const noexcept { return is_mapped() && (start != mapping.start || end != mapping.end); }
    [[nodiscard]] constexpr bool is_first_part() const noexcept { return is_mapped() && start == mapping.start; }

    /// Where \p a lies in the mapped file; 0 without one.
    [[nodiscard]] constexpr bytes file_offset(address a) const noexcept
    {
        return mapping.has_inode() ? mapping.offset + (a - mapping.start) : bytes{};
    }
    [[nodiscard]] constexpr bytes file_offset() const noexcept { return file_offset(start); }

    /// Can code be written there and run? An attacker's friend.
    [[nodiscard]] constexpr bool is_writable_and_executable() const noexcept { return is_mapped() && mapping.is_writable_and_executable(); }

    /// Is it mapped, but not to be touched?
    [[nodiscard]] constexpr bool has_no_permission() const noexcept
    {
        return is_mapped() && !mapping.perms.read && !mapping.perms.write && !mapping.perms.execute;
    }
};

} // namespace taskpeek::vas
