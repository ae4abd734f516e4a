// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/maps`: the vmas of a process, one a line.

#include <taskpeek/procfs/records.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>
#include <taskpeek/units.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// What may be done with a vma: `r-xp`.
struct permissions {
    bool read = false;
    bool write = false;
    bool execute = false;
    bool shared = false; ///< `s`: VM_MAYSHARE; else `p`, private (copy on write)

    friend constexpr bool operator==(permissions, permissions) noexcept = default;
};

[[gnu::always_inline]] constexpr void read_value(text::cursor& in, permissions& out) noexcept
{
    auto const flag = [&in](char letter) {
        if (in.skip(letter)) return true;
        in.expect('-');
        return false;
    };
    out.read = flag('r');
    out.write = flag('w');
    out.execute = flag('x');
    out.shared = in.skip('s');
    if (!out.shared) in.expect('p');
}

/// Reads all four letters at \p from at once. \return false: they are no permissions
[[nodiscard, gnu::always_inline]] inline bool read_at_once(char const* from, permissions& out) noexcept
{
    static_assert(sizeof out == 4);
    std::uint32_t letters;
    __builtin_memcpy(&letters, from, sizeof letters);
    auto const set = (letters >> 6 & 0x010101) | (letters & 0x01000000);                // what tells r, w, x from - and s from p
    auto const spelled = (0x702d2d2d & ~(set * 0xff)) | (0x73787772 & (set * 0xff)); // "---p", "rwxs"
    __builtin_memcpy(static_cast<void*>(&out), &set, sizeof out);
    return letters == spelled;
}

/// The device of a mapped file: 00:00 for none.
struct device {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;

    friend constexpr bool operator==(device, device) noexcept = default;
};

/// One mapped range (fs/proc/task_mmu.c, show_map_vma).
/// Errors of `parse`: truncated, malformed.
/// Lifetime: `path` is a view into the text.
struct vma {
    static constexpr kernel_file file = kernel_file::maps; ///< what it decodes
    static constexpr std::size_t typical_size = 16384; ///< bytes; of `maps` with some 150 vmas
    static constexpr bool needs_address_space = true;

    address start;
    address end;               ///< the first address after it
    permissions perms;
    bytes offset;              ///< of `start` in the file; of an anonymous vma 0
    device dev;
    std::uint64_t inode = 0;   ///< 0 for none
    std::string_view path;     ///< as printed: a path, a name in brackets, or nothing; see text/escapes.hpp for `\012`
    bool path_truncated = false; ///< the line outgrew the buffer: `path` is its beginning

    [[nodiscard]] constexpr bytes size() const noexcept { return end - start; }
    [[nodiscard]] constexpr bool contains(address a) const noexcept { return start <= a && a < end; }
    [[nodiscard]] constexpr bool is_writable_and_executable() const noexcept { return perms.write && perms.execute; }

    /// Does a file, or a filesystem's unnamed object (memfd, SysV shared memory), stand behind it?
    [[nodiscard]] constexpr bool has_inode() const noexcept { return inode != 0; }

    /// Is `path` the kernel's name for a special mapping (`[heap]`, `[anon:x]`) rather than a file's? Those begin with a slash, or
    /// with a word. `[anon_shmem:x]` has an inode all the same.
    [[nodiscard]] constexpr bool has_special_name() const noexcept { return path.starts_with('['); }

    /// Does `path` end in what the kernel appends to a removed file's name? A file may also really be called so.
    [[nodiscard]] constexpr bool may_be_deleted() const noexcept { return path.ends_with(" (deleted)"); }

    /// Does `path` hold `\012`? The kernel prints a newline so, and a backslash as it is: the two look alike.
    [[nodiscard]] constexpr bool path_is_ambiguous() const noexcept { return path.find("\\012") != std::string_view::npos; }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Vma, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Vma& v, Visitor&& visit) noexcept
    {
        visit("start", v.start);
        visit("end", v.end);
        visit("perms", v.perms);
        visit("offset", v.offset);
        visit("dev", v.dev);
        visit("inode", v.inode);
        visit("path", v.path);
    }

    /// Decodes one line, its newline may be missing.
    [[nodiscard]] static constexpr result<vma> parse(std::string_view line) noexcept
    {
        vma v;
        text::cursor in{line};
        auto const* const addresses_end = v.read_range(in);
        v.read_object(in, line.data(), addresses_end);
        v.path = in.rest().ends_with('\n') ? in.rest().substr(0, in.rest().size() - 1) : in.rest();
        if (auto const newline = v.path.find('\n'); in.ok() && newline != std::string_view::npos) in.fail_at(v.path.data() + newline);
        if (!in.ok()) return in.failure(file);
        return v;
    }

    /// Takes one line off the front of many.
    [[gnu::always_inline]] constexpr void read(text::cursor& in, last_text) noexcept
    {
        path_truncated = false;
        auto const* const line = in.position();
        auto const* const addresses_end = read_range(in);
        if (start <= end && in.skip(nothing_mapped)) [[likely]] {
            offset = {};
            dev = {};
            inode = 0;
            path = {};
            return;
        }
        read_object(in, line, addresses_end);
        path = in.skip('\n') ? std::string_view{} : in.line();
    }

    constexpr void mark_truncated() noexcept { path_truncated = true; }

private:
    /// How most lines go on after the range: neither a file nor a name is mapped there.
    static constexpr std::string_view nothing_mapped = "00000000 00:00 0 \n";

    /// Which addresses, and what may be done there. \return the end of the addresses
    [[gnu::always_inline]] constexpr char const* read_range(text::cursor& in) noexcept
    {
        if (text::detail::takes_many_bytes && !__builtin_is_constant_evaluated() && in.rest().size() >= usual_range) [[likely]]
            if (auto const* const line = in.position(); read_usual_range(line)) [[likely]] {
                in.advance_to(line + usual_range);
                return line + 25;
            }
        start.value = in.hex<std::uint64_t>();
        in.expect('-');
        end.value = in.hex<std::uint64_t>();
        auto const* const addresses_end = in.position();
        in.expect(' ');
        read_value(in, perms);
        in.expect(' ');
        return addresses_end;
    }

    /// `7f3c5a1b2000-7f3c5a1b4000 r-xp `: twelve digits an address, as user space mostly has on 64-bit kernels.
    static constexpr std::size_t usual_range = 31;

    /// Reads such a range at once. \return false: it is none
    [[nodiscard, gnu::always_inline]] bool read_usual_range(char const* line) noexcept
    {
        auto const first = text::detail::sixteen_hex_digits::at(line);
        auto const second = text::detail::sixteen_hex_digits::at(line + 13);
        start.value = first.value >> 16;
        end.value = second.value >> 16;
        return first.count == 12 && second.count == 12 && read_at_once(line + 26, perms) && line[12] == '-' && line[25] == ' ' &&
               line[30] == ' ';
    }

    /// What is mapped there, and the padding before its path.
    [[gnu::always_inline]] constexpr void read_object(text::cursor& in, char const* line, char const* addresses_end) noexcept
    {
        offset.count = in.hex<std::uint64_t>();
        in.expect(' ');
        dev.major = in.hex<std::uint32_t>();
        in.expect(':');
        dev.minor = in.hex<std::uint32_t>();
        in.expect(' ');
        inode = in.decimal<std::uint64_t>();
        if (!in.at_end() && in.peek() != '\n') skip_padding(in, line, addresses_end);
        if (end < start) in.fail_at(line);
    }

    /// The kernel pads the fields to 73 columns (49 on 32-bit kernels) and puts two spaces where they are longer than that
    /// (fs/seq_file.c, seq_pad), so that a path may begin with spaces of its own.
    [[gnu::always_inline]] static constexpr void skip_padding(text::cursor& in, char const* line, char const* addresses_end) noexcept
    {
        auto const* const fields_end = in.position();
        in.expect(' ');
        in.skip_spaces();
        if (!in.ok()) return;
        auto const printed = in.position() - line;
        auto const columns = addresses_end - line <= 17 && printed < 73 ? 49 : 73;
        auto const padded = fields_end + 2 - line > columns ? fields_end + 2 - line : columns;
        if (printed > padded) in.advance_to(line + padded);
    }
};

/// The vmas in a text of `maps`, in ascending order of address. \code for (auto const& vma : pf::maps{text}) … \endcode
using maps = records<vma>;

} // namespace taskpeek::procfs
