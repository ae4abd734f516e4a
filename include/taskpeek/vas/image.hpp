// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A program or library as it lies in memory: which of its addresses are code, constants, data and bss.

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/units.hpp>
#include <taskpeek/vas/program_headers.hpp>
#include <taskpeek/vas/range.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::vas {

/// What a mapped ELF file is to the process.
enum class image_role : std::uint8_t { program, dynamic_linker, library };

/// The parts of one mapped ELF file. Of fixed size: no memory of its own.
struct image {
    static constexpr std::size_t most_segments = 16; ///< a file with more (no known linker makes them) is told by permissions

    /// One PT_LOAD, its load bias added.
    struct segment {
        std::uint64_t first_page = 0; ///< where its pages begin
        std::uint64_t start = 0;
        std::uint64_t file_end = 0;   ///< from here on .bss
        std::uint64_t end = 0;
        std::uint64_t last_page = 0;  ///< where its pages end
        segment_flags flags;
    };

    /// A part of the image: up to where, and what.
    struct part {
        std::uint64_t end = 0;
        range_class kind = range_class::unknown;
        std::uint64_t cited = 0;
        bool of_file = true; ///< false for bss, which has anonymous pages too
    };

    address start;              ///< of its first page
    address end;                ///< after its last page
    std::uint64_t bias = 0;     ///< what is added to the file's addresses (modulo 2^64)
    procfs::device dev;
    std::uint64_t inode = 0;
    image_role role = image_role::library;
    file_source source = file_source::none; ///< none: nothing is known but that it is mapped with execute permission
    bool verified = false;      ///< are the headers the mapped file's for certain (by device and inode, or build id)?
    std::uint16_t machine = 0;  ///< e_machine
    std::size_t word_size = 0;
    std::size_t segment_count = 0;
    segment segments[most_segments];
    std::uint64_t relro_start = 0; ///< whole pages, as the dynamic linker protects them
    std::uint64_t relro_end = 0;
    address presumed_bss;       ///< without headers: memory right behind the data; 0 for none
    bool ends_in_data = false;  ///< without headers: was the last mapping of the file writable?

    [[nodiscard]] constexpr bool has_headers() const noexcept { return segment_count != 0; }
    [[nodiscard]] constexpr bool is_of(procfs::vma const& v) const noexcept { return v.has_inode() && v.inode == inode && v.dev == dev; }
    [[nodiscard]] constexpr bool spans(address a) const noexcept { return start <= a && a < end; }

    /// Places the program headers of a file where \p mapping, a vma of that file, shows them to be.
    /// Errors: malformed (no part fits the mapping; or parts overlap, or overflow), unsupported (more parts than it can hold).
    [[nodiscard]] static constexpr result<image> place(program_headers const& headers, procfs::vma const& mapping,
                                                       std::uint64_t page_size) noexcept
    {
        auto const down = [&](std::uint64_t n) { return n & ~(page_size - 1); };
        image found;
        found.dev = mapping.dev;
        found.inode = mapping.inode;
        found.machine = headers.header().machine;
        found.word_size = headers.header().word_size;
        for (auto const h : headers) {
            if (h.type != segment_type::load || h.flags.execute != mapping.perms.execute) continue;
            auto const in_segment = mapping.offset.count - down(h.offset);
            if (mapping.offset.count < down(h.offset) || mapping.offset.count >= h.offset + h.filesz) continue;
            found.bias = mapping.start.value - (down(h.vaddr) + in_segment);
            return found.fill(headers, page_size);
        }
        return detail::elf_error(errc::malformed, 0);
    }

    /// Places the program headers, \p bias added to their addresses.
    [[nodiscard]] constexpr result<image> fill(program_headers const& headers, std::uint64_t page_size) noexcept
    {
        auto const up = [&](std::uint64_t n) { return (n + page_size - 1) & ~(page_size - 1); };
        auto const down = [&](std::uint64_t n) { return n & ~(page_size - 1); };
        if (bias % page_size != 0) return detail::elf_error(errc::malformed, 0);
        for (auto const h : headers) {
            if (h.type == segment_type::gnu_relro && h.memsz != 0) {
                relro_start = down(h.vaddr + bias);
                relro_end = down(h.vaddr + bias + h.memsz);
            }
            if (h.type != segment_type::load || h.memsz == 0) continue;
            if (segment_count == most_segments) return detail::elf_error(errc::unsupported, 0);
            segment s;
            s.start = h.vaddr + bias;
            s.end = s.start + h.memsz;
            s.file_end = s.start + (h.filesz < h.memsz ? h.filesz : h.memsz);
            s.first_page = down(s.start);
            s.last_page = up(s.end);
            s.flags = h.flags;
            if (s.end < s.start || s.last_page < s.end) return detail::elf_error(errc::malformed, 0);
            if (segment_count != 0 && s.first_page < segments[segment_count - 1].first_page) return detail::elf_error(errc::malformed, 0);
            if (segment_count != 0 && s.first_page < segments[segment_count - 1].last_page) { // two parts of one page: the later one has it
                auto& before = segments[segment_count - 1];
                before.last_page = s.first_page;
                if (before.last_page <= before.first_page) return detail::elf_error(errc::malformed, 0);
                if (before.end > before.last_page) before.end = before.last_page;
                if (before.file_end > before.last_page) before.file_end = before.last_page;
            }
            segments[segment_count++] = s;
        }
        if (segment_count == 0) return detail::elf_error(errc::malformed, 0);
        start = address{segments[0].first_page};
        end = address{segments[segment_count - 1].last_page};
        return *this;
    }

    /// The part that \p a is in; none between the parts.
    [[nodiscard]] constexpr std::optional<part> part_at(std::uint64_t a) const noexcept
    {
        for (std::size_t i = 0; i < segment_count; ++i) {
            auto const& s = segments[i];
            if (a < s.first_page) return std::nullopt;
            if (a >= s.last_page) continue;
            bool const has_bss = s.file_end < s.end;
            auto const bytes_end = has_bss ? s.file_end : s.last_page;
            if (a >= bytes_end) return part{s.last_page, kind(range_class::bss, range_class::library_bss), s.file_end, false};
            if (a >= relro_start && a < relro_end)
                return part{relro_end < bytes_end ? relro_end : bytes_end, kind(range_class::relro, range_class::library_relro),
                            relro_start};
            auto const stop = a < relro_start && relro_start < bytes_end ? relro_start : bytes_end;
            if (s.flags.execute) return part{stop, kind(range_class::text, range_class::library_text), s.start};
            if (s.flags.write) return part{stop, kind(range_class::data, range_class::library_data), s.start};
            return part{stop, kind(range_class::rodata, range_class::library_rodata), s.start};
        }
        return std::nullopt;
    }

    /// What memory behind the data is.
    [[nodiscard]] constexpr range_class bss_kind() const noexcept { return kind(range_class::bss, range_class::library_bss); }

    /// What a vma of the file is by its permissions alone.
    [[nodiscard]] constexpr range_class kind_by(procfs::permissions perms) const noexcept
    {
        if (perms.execute) return kind(range_class::text, range_class::library_text);
        if (perms.write) return kind(range_class::data, range_class::library_data);
        return kind(range_class::rodata, range_class::library_rodata);
    }

private:
    [[nodiscard]] constexpr range_class kind(range_class of_program, range_class of_library) const noexcept
    {
        switch (role) {
        case image_role::program: return of_program;
        case image_role::dynamic_linker: return range_class::dynamic_linker;
        case image_role::library: break;
        }
        return of_library;
    }
};

} // namespace taskpeek::vas
