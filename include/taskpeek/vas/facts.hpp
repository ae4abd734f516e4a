// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What is to be known of a process before its vmas can be told apart: gathered once, apart from the walk over `maps`.

#include <taskpeek/procfs/auxv.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/vas/image.hpp>
#include <taskpeek/vas/target_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace taskpeek::vas {

/// Where a thread's stack is at the moment.
struct stack_pointer {
    address value;
    tid thread;

    friend constexpr bool operator==(stack_pointer, stack_pointer) noexcept = default;
};

/// Memory that `gather` may use. Too little is no failure: `facts` then says how much it takes.
struct facts_memory {
    std::span<image> images;                 ///< one for each mapped ELF file (for each 16 of its parts), some 750 bytes each
    std::span<stack_pointer> stack_pointers; ///< one for each thread, 16 bytes each
};

/// What is known of a process. What could not be read is absent, and `failures` say why.
/// Lifetime: `images` and `stack_pointers` are views into the memory given to `gather`.
struct facts {
    std::size_t word_size = 0;             ///< 8 or 4, of the process's pointers; 0 unknown
    std::uint64_t page_size = 4096;
    optional_address start_code, end_code, start_data, end_data, start_brk, start_stack;
    std::optional<address> entry, phdr, linker, vdso; ///< AT_ENTRY, AT_PHDR, AT_BASE, AT_SYSINFO_EHDR
    std::optional<limit_value<bytes>> stack_limit;    ///< soft RLIMIT_STACK
    std::optional<std::uint64_t> mmap_min_addr;       ///< bytes
    std::optional<std::uint64_t> max_map_count;
    std::span<image const> images;                    ///< in ascending order
    std::span<stack_pointer const> stack_pointers;    ///< in ascending order
    std::size_t threads = 0;               ///< how many there are; those running have no stack pointer to tell
    std::size_t images_wanted = 0;         ///< beyond `images.size()`: more memory would have been used
    std::size_t stack_pointers_wanted = 0; ///< the same
    address highest_end;                   ///< of the vmas below the kernel's half
    address highest_mappable;              ///< of a live system whose user space goes beyond what processes get unasked: an address there

    /// How large pthread_create(3) makes a stack, the guard included: soft RLIMIT_STACK, or 2 MiB where that is unlimited (glibc's
    /// ARCH_STACK_DEFAULT_SIZE). \return 0 if the limit is not known.
    [[nodiscard]] constexpr std::uint64_t thread_stack_size() const noexcept
    {
        if (!stack_limit) return 0;
        auto const limit = stack_limit->value();
        return limit ? limit->count & ~(page_size - 1) : 2u << 20;
    }

    error failures[8];                     ///< what could not be read, and why
    std::size_t failure_count = 0;

    constexpr void note(error const& why) noexcept
    {
        for (std::size_t i = 0; i < failure_count; ++i)
            if (failures[i].file == why.file) return;
        if (failure_count < sizeof failures / sizeof *failures) failures[failure_count++] = why;
    }
};

namespace detail {

/// The number in a file of `/proc/sys`, which is found beside the process's own directory.
[[nodiscard]] inline std::optional<std::uint64_t> read_sysctl(int task_directory, char const* path) noexcept
{
    buffer<64> memory;
    auto const text = io::read_file(task_directory, path, memory, io::read_mode::at_once, kernel_file::none);
    if (!text) return std::nullopt;
    text::cursor in{text.value()};
    auto const number = in.decimal<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    return number;
}

/// The build id of the image whose headers were read from \p fd at \p begin; its size, 0 for none. \p shift is added to the headers' own
/// place of the note: 0 in a file (where `offset` counts), the load bias in memory (where `vaddr` does).
[[nodiscard]] inline std::size_t read_build_id(int fd, program_headers const& headers, bool in_memory, std::uint64_t bias,
                                               char (&into)[64]) noexcept
{
    for (auto const h : headers) {
        if (h.type != segment_type::note || h.filesz < 16) continue;
        char notes[1024];
        auto const size = h.filesz < sizeof notes ? h.filesz : sizeof notes;
        auto const got = io::pread(fd, notes, static_cast<std::size_t>(size), in_memory ? h.vaddr + bias : h.offset);
        if (!got.ok()) continue;
        auto const id = find_build_id({notes, got.count()}, headers.header().big_endian);
        if (id.empty() || id.size() > sizeof into) continue;
        __builtin_memcpy(into, id.data(), id.size());
        return id.size();
    }
    return 0;
}

/// Is the directory one of a live procfs, and not of a recorded tree?
[[nodiscard]] inline bool is_live(int directory) noexcept
{
    constexpr long proc_magic = 0x9fa0; // PROC_SUPER_MAGIC, include/uapi/linux/magic.h
    struct alignas(8) { long type; char rest[248]; } answer{};
    return io::system_call(SYS_fstatfs, directory, io::as_argument(&answer)).ok() && answer.type == proc_magic;
}

/// An address beyond the 47 bits of x86-64 or the 48 of arm64, if mmap(2) gives it to who asks for it: with page tables of 5 levels, and
/// with LVA or LPA2 (Documentation/arch/x86/x86_64/5level-paging.rst, Documentation/arch/arm64/memory.rst). One page of this process is
/// mapped there for a moment.
[[nodiscard]] inline address highest_mappable() noexcept
{
#if defined __x86_64__ && !defined __ILP32__
    constexpr std::uint64_t wanted = std::uint64_t{1} << 55, unasked = std::uint64_t{1} << 47;
#elif defined __aarch64__
    constexpr std::uint64_t wanted = std::uint64_t{1} << 51, unasked = std::uint64_t{1} << 48;
#endif
#if (defined __x86_64__ && !defined __ILP32__) || defined __aarch64__
    constexpr long size = 4096, no_access = 0, private_anonymous_noreserve = 0x4022; // PROT_NONE, MAP_*: include/uapi/asm-generic/mman.h
    auto const given = io::system_call(SYS_mmap, static_cast<long>(wanted), size, no_access, private_anonymous_noreserve, -1, 0);
    if (!given.ok()) return {};
    (void)io::system_call(SYS_munmap, given.value(), size);
    if (static_cast<std::uint64_t>(given.value()) >= unasked) return address{static_cast<std::uint64_t>(given.value())};
#endif
    return {};
}

/// Finds out what is known of a process.
class gatherer {
public:
    gatherer(process const& target, facts_memory memory) noexcept : target_{target}, memory_{memory} {}

    [[nodiscard]] result<facts> run() noexcept
    {
        read_stat();
        read_auxv();
        read_limits();
        auto const directory = target_.directory();
        found_.mmap_min_addr = read_sysctl(directory, "../sys/vm/mmap_min_addr");
        found_.max_map_count = read_sysctl(directory, "../sys/vm/max_map_count");
        if (is_live(directory)) found_.highest_mappable = highest_mappable();
        read_stack_pointers();
        if (auto const walked = read_images(); !walked) return walked.error();
        assign_roles();
        return found_;
    }

private:
    void read_stat() noexcept
    {
        buffer<procfs::stat::typical_size> memory;
        auto const stat = target_.read<procfs::stat>(memory);
        if (!stat) return found_.note(stat.error());
        auto const& s = stat.value();
        found_.start_code = s.startcode;
        found_.end_code = s.endcode;
        found_.start_data = s.start_data;
        found_.end_data = s.end_data;
        found_.start_brk = s.start_brk;
        found_.start_stack = s.startstack;
        if (!s.startcode) found_.note({errc::denied, kernel_file::stat, 0, target_.id(), 0}); // the kernel prints 1 and 0 instead
    }

    void read_auxv() noexcept
    {
        buffer<procfs::auxv::typical_size> memory;
        auto const auxv = target_.read<procfs::auxv>(memory);
        if (!auxv) return found_.note(auxv.error());
        using key = procfs::auxv_key;
        auto const told = [&](key k) -> std::optional<address> {
            auto const value = auxv.value().get(k);
            if (!value || *value == 0) return std::nullopt;
            return address{*value};
        };
        found_.word_size = auxv.value().word_size();
        found_.entry = told(key::entry);
        found_.phdr = told(key::phdr);
        found_.linker = told(key::base);
        found_.vdso = told(key::sysinfo_ehdr);
        auto const size = auxv.value().get(key::pagesz).value_or(0);
        if (size >= 1024 && size <= (1u << 24) && (size & (size - 1)) == 0) found_.page_size = size;
    }

    void read_limits() noexcept
    {
        buffer<procfs::limits::typical_size> memory;
        auto const limits = target_.read<procfs::limits>(memory);
        if (!limits) return found_.note(limits.error());
        if (auto const stack = limits.value().get<resource::stack>()) found_.stack_limit = stack->soft;
    }

    void read_stack_pointers() noexcept
    {
        std::size_t used = 0;
        for (auto const& [id, call] : target_.threads<procfs::syscall>()) {
            ++found_.threads;
            if (!call) { found_.note(call.error()); continue; }
            if (!call.value().sp) continue;
            ++found_.stack_pointers_wanted;
            if (used < memory_.stack_pointers.size()) memory_.stack_pointers[used++] = {*call.value().sp, id.tid};
        }
        auto const pointers = memory_.stack_pointers.first(used);
        std::sort(pointers.begin(), pointers.end(), [](stack_pointer const& a, stack_pointer const& b) { return a.value < b.value; });
        found_.stack_pointers = pointers;
    }

    /// Every file that is mapped with execute permission, in the order of `maps`.
    [[nodiscard]] result<void> read_images() noexcept
    {
        auto maps = target_.maps();
        address first_page;        // where the file of the last few lines has its offset 0 in memory
        std::uint64_t first_inode = 0;
        procfs::device first_dev;
        for (auto const& vma : maps) {
            if (vma.start.value >> 63 == 0) found_.highest_end = vma.end;
            extend_bare_image(vma);
            if (!vma.has_inode() || !vma.path.starts_with('/')) continue;
            if (vma.offset.count == 0) {
                first_page = vma.start;
                first_inode = vma.inode;
                first_dev = vma.dev;
            }
            if (!vma.perms.execute) continue;
            if (is_known(vma)) continue;
            bool const begins_known = first_inode == vma.inode && first_dev == vma.dev;
            read_image(vma, begins_known ? std::optional{first_page} : std::nullopt);
        }
        auto const images = memory_.images.first(used_);
        std::sort(images.begin(), images.end(), [](image const& a, image const& b) { return a.start < b.start; });
        found_.images = images;
        return maps.status();
    }

    /// Is it of an image that was read for an earlier vma? Of its last ones: nothing else is mapped between the parts of most files.
    [[nodiscard]] bool is_known(procfs::vma const& vma) const noexcept
    {
        constexpr std::size_t looked_at = 8;
        for (auto i = used_; i > 0 && i + looked_at > used_; --i)
            if (memory_.images[i - 1].is_of(vma) && memory_.images[i - 1].spans(vma.start)) return true;
        return false;
    }

    void keep(image const& one) noexcept
    {
        ++found_.images_wanted;
        if (used_ != memory_.images.size()) memory_.images[used_++] = one;
    }

    /// Keeps the image that \p headers describe, in as many pieces as it takes. \return could it be placed?
    bool keep(program_headers const& headers, procfs::vma const& vma, file_source source, bool verified) noexcept
    {
        auto placed = image::place(headers, vma, found_.page_size);
        if (!placed) return false;
        for (;;) {
            placed.value().source = source;
            placed.value().verified = verified;
            keep(placed.value());
            if (placed.value().segments_behind == 0) return true;
            placed = image::place_behind(placed.value(), headers, found_.page_size);
            if (!placed) return true;
        }
    }

    /// Without headers, an image is what is mapped of the same file close behind its code, and memory right behind its data is its bss.
    void extend_bare_image(procfs::vma const& vma) const noexcept
    {
        if (used_ == 0) return;
        auto& last = memory_.images[used_ - 1];
        constexpr std::uint64_t largest_hole = 4u << 20;
        if (last.has_headers() || vma.start < last.end || vma.start.value - last.end.value > largest_hole) return;
        if (last.is_of(vma)) {
            last.end = vma.end;
            last.ends_in_data = vma.perms.write;
        } else if (last.ends_in_data && vma.start == last.end && vma.path.empty() && vma.perms.write && !vma.perms.shared) {
            last.presumed_bss = vma.start;
            last.end = vma.end;
            last.ends_in_data = false;
        }
    }

    /// The image that \p vma, the first executable one of its file, is a part of. Its headers are those of the file if that can be opened
    /// and is the mapped one for certain, else those of its image in memory, else those of a file that may be another one, else unknown.
    void read_image(procfs::vma const& vma, std::optional<address> first_page) noexcept
    {
        buffer<4096> memory;
        auto const file = open_mapped_file(target_.directory(), vma);
        if (file) {
            auto const& opened = file.value();
            if (auto const headers = read_program_headers(opened.fd.get(), 0, memory)) {
                auto const placed = image::place(headers.value(), vma, found_.page_size);
                bool const same = opened.verified ||
                                  (placed && same_build_id(opened.fd.get(), headers.value(), placed.value().bias, first_page));
                if (same && keep(headers.value(), vma, opened.source, true)) return;
            }
        }
        if (!(file && file.value().verified) && first_page && open_memory())
            if (auto const headers = read_program_headers(target_memory_.get(), first_page->value, memory))
                if (keep(headers.value(), vma, file_source::memory, true)) return;
        if (file && !file.value().verified)
            if (auto const headers = read_program_headers(file.value().fd.get(), 0, memory))
                if (keep(headers.value(), vma, file.value().source, false)) return;
        if (!file) found_.note({file.error().code, kernel_file::elf, file.error().os_error, target_.id(), 0});
        image bare;
        bare.start = first_page.value_or(vma.start);
        bare.end = vma.end;
        bare.dev = vma.dev;
        bare.inode = vma.inode;
        bare.word_size = found_.word_size;
        keep(bare);
    }

    /// Device and inode differ: has the mapped image the build id of the opened file?
    [[nodiscard]] bool same_build_id(int fd, program_headers const& headers, std::uint64_t bias, std::optional<address> first_page) noexcept
    {
        if (!first_page || !open_memory()) return false;
        char in_file[64];
        char in_memory[64];
        auto const size = read_build_id(fd, headers, false, 0, in_file);
        return size != 0 && read_build_id(target_memory_.get(), headers, true, bias, in_memory) == size
            && __builtin_memcmp(in_file, in_memory, size) == 0;
    }

    bool open_memory() noexcept
    {
        if (!tried_memory_) {
            tried_memory_ = true;
            if (auto opened = io::open(target_.directory(), "mem", O_RDONLY, kernel_file::mem, target_.id()))
                target_memory_ = static_cast<io::descriptor&&>(opened.value());
        }
        return target_memory_.is_open();
    }

    /// The program is where its entry, its headers or its code are; the dynamic linker where AT_BASE points.
    void assign_roles() noexcept
    {
        for (auto& i : memory_.images.first(used_)) {
            auto const has = [&](std::optional<address> a) { return a && i.spans(*a); };
            bool const has_code = found_.start_code && i.spans(*found_.start_code);
            if (has(found_.linker)) i.role = image_role::dynamic_linker;
            else if (has(found_.entry) || has(found_.phdr) || has_code) i.role = image_role::program;
            if (i.role == image_role::program && found_.word_size == 0) found_.word_size = i.word_size;
        }
        for (std::size_t i = 1; i < used_; ++i) share_role(memory_.images[i - 1], memory_.images[i]);
        for (std::size_t i = used_; i-- > 1;) share_role(memory_.images[i], memory_.images[i - 1]);
    }

    /// Pieces of one file have the role of the piece that was recognised.
    static void share_role(image const& from, image& to) noexcept
    {
        if (from.role != image_role::library && from.has_headers() && from.is_of_same_file(to)) to.role = from.role;
    }

    process const& target_;
    facts_memory memory_;
    facts found_;
    std::size_t used_ = 0;
    io::descriptor target_memory_;
    bool tried_memory_ = false;
};

} // namespace detail

/// Gathers what is to be known of \p target: `stat`, `auxv`, `limits`, `task/*/syscall` (of each thread), one pass over `maps`, and the
/// program headers of each file that is mapped with execute permission. Nothing is stopped or attached to; `mem` is read only of files
/// that cannot be opened or whose device and inode differ from the mapping's.
/// Errors: those of reading `maps`: vanished, zombie, kernel_thread, denied. All else that fails is noted in `facts::failures`.
/// Cost: about 10 system calls a file and 3 a thread. No allocation; 25 KiB of stack.
[[nodiscard]] inline result<facts> gather(process const& target, facts_memory memory) noexcept
{
    return detail::gatherer{target, memory}.run();
}

} // namespace taskpeek::vas
