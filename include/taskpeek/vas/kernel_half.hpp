// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The kernel's half of the address space: what lies where, and how each answer is known. No kernel module is needed.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/file.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/program_headers.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace taskpeek::vas {

/// What the kernel uses a region for.
enum class kernel_class : std::uint8_t {
    non_canonical,  ///< the hole between the halves: addresses that the processor refuses
    guard_hole,     ///< x86-64: kept free for hypervisors
    ldt_remap,      ///< x86-64: local descriptor tables, with page table isolation
    direct_map,     ///< all physical memory
    vmalloc,        ///< vmalloc(), ioremap(), kernel stacks; on arm64 the kernel's image, too
    vmemmap,        ///< struct page of all physical memory
    kasan,          ///< KASAN's shadow memory, where the kernel has it
    cpu_entry_area, ///< x86-64: what each CPU needs at every entry
    espfix,         ///< x86-64: stacks for returning to 16-bit code
    efi,            ///< x86-64: EFI runtime services
    text,
    rodata,
    data,
    bss,
    image,          ///< the rest of the kernel's image, or of the room for it: KASLR places it somewhere in there (x86-64)
    modules,
    fixmap,         ///< addresses fixed at compile time
    pci_io,         ///< arm64: PCI I/O space
    vsyscall,       ///< x86-64: see range_class::vsyscall
    other,          ///< mapped, as kcore tells, but for nobody knows what
    unassigned      ///< nothing is documented to be there, and nothing was found
};

/// `"direct_map"`.
[[nodiscard]] constexpr std::string_view name_of(kernel_class c) noexcept
{
    constexpr std::string_view names[] = {"non_canonical_hole", "guard_hole", "ldt_remap", "direct_map", "vmalloc", "vmemmap", "kasan", "cpu_entry_area",
                                          "espfix", "efi", "kernel_text", "kernel_rodata", "kernel_data", "kernel_bss", "kernel_image", "modules",
                                          "fixmap", "pci_io", "vsyscall", "other", "unassigned"};
    auto const i = static_cast<std::size_t>(c);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// How the bounds of a region are known, best first.
enum class kernel_source : std::uint8_t {
    measured,   ///< read from the running kernel: a symbol of `/proc/kallsyms`, or a variable's value through `/proc/kcore`
    derived,    ///< concluded from what has no names or no virtual addresses: `/proc/kcore`'s headers, `/proc/modules`, `/proc/iomem`
    documented  ///< the layout that the kernel documents; with KASLR the direct map, vmalloc and vmemmap of x86-64 begin elsewhere in truth
};

/// `"measured"`.
[[nodiscard]] constexpr std::string_view name_of(kernel_source s) noexcept
{
    switch (s) {
    case kernel_source::measured: return "measured";
    case kernel_source::derived: return "derived";
    case kernel_source::documented: return "documented default";
    }
    return "";
}

/// A region of the kernel's half.
struct kernel_region {
    std::uint64_t first = 0;  ///< its first address
    std::uint64_t last = 0;   ///< its last address: the one after it may be 2^64
    kernel_class kind = kernel_class::unassigned;
    kernel_source source = kernel_source::documented;
    std::string_view file = {}; ///< what told its bounds: `"/proc/kallsyms"`; static

    /// Its bytes.
    [[nodiscard]] constexpr bytes size() const noexcept { return bytes{last - first + 1}; }
    [[nodiscard]] constexpr bool contains(address a) const noexcept { return first <= a.value && a.value <= last; }
};

/// The layouts that this header knows. 52 bits are LPA2's, with pages of 4 KiB; all of arm64 are those since Linux 5.11.
enum class kernel_layout_kind : std::uint8_t { unknown, x86_64_4_level, x86_64_5_level, arm64_39, arm64_48, arm64_52 };

/// `"x86-64, 4 levels"`.
[[nodiscard]] constexpr std::string_view name_of(kernel_layout_kind k) noexcept
{
    constexpr std::string_view names[] = {"unknown", "x86-64, 4 levels", "x86-64, 5 levels", "arm64, VA_BITS 39", "arm64, VA_BITS 48",
                                          "arm64, VA_BITS 52"};
    auto const i = static_cast<std::size_t>(k);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// Something that was not told, and the rule that keeps it back.
struct kernel_secret {
    std::string_view file;
    std::string_view rule;
};

/// What `/proc/vmallocinfo` and `/proc/modules` tell of sizes. An area's size includes the guard page behind it.
struct kernel_usage {
    bytes vmalloc;       ///< all areas that are in use
    bytes thread_stacks; ///< those of tasks, and the few that are kept for the next ones
    bytes irq_stacks;
    bytes modules;
    std::size_t thread_stack_count = 0, irq_stack_count = 0, module_count = 0;

    /// One thread's kernel stack with its guard page; 0 if none was seen or they differ.
    [[nodiscard]] constexpr bytes thread_stack_size() const noexcept { return each(thread_stacks, thread_stack_count); }
    /// One CPU's IRQ stack with its guard page; 0 likewise.
    [[nodiscard]] constexpr bytes irq_stack_size() const noexcept { return each(irq_stacks, irq_stack_count); }

private:
    [[nodiscard]] static constexpr bytes each(bytes all, std::size_t count) noexcept
    {
        return bytes{count != 0 && all.count % count == 0 ? all.count / count : 0};
    }
};

/// The kernel's half: its regions in ascending order, without overlap or hole.
struct kernel_half {
    static constexpr std::size_t most_regions = 96;

    kernel_layout_kind layout = kernel_layout_kind::unknown;
    kernel_region hole; ///< what is between the user half and this one; of kind `unassigned` where the layout is not known
    kernel_region regions_memory[most_regions];
    std::size_t region_count = 0;
    kernel_secret secrets_memory[8];
    std::size_t secret_count = 0;
    std::optional<kernel_usage> usage;

    [[nodiscard]] constexpr std::span<kernel_region const> regions() const noexcept { return {regions_memory, region_count}; }
    [[nodiscard]] constexpr std::span<kernel_secret const> secrets() const noexcept { return {secrets_memory, secret_count}; }
};

/// Which Linux it is, as `/proc/sys/kernel/osrelease` begins: layouts change.
struct kernel_version {
    unsigned major = 0, minor = 0;
    friend constexpr auto operator<=>(kernel_version, kernel_version) noexcept = default;
};

/// The regions that the kernel documents for a layout, ascending; they do not touch each other everywhere.
struct documented_layout {
    kernel_region memory[16];
    std::size_t count = 0;

    [[nodiscard]] constexpr kernel_region const* begin() const noexcept { return memory; }
    [[nodiscard]] constexpr kernel_region const* end() const noexcept { return memory + count; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count; }
    [[nodiscard]] constexpr bool empty() const noexcept { return count == 0; }

    /// The region of a kind; nullptr if the layout has none.
    [[nodiscard]] constexpr kernel_region const* find(kernel_class kind) const noexcept
    {
        for (auto const& r : *this)
            if (r.kind == kind) return &r;
        return nullptr;
    }

    constexpr void add(std::uint64_t first, std::uint64_t last, kernel_class kind, std::string_view file) noexcept
    {
        memory[count++] = {first, last, kind, kernel_source::documented, file};
    }
};

namespace detail {

/// Documentation/arch/x86/x86_64/mm.rst, since 4.20; the modules begin where they do with CONFIG_RANDOMIZE_BASE.
[[nodiscard]] constexpr documented_layout x86_64_layout(bool five_levels) noexcept
{
    constexpr std::string_view file = "Documentation/arch/x86/x86_64/mm.rst";
    documented_layout out;
    using enum kernel_class;
    if (five_levels) {
        out.add(0xff00000000000000, 0xff0fffffffffffff, guard_hole, file);
        out.add(0xff10000000000000, 0xff10ffffffffffff, ldt_remap, file);
        out.add(0xff11000000000000, 0xff90ffffffffffff, direct_map, file);
        out.add(0xffa0000000000000, 0xffd1ffffffffffff, vmalloc, file);
        out.add(0xffd4000000000000, 0xffd5ffffffffffff, vmemmap, file);
        out.add(0xffdf000000000000, 0xfffffbffffffffff, kasan, file);
    } else {
        out.add(0xffff800000000000, 0xffff87ffffffffff, guard_hole, file);
        out.add(0xffff880000000000, 0xffff887fffffffff, ldt_remap, file);
        out.add(0xffff888000000000, 0xffffc87fffffffff, direct_map, file);
        out.add(0xffffc90000000000, 0xffffe8ffffffffff, vmalloc, file);
        out.add(0xffffea0000000000, 0xffffeaffffffffff, vmemmap, file);
        out.add(0xffffec0000000000, 0xfffffbffffffffff, kasan, file);
    }
    out.add(0xfffffe0000000000, 0xfffffe7fffffffff, cpu_entry_area, file);
    out.add(0xffffff0000000000, 0xffffff7fffffffff, espfix, file);
    out.add(0xffffffef00000000, 0xfffffffeffffffff, efi, file);
    out.add(0xffffffff80000000, 0xffffffffbfffffff, image, file);
    out.add(0xffffffffc0000000, 0xfffffffffeffffff, modules, file);
    out.add(0xffffffffff000000, 0xffffffffff5fffff, fixmap, file);
    out.add(0xffffffffff600000, 0xffffffffff600fff, vsyscall, file);
    return out;
}

/// arch/arm64/include/asm/memory.h and pgtable.h since 5.11, with pages of 4 KiB and a struct page of 64 bytes. Since 6.5 there are 2 GiB
/// for modules; since 6.9 fixmap and PCI I/O lie above vmemmap, which ends 1 GiB below the top.
[[nodiscard]] constexpr documented_layout arm64_layout(unsigned va_bits, kernel_version version) noexcept
{
    constexpr std::string_view file = "Documentation/arch/arm64/memory.rst, asm/memory.h";
    constexpr std::uint64_t mib = 1 << 20, gib = 1 << 30, bit = 1;
    auto const page_offset = 0 - (bit << va_bits);
    auto const page_end = 0 - (bit << ((va_bits < 48 ? va_bits : 48) - 1));
    auto const modules_end = page_end + (version >= kernel_version{6, 5} ? 2 * gib : 128 * mib);
    auto const vmemmap_size = (page_end - page_offset) / 64;
    documented_layout out;
    using enum kernel_class;
    out.add(page_offset, page_end - 1, direct_map, file);
    out.add(page_end, modules_end - 1, modules, file);
    if (version >= kernel_version{6, 9}) {
        auto const vmemmap_end = 0 - gib;
        out.add(modules_end, vmemmap_end - vmemmap_size - 8 * mib - 1, vmalloc, file);
        out.add(vmemmap_end - vmemmap_size, vmemmap_end - 1, vmemmap, file);
        out.add(vmemmap_end + 8 * mib, vmemmap_end + 24 * mib - 1, pci_io, file);
        out.add(0 - 12 * mib, 0 - 8 * mib - 1, fixmap, file);
    } else {
        auto const vmemmap_start = 0 - (bit << (va_bits - 6));
        out.add(modules_end, vmemmap_start - 256 * mib - 1, vmalloc, file);
        out.add(vmemmap_start - 256 * mib, vmemmap_start - 32 * mib - 1, fixmap, file);
        out.add(vmemmap_start - 24 * mib, vmemmap_start - 8 * mib - 1, pci_io, file);
        out.add(vmemmap_start, vmemmap_start + (vmemmap_size - 1), vmemmap, file);
    }
    return out;
}

[[nodiscard]] constexpr bool is_x86_64(kernel_layout_kind k) noexcept
{
    return k == kernel_layout_kind::x86_64_4_level || k == kernel_layout_kind::x86_64_5_level;
}

} // namespace detail

/// The regions that Linux \p version documents for a layout.
[[nodiscard]] constexpr documented_layout documented_regions(kernel_layout_kind layout, kernel_version version = {6, 12}) noexcept
{
    switch (layout) {
    case kernel_layout_kind::x86_64_4_level: return detail::x86_64_layout(false);
    case kernel_layout_kind::x86_64_5_level: return detail::x86_64_layout(true);
    case kernel_layout_kind::arm64_39: return detail::arm64_layout(39, version);
    case kernel_layout_kind::arm64_48: return detail::arm64_layout(48, version);
    case kernel_layout_kind::arm64_52: return detail::arm64_layout(52, version);
    case kernel_layout_kind::unknown: break;
    }
    return {};
}

/// Addresses of the symbols that bound the kernel's own image, and of the variables that say where KASLR has put the rest. 0: not told.
struct kernel_symbols {
    std::uint64_t stext = 0, etext = 0, start_rodata = 0, end_rodata = 0, sdata = 0, edata = 0, bss_start = 0, bss_stop = 0;
    std::uint64_t page_offset_base = 0, vmalloc_base = 0, vmemmap_base = 0;
    bool hidden = false; ///< the kernel printed zeros: kptr_restrict

    /// Takes a line of `/proc/kallsyms`, `ffffffff81000000 T _stext`. False at the first symbol of a module: the rest is theirs.
    constexpr bool take(std::string_view line) noexcept
    {
        text::cursor in{line};
        auto const value = in.hex<std::uint64_t>();
        in.expect(' ');
        (void)in.byte();
        in.expect(' ');
        if (!in.ok()) return true;
        auto const name = in.rest();
        if (name.find('\t') != name.npos) return false;
        struct entry { std::string_view name; std::uint64_t kernel_symbols::*where; };
        constexpr entry wanted[] = {
            {"_stext", &kernel_symbols::stext}, {"_etext", &kernel_symbols::etext}, {"__start_rodata", &kernel_symbols::start_rodata},
            {"__end_rodata", &kernel_symbols::end_rodata}, {"_sdata", &kernel_symbols::sdata}, {"_edata", &kernel_symbols::edata},
            {"__bss_start", &kernel_symbols::bss_start}, {"__bss_stop", &kernel_symbols::bss_stop},
            {"page_offset_base", &kernel_symbols::page_offset_base}, {"vmalloc_base", &kernel_symbols::vmalloc_base},
            {"vmemmap_base", &kernel_symbols::vmemmap_base}};
        for (auto const& w : wanted) {
            if (w.name != name) continue;
            if (value == 0) hidden = true;
            else this->*w.where = value;
        }
        return true;
    }
};

namespace detail {

/// Puts regions together: what was told first stays; the documents fill what is left.
class kernel_half_builder {
public:
    /// Adds a region that was found, or what earlier ones left of it.
    constexpr void add(std::uint64_t first, std::uint64_t last, kernel_class kind, kernel_source source, std::string_view file) noexcept
    {
        for (std::size_t i = 0; first <= last; ++i) {
            while (i < count_ && told_[i].last < first) ++i;
            bool const free = i == count_ || told_[i].first > first;
            if (free) {
                auto const end = i == count_ || told_[i].first > last ? last : told_[i].first - 1;
                if (!insert(i, {first, end, kind, source, file}) || end == last) return;
                first = end + 1;
            } else {
                if (told_[i].last >= last) return;
                first = told_[i].last + 1;
            }
        }
    }

    [[nodiscard]] constexpr std::span<kernel_region const> told() const noexcept { return {told_, count_}; }

    /// All from \p begin to the top. With \p moved, what KASLR moves as a whole is not where the documents have it once it was found.
    constexpr void finish(std::uint64_t begin, documented_layout const& documents, bool moved, kernel_half& out) const noexcept
    {
        constexpr auto top = ~std::uint64_t{0};
        for (std::uint64_t at = begin;;) {
            kernel_region next{at, top, kernel_class::unassigned};
            if (!documents.empty()) next.file = documents.begin()->file;
            for (auto const& r : documents) {
                if (r.last < at || (moved && is_elsewhere(r.kind))) continue;
                if (r.first <= at) next = {at, r.last, r.kind, r.source, r.file};
                else next.last = r.first - 1;
                break;
            }
            for (auto const& r : told()) {
                if (r.last < at) continue;
                if (r.first <= at) next = {at, r.last, r.kind, r.source, r.file};
                else if (r.first <= next.last) next.last = r.first - 1;
                break;
            }
            if (out.region_count + 1 == kernel_half::most_regions) next = {at, top, kernel_class::unassigned};
            out.regions_memory[out.region_count++] = next;
            if (next.last == top) return;
            at = next.last + 1;
        }
    }

private:
    constexpr bool insert(std::size_t at, kernel_region const& r) noexcept
    {
        if (count_ == sizeof told_ / sizeof *told_) return false;
        for (auto i = count_++; i > at; --i) told_[i] = told_[i - 1];
        told_[at] = r;
        return true;
    }

    [[nodiscard]] constexpr bool is_elsewhere(kernel_class documented) const noexcept
    {
        bool any = false, same = false;
        for (auto const& r : told()) {
            bool const moves = r.kind == kernel_class::direct_map || r.kind == kernel_class::vmalloc || r.kind == kernel_class::vmemmap;
            any = any || moves;
            same = same || (moves && r.kind == documented);
        }
        return same || (any && documented == kernel_class::kasan); // KASAN and KASLR of memory exclude each other
    }

    kernel_region told_[kernel_half::most_regions / 2];
    std::size_t count_ = 0;
};

/// Calls `take(line)` for each line of a file until it returns false. Lines longer than the memory are cut.
template <class Take>
[[nodiscard]] inline result<void> each_line(int root, char const* path, lent_buffer memory, Take take) noexcept
{
    auto opened = io::open(root, path, O_RDONLY, kernel_file::none);
    if (!opened) return opened.error();
    std::size_t filled = 0;
    for (;;) {
        auto const got = io::read(opened.value().get(), memory.data() + filled, memory.size() - filled);
        if (!got.ok()) return os_failure(got.error(), kernel_file::none);
        filled += got.count();
        std::string_view text{memory.data(), filled};
        for (std::size_t newline; (newline = text.find('\n')) != text.npos; text.remove_prefix(newline + 1))
            if (!take(text.substr(0, newline))) return success();
        if (got.value() == 0) return success();
        if (text.size() == memory.size()) text = {};
        __builtin_memmove(memory.data(), text.data(), text.size());
        filled = text.size();
    }
}

/// The number after the first blank of a line, as `modules` and `vmallocinfo` have it.
[[nodiscard]] constexpr std::uint64_t second_number(std::string_view line) noexcept
{
    text::cursor in{line};
    (void)in.until(' ');
    in.skip_spaces();
    return in.decimal<std::uint64_t>();
}

/// Gathers what `/proc` tells of the kernel's half.
class kernel_half_reader {
public:
    kernel_half_reader(int root, user_layout const& user) noexcept : root_{root}, user_{user} {}

    [[nodiscard]] kernel_half run() noexcept
    {
        read_version();
        read_symbols();
        read_kcore();
        read_modules();
        kernel_half out;
        out.layout = find_layout();
        auto const documents = documented_regions(out.layout, version_);
        kernel_half_builder build;
        add_symbols(build);
        add_iomem(build);
        add_image_and_modules(build, documents);
        bool const x86 = is_x86_64(out.layout);
        if (x86) add_bases(build, documents);
        add_kcore(build, documents, x86);
        read_vmallocinfo();
        out.usage = usage_;

        auto begin = documents.empty() ? user_.kernel_begin : documents.begin()->first;
        if (begin < half) begin = half;
        if (documents.empty() && !build.told().empty() && build.told().front().first < begin) begin = build.told().front().first;
        build.finish(begin, documents, x86, out);
        if (!documents.empty())
            out.hole = {0 - begin, begin - 1, kernel_class::non_canonical, kernel_source::documented, documents.begin()->file};
        tell_secrets(out);
        return out;
    }

private:
    struct segment {
        std::uint64_t first, last, physical, offset;
        [[nodiscard]] constexpr bool contains(std::uint64_t a) const noexcept { return first <= a && a <= last; }
        [[nodiscard]] constexpr bool has_physical() const noexcept { return physical != no_physical; }
    };
    static constexpr std::uint64_t half = std::uint64_t{1} << 63, no_physical = ~std::uint64_t{0}, gib = 1 << 30, page = 4096;
    static constexpr std::uint64_t x86_image = 0xffffffff80000000, x86_vsyscall = 0xffffffffff600000, x86_entry_area = 0xfffffe0000000000;

    void read_version() noexcept
    {
        buffer<256> memory;
        (void)each_line(root_, "sys/kernel/osrelease", memory, [&](std::string_view line) {
            text::cursor in{line};
            auto const major = in.decimal<unsigned>();
            in.expect('.');
            auto const minor = in.decimal<unsigned>();
            if (in.ok()) version_ = {major, minor};
            return false;
        });
    }

    void read_symbols() noexcept
    {
        buffer<16384> memory;
        symbols_told_ = each_line(root_, "kallsyms", memory, [&](std::string_view line) { return symbols_.take(line); });
    }

    void read_kcore() noexcept
    {
        auto opened = io::open(root_, "kcore", O_RDONLY, kernel_file::none);
        if (!opened) { kcore_told_ = opened.error(); return; }
        kcore_ = static_cast<io::descriptor&&>(opened.value());
        buffer<16384> memory; // some 290 headers: as many blocks of memory
        auto const headers = read_program_headers(kcore_.get(), 0, memory);
        if (!headers) { kcore_told_ = headers.error(); return; }
        machine_ = headers.value().header().machine;
        bool physical_told = false; // until 4.10 all were 0
        for (auto const h : headers.value()) {
            auto const last = (h.vaddr + (h.memsz - 1)) | (page - 1); // x86's VMALLOC_END is a last address, and kcore takes it for an end
            if (h.type != segment_type::load || h.memsz == 0 || h.vaddr < half || last < h.vaddr) continue;
            if (segment_count_ == sizeof segments_ / sizeof *segments_) break;
            segments_[segment_count_++] = {h.vaddr, last, h.paddr, h.offset};
            physical_told = physical_told || h.paddr != 0;
        }
        for (auto& s : std::span{segments_, segment_count_})
            if (!physical_told) s.physical = no_physical;
        // without a physical address there are vmalloc, modules, vmemmap and vsyscall, and vmalloc is by far the largest
        for (auto const& s : segments())
            if (!s.has_physical() && s.first < x86_image && (vmalloc_ == nullptr || s.last - s.first > vmalloc_->last - vmalloc_->first))
                vmalloc_ = &s;
    }

    void read_modules() noexcept
    {
        buffer<8192> memory;
        modules_told_ = each_line(root_, "modules", memory, [&](std::string_view line) {
            text::cursor in{line};
            (void)in.until(' ');
            in.skip_spaces();
            auto const size = in.decimal<std::uint64_t>();
            if (!in.ok()) return true;
            ++module_count_;
            module_bytes_ += size;
            auto const at = line.find(" 0x"); // its text; the rest is beside it, or (since 6.4) may be elsewhere
            if (at == line.npos) return true;
            text::cursor address{line.substr(at + 3)};
            auto const first = address.hex<std::uint64_t>();
            if (first < half || size == 0 || size > gib) { modules_hidden_ = modules_hidden_ || first == 0; return true; }
            auto const last = (first + (size - 1)) | (page - 1);
            if (last < first) return true;
            if (modules_first_ == 0 || first < modules_first_) modules_first_ = first;
            if (last > modules_last_) modules_last_ = last;
            return true;
        });
    }

    [[nodiscard]] kernel_layout_kind find_layout() noexcept
    {
        auto const above = user_.kernel_begin;
        std::uint64_t lowest = no_physical;
        for (auto const& s : segments()) lowest = s.first < lowest ? s.first : lowest;
        bool x86 = machine_ == 62 || (machine_ == 0 && symbols_.stext >= x86_image);
        bool arm = machine_ == 183 || (machine_ == 0 && symbols_.stext != 0 && symbols_.stext < x86_image);
        if (!x86 && !arm) {
            x86 = above == 0xffff800000000000 || above == 0xff00000000000000;
            arm = above == 0xffff000000000000 || above == 0xffffff8000000000 || above == 0xfff0000000000000;
        }
        if (!x86 && !arm && above == 0) {
#if defined __x86_64__
            x86 = true;
#elif defined __aarch64__
            arm = true;
#endif
        }
        if (x86) {
            bool const five = above == 0xff00000000000000 || lowest < 0xffff800000000000 || (segment_count_ == 0 && cpu_has_la57());
            return five ? kernel_layout_kind::x86_64_5_level : kernel_layout_kind::x86_64_4_level;
        }
        if (!arm) return kernel_layout_kind::unknown;
        if (vmalloc_ == nullptr) {
            if (version_ == kernel_version{}) version_ = {6, 12};
            if (above == 0xffffff8000000000) return kernel_layout_kind::arm64_39;
            bool const asked = above == 0 && is_live(root_) && highest_mappable().value != 0;
            return above == 0xfff0000000000000 || asked ? kernel_layout_kind::arm64_52 : kernel_layout_kind::arm64_48;
        }
        // the modules begin where the direct map's room ends, and end where vmalloc begins
        if (version_ == kernel_version{}) version_ = vmalloc_->first % (2 * gib) != 0 ? kernel_version{6, 1} : kernel_version{6, 12};
        auto const room_end = vmalloc_->first & ~(4 * gib - 1);
        if (room_end == 0xffffffc000000000) return kernel_layout_kind::arm64_39;
        if (room_end != 0xffff800000000000) return kernel_layout_kind::unknown;
        // running with 52 bits, vmemmap takes 62 TiB instead of 2
        return vmalloc_->last < 0xfffff00000000000 ? kernel_layout_kind::arm64_52 : kernel_layout_kind::arm64_48;
    }

    /// The kernel takes the flag away when it runs with 4 levels (arch/x86/kernel/cpu/common.c).
    [[nodiscard]] bool cpu_has_la57() const noexcept
    {
        buffer<8192> memory;
        bool found = false;
        (void)each_line(root_, "cpuinfo", memory, [&](std::string_view line) {
            if (!line.starts_with("flags")) return true;
            found = line.find(" la57") != line.npos;
            return false;
        });
        return found;
    }

    [[nodiscard]] std::span<segment const> segments() const noexcept { return {segments_, segment_count_}; }

    void add_symbols(kernel_half_builder& build) const noexcept
    {
        auto const add = [&](std::uint64_t first, std::uint64_t end, kernel_class kind) {
            if (first >= half && end > first) build.add(first, end - 1, kind, kernel_source::measured, "/proc/kallsyms");
        };
        add(symbols_.stext, symbols_.etext, kernel_class::text);
        add(symbols_.start_rodata, symbols_.end_rodata, kernel_class::rodata);
        add(symbols_.sdata, symbols_.edata, kernel_class::data);
        add(symbols_.bss_start, symbols_.bss_stop, kernel_class::bss);
    }

    /// The kernel's image in kcore: on x86 at the top, on arm64 within vmalloc.
    [[nodiscard]] bool is_image(segment const& s) const noexcept
    {
        if (s.last - s.first >= gib) return false;
        if (symbols_.stext != 0) return s.contains(symbols_.stext);
        if (!s.has_physical()) return false;
        return s.first >= x86_image || (vmalloc_ != nullptr && vmalloc_->contains(s.first));
    }

    /// Where the kernel's parts are in physical memory, moved to where kcore has its image. x86 says so of four parts; arm64's
    /// "Kernel code" goes on to its initialization code, and "Kernel data" to the end of the image.
    void add_iomem(kernel_half_builder& build) noexcept
    {
        struct part { std::string_view name; kernel_class kind; };
        constexpr part parts[] = {{"Kernel code", kernel_class::text}, {"Kernel rodata", kernel_class::rodata}, {"Kernel data", kernel_class::data},
                                  {"Kernel bss", kernel_class::bss}};
        segment const* image = nullptr;
        for (auto const& s : segments())
            if (is_image(s) && s.has_physical()) image = &s;
        buffer<4096> memory;
        iomem_told_ = each_line(root_, "iomem", memory, [&](std::string_view line) {
            text::cursor in{line};
            in.skip_spaces();
            auto const first = in.hex<std::uint64_t>();
            in.expect('-');
            auto const last = in.hex<std::uint64_t>();
            if (!in.ok()) return true;
            if (last == 0) iomem_hidden_ = true;
            if (image == nullptr || last < first || first < image->physical) return true;
            if (last - image->physical > image->last - image->first) return true;
            auto const move = image->first - image->physical;
            auto const is_told = [&](kernel_class kind) {
                return std::any_of(build.told().begin(), build.told().end(), [=](kernel_region const& r) { return r.kind == kind; });
            };
            auto const tell = [&](std::uint64_t from, kernel_class kind) {
                if (!is_told(kind)) build.add(from, last + move, kind, kernel_source::derived, "/proc/iomem, /proc/kcore");
            };
            for (auto const& p : parts)
                if (in.rest().ends_with(p.name)) tell(first + move, p.kind);
            // without CONFIG_KALLSYMS_ALL the text is known, and on arm64 what follows it up to __init_begin is read-only data
            if (in.rest().ends_with("Kernel code") && image->first < x86_image && symbols_.etext > first + move && symbols_.etext < last + move)
                tell(symbols_.etext, kernel_class::rodata);
            return true;
        });
    }

    void add_image_and_modules(kernel_half_builder& build, documented_layout const& documents) const noexcept
    {
        auto const* const modules = documents.find(kernel_class::modules);
        for (auto const& s : segments()) {
            if (is_image(s)) build.add(s.first, s.last, kernel_class::image, kernel_source::derived, "/proc/kcore");
            else if (!s.has_physical() && modules != nullptr && modules->first <= s.first && s.last <= modules->last)
                build.add(s.first, s.last, kernel_class::modules, kernel_source::derived, "/proc/kcore");
        }
        // on arm64, KASLR may place modules anywhere near the kernel (arch/arm64/kernel/kaslr.c, module.c)
        if (modules_first_ != 0 && modules_last_ - modules_first_ < 4 * gib)
            build.add(modules_first_, modules_last_, kernel_class::modules, kernel_source::derived, "/proc/modules");
    }

    /// The value of a kernel variable of 8 bytes.
    [[nodiscard]] std::uint64_t value_at(std::uint64_t where) const noexcept
    {
        for (auto const& s : segments()) {
            if (!s.contains(where) || s.last - where < 7) continue;
            std::uint64_t value = 0;
            auto const got = io::pread(kcore_.get(), reinterpret_cast<char*>(&value), sizeof value, s.offset + (where - s.first));
            if (got.ok() && got.count() == sizeof value) return value;
        }
        return 0;
    }

    /// Where x86's KASLR has put its three great regions (arch/x86/mm/kaslr.c): vmalloc's size is fixed, the other two follow the memory's.
    void add_bases(kernel_half_builder& build, documented_layout const& documents) const noexcept
    {
        std::uint64_t memory_size = 0;
        auto const add = [&](std::uint64_t where, kernel_class kind) {
            auto const base = value_at(where);
            auto const& documented = *documents.find(kind);
            if (base < documents.begin()->first || base >= x86_entry_area || base % page != 0) return;
            auto last = base == documented.first ? documented.last : base + (documented.last - documented.first);
            if (kind == kernel_class::direct_map) {
                last = base | (page - 1);
                for (auto const& s : segments())
                    if (s.has_physical() && s.first - s.physical == base && s.last > last) last = s.last;
                memory_size = last - base;
            } else if (kind == kernel_class::vmemmap && base != documented.first) {
                constexpr std::uint64_t tib = std::uint64_t{1} << 40;
                last = base + ((memory_size / 64 / tib + 1) * tib - 1); // a struct page of 64 bytes for each page; at least 1 TiB
            }
            if (last < base || last >= x86_entry_area) last = x86_entry_area - 1;
            build.add(base, last, kind, kernel_source::measured, "/proc/kcore at an address of /proc/kallsyms");
        };
        add(symbols_.page_offset_base, kernel_class::direct_map);
        add(symbols_.vmalloc_base, kernel_class::vmalloc);
        add(symbols_.vmemmap_base, kernel_class::vmemmap);
    }

    /// What kcore's parts must be, for they carry no names: memory has a physical address; on either architecture the direct map lies below
    /// vmalloc and vmemmap above it (arm64: since 5.4). Parts of one kind are told as one.
    void add_kcore(kernel_half_builder& build, documented_layout const& documents, bool x86) const noexcept
    {
        struct extent {
            std::uint64_t first = no_physical, last = 0;
            void add(segment const& s) noexcept { first = s.first < first ? s.first : first; last = s.last > last ? s.last : last; }
        } direct, map;
        auto const tell = [&](extent const& e, kernel_class kind) { build.add(e.first, e.last, kind, kernel_source::derived, "/proc/kcore"); };
        for (auto const& s : segments()) {
            if (is_image(s)) continue;
            extent const alone{s.first, s.last};
            if (x86 && s.first >= x86_image) tell(alone, s.first >= x86_vsyscall ? kernel_class::vsyscall : kernel_class::modules);
            else if (vmalloc_ == &s) tell(alone, kernel_class::vmalloc);
            else if (s.has_physical() || (x86 && vmalloc_ != nullptr && s.last < vmalloc_->first)) direct.add(s);
            else if (vmalloc_ != nullptr && s.first > vmalloc_->last) map.add(s);
            else tell(alone, kind_of(documents, s));
        }
        tell(direct, kernel_class::direct_map);
        tell(map, kernel_class::vmemmap);
    }

    [[nodiscard]] static kernel_class kind_of(documented_layout const& documents, segment const& s) noexcept
    {
        for (auto const& r : documents)
            if (r.first <= s.first && s.last <= r.last) return r.kind;
        return kernel_class::other;
    }

    /// Addresses there are hashed, so only sizes and callers are looked at. The compiler decides whose frame a stack's allocation shows.
    void read_vmallocinfo() noexcept
    {
        kernel_usage use;
        buffer<8192> memory;
        auto const is_from = [](std::string_view line, auto... callers) { return ((line.find(callers) != line.npos) || ...); };
        auto const take = [&](std::string_view line) {
            auto const size = second_number(line);
            if (is_from(line, " unpurged vm_area", " vm_map_ram")) return true; // freed already, or lent for a moment
            use.vmalloc += bytes{size};
            if (is_from(line, " irq_init_percpu_irqstack+", " init_irq_stacks+", " init_IRQ+") ||
                (is_from(line, " start_kernel+") && size == irq_stack_size)) {
                use.irq_stacks += bytes{size};
                ++use.irq_stack_count;
            } else if (is_from(line, " kernel_clone+", " copy_process+", " dup_task_struct+", " _do_fork+", " alloc_thread_stack_node+", " fork_idle+",
                               " create_io_thread+")) {
                use.thread_stacks += bytes{size};
                ++use.thread_stack_count;
            }
            return true;
        };
        vmallocinfo_told_ = each_line(root_, "vmallocinfo", memory, take);
        use.modules = bytes{module_bytes_};
        use.module_count = module_count_;
        if (vmallocinfo_told_ || modules_told_) usage_ = use;
    }

    /// What was not told, and why: which of the kernel's rules it is follows from errno, kptr_restrict and perf_event_paranoid.
    void tell_secrets(kernel_half& out) const noexcept
    {
        auto const keep = [&](std::string_view file, std::string_view rule) { out.secrets_memory[out.secret_count++] = {file, rule}; };
        auto const is_absent = [](result<void> const& told) { return told.error().os_error == ENOENT; };
        if (symbols_.hidden || modules_hidden_) {
            auto const rule = address_rule();
            if (symbols_.hidden) keep("/proc/kallsyms", rule);
            if (modules_hidden_) keep("/proc/modules", rule);
        }
        if (!symbols_told_)
            keep("/proc/kallsyms", is_absent(symbols_told_) ? "it is not there: no CONFIG_KALLSYMS" : "it may not be read");
        if (!kcore_told_)
            keep("/proc/kcore", is_absent(kcore_told_)                  ? "it is not there: no CONFIG_PROC_KCORE"
                                : kcore_told_.error().os_error == EACCES ? "only root may open it (mode 0400), and that with CAP_SYS_RAWIO"
                                : kcore_told_.error().os_error == EPERM  ? "needs CAP_SYS_RAWIO, and a kernel that is not locked down"
                                                                         : "it is no ELF core file");
        if (!iomem_told_ || iomem_hidden_) keep("/proc/iomem", iomem_hidden_ ? "addresses are zeros without CAP_SYS_ADMIN" : "it may not be read");
        if (!vmallocinfo_told_)
            keep("/proc/vmallocinfo", is_absent(vmallocinfo_told_) ? "it is not there" : "only root may open it (mode 0400)");
    }

    /// kernel/ksyms_common.c, kallsyms_show_value().
    [[nodiscard]] std::string_view address_rule() const noexcept
    {
        switch (setting("sys/kernel/kptr_restrict")) {
        case 0: return "addresses are zeros without CAP_SYSLOG, for kernel.perf_event_paranoid is more than 1 (kernel.kptr_restrict is 0)";
        case 1: return "addresses are zeros without CAP_SYSLOG: kernel.kptr_restrict is 1";
        case 2: return "addresses are zeros for everyone: kernel.kptr_restrict is 2";
        default: return "addresses are zeros: kernel.kptr_restrict, or no CAP_SYSLOG";
        }
    }

    [[nodiscard]] int setting(char const* path) const noexcept
    {
        buffer<64> memory;
        int value = -1;
        (void)each_line(root_, path, memory, [&](std::string_view line) {
            text::cursor in{line};
            auto const n = in.decimal<unsigned>();
            if (in.ok() && n < 100) value = static_cast<int>(n);
            return false;
        });
        return value;
    }

    static constexpr std::uint64_t irq_stack_size = 16384 + page;

    int root_;
    user_layout user_;
    kernel_version version_;
    kernel_symbols symbols_;
    io::descriptor kcore_;
    result<void> symbols_told_ = success(), kcore_told_ = success(), modules_told_ = success(), iomem_told_ = success();
    result<void> vmallocinfo_told_ = success();
    bool modules_hidden_ = false, iomem_hidden_ = false;
    std::uint64_t modules_first_ = 0, modules_last_ = 0, module_bytes_ = 0;
    std::size_t module_count_ = 0;
    std::uint16_t machine_ = 0;
    segment segments_[256];
    std::size_t segment_count_ = 0;
    segment const* vmalloc_ = nullptr;
    std::optional<kernel_usage> usage_;
};

} // namespace detail

/// What is known of the kernel's half of the machine whose procfs is \p root. \p user is where the kernel's half begins, as the
/// vmas of a 64-bit process show (see `classified`); without it the layout is that of `/proc/kcore`, of the kernel's symbols, or of
/// this program's own architecture. Reads `kallsyms` (some 10 MB: the better part of 100 ms), `kcore`, `iomem`,
/// `modules` and `vmallocinfo`.
/// What this reader may not see is listed in `kernel_half::secrets`; no address that the kernel hashed or zeroed is ever shown.
/// Errors: those of opening the root. No allocation; some 50 KiB of stack.
[[nodiscard]] inline result<kernel_half> read_kernel_half(proc_root const& root = {}, user_layout const& user = {}) noexcept
{
    auto opened = root.open();
    if (!opened) return opened.error();
    return detail::kernel_half_reader{opened.value().get(), user}.run();
}

} // namespace taskpeek::vas
