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

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace taskpeek::vas {

/// What the kernel uses a region for.
enum class kernel_class : std::uint8_t {
    guard_hole,     ///< x86-64: kept free for hypervisors
    ldt_remap,      ///< x86-64: local descriptor tables, with page table isolation
    direct_map,     ///< all physical memory
    vmalloc,        ///< vmalloc(), ioremap(), kernel stacks
    vmemmap,        ///< struct page of all physical memory
    kasan,          ///< KASAN's shadow memory, where the kernel has it
    cpu_entry_area, ///< x86-64: what each CPU needs at every entry
    espfix,         ///< x86-64: stacks for returning to 16-bit code
    efi,            ///< x86-64: EFI runtime services
    text,
    rodata,
    data,
    bss,
    image,          ///< the rest of the room for the kernel's image: KASLR places it somewhere in there (x86-64)
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
    constexpr std::string_view names[] = {"guard_hole", "ldt_remap", "direct_map", "vmalloc", "vmemmap", "kasan", "cpu_entry_area", "espfix", "efi",
                                          "kernel_text", "kernel_rodata", "kernel_data", "kernel_bss", "kernel_image", "modules", "fixmap", "pci_io", "vsyscall",
                                          "other", "unassigned"};
    auto const i = static_cast<std::size_t>(c);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// How the bounds of a region are known, best first.
enum class kernel_source : std::uint8_t {
    measured,   ///< read from the running kernel: a symbol of `/proc/kallsyms`, or a variable's value through `/proc/kcore`
    derived,    ///< concluded from what carries no names: `/proc/kcore`'s program headers, `/proc/modules`
    documented  ///< the layout that the kernel documents; with KASLR the direct map, vmalloc and vmemmap begin elsewhere in truth
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

    /// Its bytes.
    [[nodiscard]] constexpr bytes size() const noexcept { return bytes{last - first + 1}; }
    [[nodiscard]] constexpr bool contains(address a) const noexcept { return first <= a.value && a.value <= last; }
};

/// The layouts that this header knows.
enum class kernel_layout_kind : std::uint8_t { unknown, x86_64_4_level, x86_64_5_level, arm64_39, arm64_48 };

/// `"x86-64, 4 levels"`.
[[nodiscard]] constexpr std::string_view name_of(kernel_layout_kind k) noexcept
{
    constexpr std::string_view names[] = {"unknown", "x86-64, 4 levels", "x86-64, 5 levels", "arm64, VA_BITS 39", "arm64, VA_BITS 48"};
    auto const i = static_cast<std::size_t>(k);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// Something that was not told, and the rule that keeps it back.
struct kernel_secret {
    std::string_view file;
    std::string_view rule;
};

/// What `/proc/vmallocinfo` and `/proc/modules` tell of sizes.
struct kernel_usage {
    bytes vmalloc, thread_stacks, irq_stacks, modules;
    std::size_t thread_stack_count = 0, irq_stack_count = 0, module_count = 0;
};

/// The kernel's half: its regions in ascending order, without overlap or hole.
struct kernel_half {
    static constexpr std::size_t most_regions = 96;

    kernel_layout_kind layout = kernel_layout_kind::unknown;
    kernel_region regions_memory[most_regions];
    std::size_t region_count = 0;
    kernel_secret secrets_memory[8];
    std::size_t secret_count = 0;
    std::optional<kernel_usage> usage;

    [[nodiscard]] constexpr std::span<kernel_region const> regions() const noexcept { return {regions_memory, region_count}; }
    [[nodiscard]] constexpr std::span<kernel_secret const> secrets() const noexcept { return {secrets_memory, secret_count}; }
};

namespace detail {

// x86-64: Documentation/arch/x86/x86_64/mm.rst; arm64: arch/arm64/include/asm/memory.h and Documentation/arm64/memory.rst, as of 6.1.
inline constexpr kernel_region x86_4[] = {
    {0xffff800000000000, 0xffff87ffffffffff, kernel_class::guard_hole},
    {0xffff880000000000, 0xffff887fffffffff, kernel_class::ldt_remap},
    {0xffff888000000000, 0xffffc87fffffffff, kernel_class::direct_map},
    {0xffffc90000000000, 0xffffe8ffffffffff, kernel_class::vmalloc},
    {0xffffea0000000000, 0xffffeaffffffffff, kernel_class::vmemmap},
    {0xffffec0000000000, 0xfffffbffffffffff, kernel_class::kasan},
    {0xfffffe0000000000, 0xfffffe7fffffffff, kernel_class::cpu_entry_area},
    {0xffffff0000000000, 0xffffff7fffffffff, kernel_class::espfix},
    {0xffffffef00000000, 0xfffffffeffffffff, kernel_class::efi},
    {0xffffffff80000000, 0xffffffffbfffffff, kernel_class::image},
    {0xffffffffc0000000, 0xfffffffffeffffff, kernel_class::modules},
    {0xffffffffff000000, 0xffffffffff5fffff, kernel_class::fixmap},
    {0xffffffffff600000, 0xffffffffff600fff, kernel_class::vsyscall}};
inline constexpr kernel_region x86_5[] = {
    {0xff00000000000000, 0xff0fffffffffffff, kernel_class::guard_hole},
    {0xff10000000000000, 0xff10ffffffffffff, kernel_class::ldt_remap},
    {0xff11000000000000, 0xff90ffffffffffff, kernel_class::direct_map},
    {0xffa0000000000000, 0xffd1ffffffffffff, kernel_class::vmalloc},
    {0xffd4000000000000, 0xffd5ffffffffffff, kernel_class::vmemmap},
    {0xffdf000000000000, 0xfffffbffffffffff, kernel_class::kasan},
    {0xfffffe0000000000, 0xfffffe7fffffffff, kernel_class::cpu_entry_area},
    {0xffffff0000000000, 0xffffff7fffffffff, kernel_class::espfix},
    {0xffffffef00000000, 0xfffffffeffffffff, kernel_class::efi},
    {0xffffffff80000000, 0xffffffffbfffffff, kernel_class::image},
    {0xffffffffc0000000, 0xfffffffffeffffff, kernel_class::modules},
    {0xffffffffff000000, 0xffffffffff5fffff, kernel_class::fixmap},
    {0xffffffffff600000, 0xffffffffff600fff, kernel_class::vsyscall}};
inline constexpr kernel_region arm_48[] = {
    {0xffff000000000000, 0xffff7fffffffffff, kernel_class::direct_map},
    {0xffff800000000000, 0xffff800007ffffff, kernel_class::modules},
    {0xffff800008000000, 0xfffffbffefffffff, kernel_class::vmalloc},
    {0xfffffbfffa000000, 0xfffffbfffdffffff, kernel_class::fixmap},
    {0xfffffbfffe800000, 0xfffffbffff7fffff, kernel_class::pci_io},
    {0xfffffc0000000000, 0xfffffdffffffffff, kernel_class::vmemmap}};
inline constexpr kernel_region arm_39[] = {
    {0xffffff8000000000, 0xffffffbfffffffff, kernel_class::direct_map},
    {0xffffffc000000000, 0xffffffc007ffffff, kernel_class::modules},
    {0xffffffc008000000, 0xfffffffdefffffff, kernel_class::vmalloc},
    {0xfffffffdfa000000, 0xfffffffdfdffffff, kernel_class::fixmap},
    {0xfffffffdfe800000, 0xfffffffdff7fffff, kernel_class::pci_io},
    {0xfffffffe00000000, 0xffffffffffffffff, kernel_class::vmemmap}};

} // namespace detail

/// The regions that the kernel documents for a layout, ascending; they do not touch each other everywhere.
[[nodiscard]] constexpr std::span<kernel_region const> documented_regions(kernel_layout_kind layout) noexcept
{
    switch (layout) {
    case kernel_layout_kind::x86_64_4_level: return detail::x86_4;
    case kernel_layout_kind::x86_64_5_level: return detail::x86_5;
    case kernel_layout_kind::arm64_39: return detail::arm_39;
    case kernel_layout_kind::arm64_48: return detail::arm_48;
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

/// Puts regions together: better sources push documented ones aside.
class kernel_half_builder {
public:
    constexpr explicit kernel_half_builder(kernel_layout_kind layout) noexcept
    {
        made_.layout = layout;
        for (auto const& r : documented_regions(layout)) made_.regions_memory[made_.region_count++] = r;
    }

    /// Adds a region that was found. What it covers of documented ones is cut away; found ones stay as they are.
    constexpr void add(kernel_region found) noexcept
    {
        if (found.last < found.first) return;
        for (auto const& r : made_.regions()) {
            if (r.source == kernel_source::documented || r.last < found.first || r.first > found.last) continue;
            auto const told = r; // by a better source, which came first: what is left on either side of it is new
            if (told.last < found.last) add({told.last + 1, found.last, found.kind, found.source});
            if (told.first > found.first) add({found.first, told.first - 1, found.kind, found.source});
            return;
        }
        kernel_region kept[kernel_half::most_regions];
        std::size_t count = 0;
        auto const keep = [&](kernel_region const& r) { if (count < kernel_half::most_regions) kept[count++] = r; };
        bool placed = false;
        for (auto r : made_.regions()) {
            if (!placed && r.first > found.first) { keep(found); placed = true; }
            bool const apart = r.last < found.first || r.first > found.last;
            bool const replaced = r.source == kernel_source::documented && (r.kind == found.kind || !apart) && may_move(r.kind, found.kind);
            if (replaced) continue;
            if (apart || r.source != kernel_source::documented) {
                keep(r);
                continue;
            }
            if (r.first < found.first) keep({r.first, found.first - 1, r.kind, r.source});
            if (!placed) { keep(found); placed = true; }
            if (r.last > found.last) keep({found.last + 1, r.last, r.kind, r.source});
        }
        if (!placed) keep(found);
        for (std::size_t i = 0; i < count; ++i) made_.regions_memory[i] = kept[i];
        made_.region_count = count;
    }

    constexpr void keep_secret(std::string_view file, std::string_view rule) noexcept
    {
        if (made_.secret_count < sizeof made_.secrets_memory / sizeof *made_.secrets_memory)
            made_.secrets_memory[made_.secret_count++] = {file, rule};
    }

    /// Fills the holes from \p begin on.
    [[nodiscard]] constexpr kernel_half finish(std::uint64_t begin) noexcept
    {
        auto out = made_;
        out.region_count = 0;
        auto at = begin;
        bool full = false; // 2^64 is reached
        auto const put = [&](kernel_region const& r) {
            if (out.region_count < kernel_half::most_regions) out.regions_memory[out.region_count++] = r;
        };
        for (auto const& r : made_.regions()) {
            if (r.last < at || full) continue;
            if (r.first > at) put({at, r.first - 1, kernel_class::unassigned, kernel_source::documented});
            put({r.first > at ? r.first : at, r.last, r.kind, r.source});
            at = r.last + 1;
            full = at == 0;
        }
        if (!full) put({at, ~std::uint64_t{0}, kernel_class::unassigned, kernel_source::documented});
        return out;
    }

    [[nodiscard]] constexpr kernel_half& made() noexcept { return made_; }

private:
    /// A region that KASLR moves as a whole is not where the documents have it once it was found.
    [[nodiscard]] static constexpr bool may_move(kernel_class documented, kernel_class found) noexcept
    {
        auto const moves = [](kernel_class c) {
            return c == kernel_class::direct_map || c == kernel_class::vmalloc || c == kernel_class::vmemmap;
        };
        if (documented == found) return moves(documented);
        return moves(found) && documented == kernel_class::kasan; // KASAN and KASLR of memory exclude each other
    }

    kernel_half made_;
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
        read_symbols();
        read_kcore();
        auto const layout = find_layout();
        kernel_half_builder build{layout};
        if (symbols_.hidden || !has_symbols_)
            build.keep_secret("/proc/kallsyms", has_symbols_ ? "addresses are zeros: kptr_restrict, or no CAP_SYSLOG" : "it is not there");
        if (kcore_error_ != 0) build.keep_secret("/proc/kcore", kcore_error_ == 2 ? "it is not there (no CONFIG_PROC_KCORE, or lockdown)" : "needs root (CAP_SYS_RAWIO)");
        add_image(build);
        add_bases(build);
        add_kcore(build);
        read_usage(build);
        auto const documented = documented_regions(layout);
        auto const begin = user_.kernel_begin != 0 ? user_.kernel_begin
                           : documented.empty()    ? std::uint64_t{1} << 63
                                                   : documented.front().first;
        return build.finish(documented.empty() || documented.front().first > begin ? begin : documented.front().first);
    }

private:
    struct segment { std::uint64_t start, size, physical, offset; };
    static constexpr std::uint64_t no_physical = ~std::uint64_t{0};

    void read_symbols() noexcept
    {
        buffer<16384> memory;
        has_symbols_ = each_line(root_, "kallsyms", memory, [&](std::string_view line) { return symbols_.take(line); }).has_value();
    }

    void read_kcore() noexcept
    {
        auto opened = io::open(root_, "kcore", O_RDONLY, kernel_file::none);
        if (!opened) { kcore_error_ = opened.error().os_error; return; }
        kcore_ = static_cast<io::descriptor&&>(opened.value());
        buffer<16384> memory; // some 290 headers: as many blocks of memory
        auto const headers = read_program_headers(kcore_.get(), 0, memory);
        if (!headers) { kcore_error_ = headers.error().os_error != 0 ? headers.error().os_error : 2; return; }
        machine_ = headers.value().header().machine;
        for (auto const h : headers.value())
            if (h.type == segment_type::load && h.memsz != 0 && segment_count_ < sizeof segments_ / sizeof *segments_)
                segments_[segment_count_++] = {h.vaddr, h.memsz, h.paddr, h.offset};
    }

    [[nodiscard]] kernel_layout_kind find_layout() const noexcept
    {
        constexpr std::uint64_t x86_image = 0xffffffff80000000;
        std::uint64_t lowest = no_physical;
        for (auto const& s : segments()) lowest = s.start < lowest ? s.start : lowest;
        bool x86 = machine_ == 62 || (machine_ == 0 && symbols_.stext >= x86_image);
        bool arm = machine_ == 183 || (machine_ == 0 && symbols_.stext != 0 && symbols_.stext < x86_image);
        if (!x86 && !arm && (user_.kernel_begin == 0xffff800000000000 || user_.kernel_begin == 0xff00000000000000)) x86 = true;
        if (!x86 && !arm && (user_.kernel_begin == 0xffff000000000000 || user_.kernel_begin == 0xffffff8000000000)) arm = true;
#if defined __x86_64__
        if (!x86 && !arm && user_.kernel_begin == 0) x86 = true;
#elif defined __aarch64__
        if (!x86 && !arm && user_.kernel_begin == 0) arm = true;
#endif
        if (x86) {
            bool const five = user_.kernel_begin == 0xff00000000000000 || lowest < 0xffff800000000000
                || (segment_count_ == 0 && cpu_has_la57());
            return five ? kernel_layout_kind::x86_64_5_level : kernel_layout_kind::x86_64_4_level;
        }
        if (arm) {
            bool const small = user_.kernel_begin == 0xffffff8000000000 ||
                               (user_.kernel_begin == 0 && segment_count_ != 0 && lowest >= 0xffffff8000000000);
            return small ? kernel_layout_kind::arm64_39 : kernel_layout_kind::arm64_48;
        }
        return kernel_layout_kind::unknown;
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

    void add_image(kernel_half_builder& build) const noexcept
    {
        auto const add = [&](std::uint64_t first, std::uint64_t end, kernel_class kind) {
            if (first != 0 && end > first) build.add({first, end - 1, kind, kernel_source::measured});
        };
        add(symbols_.stext, symbols_.etext, kernel_class::text);
        add(symbols_.start_rodata, symbols_.end_rodata, kernel_class::rodata);
        add(symbols_.sdata, symbols_.edata, kernel_class::data);
        add(symbols_.bss_start, symbols_.bss_stop, kernel_class::bss);
    }

    /// The value of a kernel variable of 8 bytes.
    [[nodiscard]] std::uint64_t value_at(std::uint64_t where) const noexcept
    {
        for (auto const& s : segments()) {
            if (where == 0 || where < s.start || where - s.start > s.size - 8) continue;
            std::uint64_t value = 0;
            auto const got = io::pread(kcore_.get(), reinterpret_cast<char*>(&value), sizeof value, s.offset + (where - s.start));
            if (got.ok() && got.count() == sizeof value) return value;
        }
        return 0;
    }

    [[nodiscard]] std::uint64_t documented_size(kernel_class kind) const noexcept
    {
        for (auto const& r : documented_regions(find_layout()))
            if (r.kind == kind) return r.last - r.first;
        return 0;
    }

    /// Where x86's KASLR has put its three great regions: their sizes stay those of the documents, the direct map's is that of the memory.
    void add_bases(kernel_half_builder& build) const noexcept
    {
        auto const add = [&](std::uint64_t where, kernel_class kind) {
            auto const base = value_at(where);
            if (base < std::uint64_t{1} << 63) return;
            std::uint64_t last = base + documented_size(kind);
            if (kind == kernel_class::direct_map) {
                last = base;
                for (auto const& s : segments())
                    if (s.physical != no_physical && s.start - s.physical == base && s.start + s.size - 1 > last)
                        last = s.start + s.size - 1;
            }
            build.add({base, last, kind, kernel_source::measured});
        };
        add(symbols_.page_offset_base, kernel_class::direct_map);
        add(symbols_.vmalloc_base, kernel_class::vmalloc);
        add(symbols_.vmemmap_base, kernel_class::vmemmap);
    }

    /// kcore's parts carry no names: the kernel's image lies at the top (x86) or among vmalloc (arm64), what has a physical address is the
    /// direct map, the largest part without one is vmalloc, one near below or above the image the modules, and the rest vmemmap.
    void add_kcore(kernel_half_builder& build) const noexcept
    {
        bool const x86 =
            build.made().layout == kernel_layout_kind::x86_64_4_level || build.made().layout == kernel_layout_kind::x86_64_5_level;
        std::uint64_t largest = 0;
        for (auto const& s : segments())
            if (s.physical == no_physical && s.size > largest) largest = s.size;
        std::uint64_t direct_first = 0, direct_last = 0, map_first = 0, map_last = 0;
        auto const extend = [](std::uint64_t& first, std::uint64_t& last, segment const& s) {
            if (first == 0 || s.start < first) first = s.start;
            if (s.start + (s.size - 1) > last) last = s.start + (s.size - 1);
        };
        for (auto const& s : segments()) {
            auto const last = s.start + (s.size - 1);
            auto const tell = [&](kernel_class kind) { build.add({s.start, last, kind, kernel_source::derived}); };
            bool const image = symbols_.stext >= s.start && symbols_.stext <= last && s.size < std::uint64_t{1} << 30;
            if (x86 && s.start >= 0xffffffff80000000) {
                if (s.start >= 0xffffffffff600000) tell(kernel_class::vsyscall);
                else if (s.start >= 0xffffffffa0000000 && !image && s.physical == no_physical) tell(kernel_class::modules);
                else tell(kernel_class::image);
            } else if (s.physical != no_physical && !image) {
                bool const is_image = !x86 && s.start - s.physical != segments_direct_offset();
                if (is_image) tell(kernel_class::image);
                else extend(direct_first, direct_last, s);
            } else if (image) {
                tell(kernel_class::image);
            } else if (s.size == largest) {
                tell(kernel_class::vmalloc);
            } else {
                auto const documented = documented_kind(build, s.start);
                if (documented == kernel_class::modules) tell(kernel_class::modules);
                else extend(map_first, map_last, s);
            }
        }
        if (direct_first != 0) build.add({direct_first, direct_last, kernel_class::direct_map, kernel_source::derived});
        if (map_first != 0) build.add({map_first, map_last, kernel_class::vmemmap, kernel_source::derived});
    }

    /// What the lowest part with a physical address has been moved by: the direct map's offset.
    [[nodiscard]] std::uint64_t segments_direct_offset() const noexcept
    {
        std::uint64_t lowest = no_physical, offset = 0;
        for (auto const& s : segments())
            if (s.physical != no_physical && s.start < lowest) { lowest = s.start; offset = s.start - s.physical; }
        return offset;
    }

    [[nodiscard]] static kernel_class documented_kind(kernel_half_builder& build, std::uint64_t a) noexcept
    {
        for (auto const& r : documented_regions(build.made().layout))
            if (r.contains(address{a})) return r.kind;
        return kernel_class::other;
    }

    void read_usage(kernel_half_builder& build) const noexcept
    {
        kernel_usage use;
        buffer<8192> memory;
        // addresses there are hashed ("%pK", "%px" of old kernels aside): only the sizes are believed
        auto const vmalloc = each_line(root_, "vmallocinfo", memory, [&](std::string_view line) {
            auto const size = second_number(line);
            use.vmalloc += bytes{size};
            if (line.find(" irq_init_percpu_irqstack") != line.npos || line.find(" init_irq_stacks") != line.npos) {
                use.irq_stacks += bytes{size};
                ++use.irq_stack_count;
            } else if (line.find(" kernel_clone+") != line.npos || line.find(" dup_task_struct+") != line.npos || line.find(" copy_process+") != line.npos
                       || line.find(" _do_fork+") != line.npos) {
                use.thread_stacks += bytes{size};
                ++use.thread_stack_count;
            }
            return true;
        });
        auto const modules = each_line(root_, "modules", memory, [&](std::string_view line) {
            use.modules += bytes{second_number(line)};
            ++use.module_count;
            return true;
        });
        if (!vmalloc) build.keep_secret("/proc/vmallocinfo", "only root reads it");
        if (vmalloc || modules) build.made().usage = use;
    }

    int root_;
    user_layout user_;
    kernel_symbols symbols_;
    bool has_symbols_ = false;
    io::descriptor kcore_;
    int kcore_error_ = 0;
    std::uint16_t machine_ = 0;
    segment segments_[256];
    std::size_t segment_count_ = 0;
};

} // namespace detail

/// What is known of the kernel's half of the machine whose procfs is \p root. \p user is where the kernel's half begins, as the
/// vmas of a 64-bit process show (see `classified`); without it the layout is that of `/proc/kcore`, of the kernel's symbols, or of
/// this program's own architecture. Reads `kallsyms` (some 10 MB: the better part of 100 ms), `kcore`, `vmallocinfo`, `modules`.
/// What this reader may not see is listed in `kernel_half::secrets`; no address that the kernel hashed or zeroed is ever shown.
/// Errors: those of opening the root. No allocation; 40 KiB of stack.
[[nodiscard]] inline result<kernel_half> read_kernel_half(proc_root const& root = {}, user_layout const& user = {}) noexcept
{
    auto opened = root.open();
    if (!opened) return opened.error();
    return detail::kernel_half_reader{opened.value().get(), user}.run();
}

} // namespace taskpeek::vas
