// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Undoing the escapes that the kernel puts into names, and escaping names for a terminal. All text goes to the caller's memory.

#include <cstddef>
#include <string_view>

namespace taskpeek::text {

/// What became of a text.
struct rewritten {
    std::string_view text;    ///< lies in the caller's memory
    std::size_t consumed = 0; ///< bytes of the input that `text` stands for: below its size if the memory did not suffice
    bool truncated = false;   ///< the memory did not suffice; `text` ends at the last whole character or escape that fits
    bool ambiguous = false;   ///< another name gives the same input: `text` is one of two readings
};

namespace detail {

/// Appends to a caller's memory, all or nothing.
class sink {
public:
    constexpr sink(char* memory, std::size_t size) noexcept : memory_{memory}, size_{size} {}

    [[nodiscard]] constexpr bool put(std::string_view s) noexcept
    {
        if (size_ - used_ < s.size()) return false;
        for (char const c : s) memory_[used_++] = c;
        return true;
    }
    [[nodiscard]] constexpr bool put(char c) noexcept { return put(std::string_view{&c, 1}); }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {memory_, used_}; }

private:
    char* memory_;
    std::size_t size_;
    std::size_t used_ = 0;
};

/// A character at the front of a text of UTF-8; `size` is 0 if the bytes there are none.
struct character {
    char32_t code = 0;
    std::size_t size = 0;
};

[[nodiscard]] constexpr character front_character(std::string_view s) noexcept
{
    auto const byte = [s](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    auto const first = byte(0);
    if (first < 0x80) return {first, 1};
    auto const between = [first](unsigned low, unsigned high) { return low <= first && first <= high; };
    std::size_t const size = between(0xc2, 0xdf) ? 2 : between(0xe0, 0xef) ? 3 : between(0xf0, 0xf4) ? 4 : 0;
    if (size == 0 || s.size() < size) return {};
    char32_t code = first & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3fu);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[size] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
    return {code, size};
}

/// Does a terminal act on it, or does it change the order or the lines of what stands around it?
[[nodiscard]] constexpr bool is_hostile(char32_t c) noexcept
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0)        // C0, DEL, C1
        || c == 0x061c || c == 0x200e || c == 0x200f  // marks of direction
        || (c >= 0x2028 && c <= 0x202e)               // separators of lines and paragraphs, embeddings and overrides
        || (c >= 0x2066 && c <= 0x2069)               // isolates
        || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) // byte order mark, interlinear annotation
        || (c >= 0xe0000 && c <= 0xe007f);            // tags
}

inline constexpr char hex_digits[] = "0123456789abcdef";

} // namespace detail

/// Is every byte part of a well-formed character of UTF-8 (no surrogates, nothing longer than it need be)? Such a text can stand in
/// JSON as it is.
[[nodiscard]] constexpr bool is_utf8(std::string_view bytes) noexcept
{
    for (auto rest = bytes; !rest.empty();) {
        auto const next = detail::front_character(rest);
        if (next.size == 0) return false;
        rest.remove_prefix(next.size);
    }
    return true;
}

/// The path of a vma as it may really be: `\012` becomes a newline. That is all the kernel escapes there (fs/seq_file.c,
/// mangle_path), so a file whose name holds a backslash and 012 prints alike: `ambiguous` is set wherever one is undone. The raw
/// name is what readlink(2) gives in `map_files`.
/// Lifetime: `text` lies in \p memory, of \p size bytes; as many as \p path has always suffice.
[[nodiscard]] constexpr rewritten unescape_path(std::string_view path, char* memory, std::size_t size) noexcept
{
    rewritten out;
    detail::sink to{memory, size};
    for (auto rest = path; !rest.empty();) {
        bool const newline = rest.starts_with("\\012");
        if (!to.put(newline ? '\n' : rest.front())) { out.truncated = true; break; }
        out.ambiguous |= newline;
        rest.remove_prefix(newline ? 4 : 1);
        out.consumed = path.size() - rest.size();
    }
    out.text = to.view();
    return out;
}

/// The comm of a task out of `Name:` of `status`: `\n` becomes a newline and `\\` a backslash (fs/proc/array.c, task_name). A
/// backslash before anything else is none of the kernel's and stands for itself.
/// Lifetime: `text` lies in \p memory, of \p size bytes; as many as \p name has always suffice.
[[nodiscard]] constexpr rewritten unescape_name(std::string_view name, char* memory, std::size_t size) noexcept
{
    rewritten out;
    detail::sink to{memory, size};
    for (auto rest = name; !rest.empty();) {
        bool const newline = rest.starts_with("\\n");
        bool const escape = newline || rest.starts_with("\\\\");
        if (!to.put(newline ? '\n' : rest.front())) { out.truncated = true; break; }
        rest.remove_prefix(escape ? 2 : 1);
        out.consumed = name.size() - rest.size();
    }
    out.text = to.view();
    return out;
}

/// Any bytes as harmless UTF-8: control characters and bytes that are no UTF-8 become `\x1b`, characters that reorder or break what
/// is around them (bidirectional controls, C1 controls, line separators, tags) `\u{202e}`, and a backslash `\\`, so that no two
/// texts look alike.
/// Lifetime: `text` lies in \p memory, of \p size bytes; four times as many as \p raw has always suffice.
[[nodiscard]] constexpr rewritten escape_for_terminal(std::string_view raw, char* memory, std::size_t size) noexcept
{
    rewritten out;
    detail::sink to{memory, size};
    for (auto rest = raw; !rest.empty();) {
        auto const next = detail::front_character(rest);
        auto const length = next.size == 0 ? 1 : next.size;
        char escape[10] = {'\\', 'u', '{'};
        std::size_t used = 3;
        auto const hex = [&](char32_t value, unsigned digits) {
            for (auto shift = 4 * digits; shift > 0;) escape[used++] = detail::hex_digits[value >> (shift -= 4) & 15];
        };
        if (next.size == 1 && next.code == '\\') {
            escape[1] = '\\';
            used = 2;
        } else if (next.size <= 1 && (next.size == 0 || detail::is_hostile(next.code))) {
            escape[1] = 'x';
            used = 2;
            hex(static_cast<unsigned char>(rest.front()), 2);
        } else if (detail::is_hostile(next.code)) {
            unsigned digits = 2;
            while (next.code >> 4 * digits != 0) ++digits;
            hex(next.code, digits);
            escape[used++] = '}';
        } else {
            used = 0;
        }
        if (!to.put(used != 0 ? std::string_view{escape, used} : rest.substr(0, length))) { out.truncated = true; break; }
        rest.remove_prefix(length);
        out.consumed = raw.size() - rest.size();
    }
    out.text = to.view();
    return out;
}

/// The same into an array.
template <std::size_t N>
[[nodiscard]] constexpr rewritten unescape_path(std::string_view path, char (&memory)[N]) noexcept
{
    return unescape_path(path, memory, N);
}
/// The same into an array.
template <std::size_t N>
[[nodiscard]] constexpr rewritten unescape_name(std::string_view name, char (&memory)[N]) noexcept
{
    return unescape_name(name, memory, N);
}
/// The same into an array.
template <std::size_t N>
[[nodiscard]] constexpr rewritten escape_for_terminal(std::string_view raw, char (&memory)[N]) noexcept
{
    return escape_for_terminal(raw, memory, N);
}

} // namespace taskpeek::text
