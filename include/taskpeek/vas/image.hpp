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

/// The parts of one mapped ELF file. Of fixed size: no memory of its own, so a file of more parts is several pieces.
struct image {
    static constexpr std::size_t most_segments = 16; ///< of a piece

    /// One PT_LOAD, its load bias added.
    struct segment {
        std::uint64_t first_page = 0; ///< where its pages begin
        std::uint64_t start = 0;
        std::uint64_t file_end = 0;   ///< from here on .bss
        std::uint64_t end = 0;
        std::uint64_t last_page = 0;  ///< where its pages end
        segment_flags flags;

        constexpr void end_at(std::uint64_t page) noexcept
        {
            for (auto* const at : {&last_page, &end, &file_end})
                if (*at > page) *at = page;
        }
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
    std::size_t segments_before = 0;        ///< in the pieces before this one; 0 of most files, which are one piece
    std::size_t segments_behind = 0;        ///< in those that follow
    std::uint64_t relro_start = 0; ///< whole pages, as the dynamic linker protects them
    std::uint64_t relro_end = 0;
    address presumed_bss;       ///< without headers: memory right behind the data; 0 for none
    bool ends_in_data = false;  ///< without headers: was the last mapping of the file writable?

    [[nodiscard]] constexpr bool has_headers() const noexcept { return segment_count != 0; }
    [[nodiscard]] constexpr bool is_of(procfs::vma const& v) const noexcept { return v.has_inode() && v.inode == inode && v.dev == dev; }
    [[nodiscard]] constexpr bool spans(address a) const noexcept { return start <= a && a < end; }

    /// Is it a piece of the same file, placed by the same headers?
    [[nodiscard]] constexpr bool is_of_same_file(image const& other) const noexcept
    {
        return inode == other.inode && dev == other.dev && bias == other.bias;
    }

    /// Places the program headers of a file where \p mapping, a vma of that file, shows them to be. The first piece, which has all parts
    /// unless `segments_behind` says otherwise: `place_behind` makes the next.
    /// Errors: malformed (no part fits the mapping; or parts overlap, or overflow).
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
            return found.fill(headers, page_size, 0);
        }
        return detail::elf_error(errc::malformed, 0);
    }

    /// The piece that follows \p before, made of the same headers. Errors: as `place`.
    [[nodiscard]] static constexpr result<image> place_behind(image const& before, program_headers const& headers,
                                                              std::uint64_t page_size) noexcept
    {
        auto next = before;
        return next.fill(headers, page_size, before.segments_before + before.segment_count);
    }

    /// Places the program headers of parts but for the first \p passed_over, `bias` added to their addresses.
    [[nodiscard]] constexpr result<image> fill(program_headers const& headers, std::uint64_t page_size, std::size_t passed_over) noexcept
    {
        segments_before = passed_over;
        segments_behind = segment_count = 0;
        std::uint64_t first_page_before = 0, last_page_before = 0;
        std::size_t seen = 0;
        auto const up = [&](std::uint64_t n) { return (n + page_size - 1) & ~(page_size - 1); };
        auto const down = [&](std::uint64_t n) { return n & ~(page_size - 1); };
        if (bias % page_size != 0) return detail::elf_error(errc::malformed, 0);
        for (auto const h : headers) {
            if (h.type == segment_type::gnu_relro && h.memsz != 0) {
                relro_start = down(h.vaddr + bias);
                relro_end = down(h.vaddr + bias + h.memsz);
            }
            if (h.type != segment_type::load || h.memsz == 0) continue;
            segment s;
            s.start = h.vaddr + bias;
            s.end = s.start + h.memsz;
            s.file_end = s.start + (h.filesz < h.memsz ? h.filesz : h.memsz);
            s.first_page = down(s.start);
            s.last_page = up(s.end);
            s.flags = h.flags;
            if (s.end < s.start || s.last_page < s.end) return detail::elf_error(errc::malformed, 0);
            if (seen != 0 && s.first_page < first_page_before) return detail::elf_error(errc::malformed, 0);
            if (seen != 0 && s.first_page < last_page_before) { // two parts of one page: the later one has it
                if (s.first_page == first_page_before) return detail::elf_error(errc::malformed, 0);
                if (segment_count != 0) segments[segment_count - 1].end_at(s.first_page);
            }
            first_page_before = s.first_page;
            last_page_before = s.last_page;
            if (seen++ < passed_over) continue;
            if (segment_count != most_segments) segments[segment_count++] = s;
            else if (segments_behind++ == 0) end = address{s.first_page}; // a hole between two pieces belongs to the first
        }
        if (segment_count == 0) return detail::elf_error(errc::malformed, 0);
        start = address{segments[0].first_page};
        if (segments_behind == 0) end = address{segments[segment_count - 1].last_page};
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
