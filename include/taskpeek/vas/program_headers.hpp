// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The program headers of an ELF file: which parts of it are mapped where, and how. The file may be anybody's: every number in it is
/// checked, and the work is bounded.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/syscall.hpp>
#include <taskpeek/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <range/v3/range_fwd.hpp>

namespace taskpeek::vas {

/// What kind of part a program header tells of: `PT_*` of include/uapi/linux/elf.h. Others are kept as numbers.
enum class segment_type : std::uint32_t {
    null = 0,
    load = 1,               ///< mapped
    dynamic = 2,
    interp = 3,             ///< names the dynamic linker
    note = 4,
    phdr = 6,
    tls = 7,
    gnu_stack = 0x6474e551,
    gnu_relro = 0x6474e552, ///< made read-only by the dynamic linker once it has relocated it
};

/// How a part is mapped: `PF_*`.
struct segment_flags {
    bool read = false;
    bool write = false;
    bool execute = false;

    friend constexpr bool operator==(segment_flags, segment_flags) noexcept = default;
};

/// One program header. Addresses are those that the file asks for: a position-independent one is moved by its load bias.
struct program_header {
    segment_type type = segment_type::null;
    segment_flags flags;
    std::uint64_t offset = 0; ///< bytes into the file
    std::uint64_t vaddr = 0;
    std::uint64_t paddr = 0;
    std::uint64_t filesz = 0; ///< bytes that the file holds
    std::uint64_t memsz = 0;  ///< bytes in memory; those beyond `filesz` are zero (.bss)
    std::uint64_t align = 0;

    friend constexpr bool operator==(program_header const&, program_header const&) noexcept = default;
};

namespace detail {

/// The number in \p size bytes at \p at of a file of the given byte order.
[[nodiscard]] constexpr std::uint64_t elf_number(char const* at, std::size_t size, bool big_endian) noexcept
{
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(at[big_endian ? i : size - 1 - i]);
    return value;
}

[[nodiscard]] constexpr error elf_error(errc code, std::size_t offset) noexcept
{
    return {code, kernel_file::elf, 0, {}, static_cast<std::uint32_t>(offset)};
}

} // namespace detail

/// The first 64 bytes (52 of a 32-bit file) of an ELF file.
struct elf_header {
    static constexpr std::size_t largest_size = 64;
    static constexpr std::size_t most_program_headers = 4096; ///< more are refused: the work on a hostile file is bounded

    std::size_t word_size = 8;  ///< 8 or 4: ELFCLASS64 or ELFCLASS32
    bool big_endian = false;
    std::uint16_t type = 0;     ///< 2 ET_EXEC, 3 ET_DYN (library or position-independent program), 4 ET_CORE
    std::uint16_t machine = 0;  ///< 3 i386, 40 ARM, 62 x86-64, 183 arm64, 243 RISC-V
    std::uint64_t entry = 0;
    std::uint64_t phoff = 0;    ///< where the program headers are
    std::size_t phnum = 0;      ///< how many

    [[nodiscard]] constexpr std::size_t program_header_size() const noexcept { return word_size == 8 ? 56 : 32; }

    /// Decodes the header at the front of \p bytes.
    /// Errors: truncated; malformed (no ELF file, or program headers of another size than ELF's); unsupported (more than 4,096).
    [[nodiscard]] static constexpr result<elf_header> parse(std::string_view bytes) noexcept
    {
        constexpr std::string_view magic = "\x7f" "ELF";
        for (std::size_t i = 0; i < magic.size(); ++i) {
            if (i == bytes.size()) return detail::elf_error(errc::truncated, i);
            if (bytes[i] != magic[i]) return detail::elf_error(errc::malformed, i);
        }
        if (bytes.size() < 6) return detail::elf_error(errc::truncated, bytes.size());
        if (bytes[4] != 1 && bytes[4] != 2) return detail::elf_error(errc::malformed, 4);
        if (bytes[5] != 1 && bytes[5] != 2) return detail::elf_error(errc::malformed, 5);
        elf_header h;
        h.word_size = bytes[4] == 2 ? 8 : 4;
        h.big_endian = bytes[5] == 2;
        auto const w = h.word_size;
        if (bytes.size() < 40 + 3 * w) return detail::elf_error(errc::truncated, bytes.size());
        auto const number = [&](std::size_t at, std::size_t size) { return detail::elf_number(bytes.data() + at, size, h.big_endian); };
        h.type = static_cast<std::uint16_t>(number(16, 2));
        h.machine = static_cast<std::uint16_t>(number(18, 2));
        h.entry = number(24, w);
        h.phoff = number(24 + w, w);
        h.phnum = static_cast<std::size_t>(number(32 + 3 * w, 2));
        if (h.phnum != 0 && number(30 + 3 * w, 2) != h.program_header_size()) return detail::elf_error(errc::malformed, 30 + 3 * w);
        if (h.phnum > most_program_headers) return detail::elf_error(errc::unsupported, 32 + 3 * w);
        return h;
    }
};

/// The program headers in a piece of an ELF file, decoded as they are walked.
/// Multi-pass. Headers are handed out by value.
/// Lifetime: a view into the bytes.
class program_headers : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = program_header;
        using difference_type = std::ptrdiff_t;
        using reference = program_header;

        constexpr iterator() noexcept = default;
        constexpr iterator(program_headers const* all, std::size_t index) noexcept : all_{all}, index_{index} {}

        [[nodiscard]] constexpr program_header operator*() const noexcept { return (*all_)[index_]; }
        constexpr iterator& operator++() noexcept
        {
            ++index_;
            return *this;
        }
        constexpr iterator operator++(int) noexcept { return {all_, index_++}; }
        friend constexpr bool operator==(iterator const& a, iterator const& b) noexcept { return a.index_ == b.index_; }
        friend constexpr bool operator==(iterator const& i, sentinel) noexcept { return i.all_ == nullptr || i.index_ == i.all_->size(); }

    private:
        program_headers const* all_ = nullptr;
        std::size_t index_ = 0;
    };

    constexpr program_headers() noexcept = default;

    /// \p table holds what \p header.phoff points to, or more. Errors: truncated.
    [[nodiscard]] static constexpr result<program_headers> parse(elf_header const& header, std::string_view table) noexcept
    {
        auto const wanted = header.phnum * header.program_header_size();
        if (table.size() < wanted) return detail::elf_error(errc::truncated, table.size());
        return program_headers{header, table.substr(0, wanted)};
    }

    [[nodiscard]] constexpr elf_header const& header() const noexcept { return header_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return header_.phnum; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] constexpr iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }

    [[nodiscard]] constexpr program_header operator[](std::size_t i) const noexcept
    {
        auto const* const at = table_.data() + i * header_.program_header_size();
        bool const wide = header_.word_size == 8;
        auto const number = [&](std::size_t wide_at, std::size_t narrow_at, std::size_t size) {
            return detail::elf_number(at + (wide ? wide_at : narrow_at), size, header_.big_endian);
        };
        auto const w = header_.word_size;
        auto const flags = number(4, 24, 4);
        return {segment_type{static_cast<std::uint32_t>(number(0, 0, 4))}, {(flags & 4) != 0, (flags & 2) != 0, (flags & 1) != 0},
                number(8, 4, w), number(16, 8, w), number(24, 12, w), number(32, 16, w), number(40, 20, w), number(48, 28, w)};
    }

private:
    constexpr program_headers(elf_header const& header, std::string_view table) noexcept : header_{header}, table_{table} {}

    elf_header header_;
    std::string_view table_;
};

/// The build id in the bytes of a PT_NOTE part; empty if there is none. Up to 64 notes are looked at.
/// Lifetime: a view into \p notes.
[[nodiscard]] constexpr std::string_view find_build_id(std::string_view notes, bool big_endian = false) noexcept
{
    constexpr std::uint64_t nt_gnu_build_id = 3;
    for (int i = 0; i < 64 && notes.size() >= 12; ++i) {
        auto const name_size = detail::elf_number(notes.data(), 4, big_endian);
        auto const size = detail::elf_number(notes.data() + 4, 4, big_endian);
        auto const type = detail::elf_number(notes.data() + 8, 4, big_endian);
        auto const content_at = 12 + ((name_size + 3) & ~std::uint64_t{3});
        auto const whole = content_at + ((size + 3) & ~std::uint64_t{3});
        if (content_at + size > notes.size()) return {};
        if (type == nt_gnu_build_id && notes.substr(12, static_cast<std::size_t>(name_size)) == std::string_view{"GNU\0", 4})
            return notes.substr(static_cast<std::size_t>(content_at), static_cast<std::size_t>(size));
        if (whole >= notes.size()) return {};
        notes.remove_prefix(static_cast<std::size_t>(whole));
    }
    return {};
}

/// Reads the header and the program headers of the ELF image that begins at byte \p begin of the open file \p fd (0 of a file, an
/// address of `/proc/<tgid>/mem`). Two pread(2) at most, and nothing is mapped: a file cut short meanwhile raises no signal.
/// Errors: truncated (the image, or \p into: 4 KiB holds the 72 headers that no known linker exceeds), malformed, unsupported, os.
/// Lifetime: views into \p into.
[[nodiscard]] inline result<program_headers> read_program_headers(int fd, std::uint64_t begin, lent_buffer into) noexcept
{
    auto const first = io::pread(fd, into.data(), into.size(), begin);
    if (!first.ok()) return os_failure(first.error(), kernel_file::elf);
    std::string_view const head{into.data(), first.count()};
    auto const header = elf_header::parse(head);
    if (!header) return header.error();
    auto const& h = header.value();
    auto const wanted = h.phnum * h.program_header_size();
    if (h.phoff <= head.size() && wanted <= head.size() - h.phoff)
        return program_headers::parse(h, head.substr(static_cast<std::size_t>(h.phoff)));
    if (wanted > into.size()) return detail::elf_error(errc::truncated, into.size());
    if (h.phoff > UINT64_MAX / 2 - begin) return detail::elf_error(errc::malformed, 32);
    auto const second = io::pread(fd, into.data(), wanted, begin + h.phoff);
    if (!second.ok()) return os_failure(second.error(), kernel_file::elf);
    return program_headers::parse(h, {into.data(), second.count()});
}

} // namespace taskpeek::vas
