// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Scanners of numbers and line ends. Each takes a position and the end of the text by value and gives value and next
/// position back by value, so that a caller's cursor stays in registers (docs/decisions.md, "scanners").

#include <bit>
#include <cstddef>
#include <cstdint>

namespace taskpeek::text {

/// A scanned number, small enough to be returned in registers. `next` is null when there was no digit, or when the number does not
/// fit 64 bits; `find_misfit` then tells where.
struct scanned {
    std::uint64_t value;
    char const* next;
};

namespace detail {

inline constexpr scanned no_number{0, nullptr};

/// The value of a decimal digit, above 9 for other bytes.
[[nodiscard]] constexpr unsigned decimal_digit(char c) noexcept
{
    return static_cast<unsigned>(static_cast<unsigned char>(c)) - unsigned{'0'};
}

/// The value of a hex digit, above 15 for other bytes. The kernel prints lower case; upper case is taken too.
[[nodiscard]] constexpr unsigned hex_digit(char c) noexcept
{
    auto const u = static_cast<unsigned char>(c);
    if (u - unsigned{'0'} < 10) return u - unsigned{'0'};
    auto const lower = u | 0x20u;
    if (lower - unsigned{'a'} < 6) return lower - unsigned{'a'} + 10;
    return 16;
}

/// Eight bytes, the first in the lowest byte.
[[nodiscard]] inline std::uint64_t load8(char const* p) noexcept
{
    std::uint64_t word;
    __builtin_memcpy(&word, p, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
}

inline constexpr std::uint64_t each_byte = 0x0101010101010101u;

/// How many of the eight bytes, from the first on, are hex digits.
[[nodiscard]] inline unsigned leading_hex_digits(std::uint64_t word) noexcept
{
    constexpr auto high = each_byte * 0x80;
    auto const low7 = word & ~high;
    auto const lower = low7 | each_byte * 0x20;
    auto const at_least = [](std::uint64_t bytes, unsigned char c) { return bytes + each_byte * (0x80u - c); }; // bit 7: byte >= c
    auto const digit = at_least(low7, '0') & ~at_least(low7, '9' + 1);
    auto const letter = at_least(lower, 'a') & ~at_least(lower, 'f' + 1);
    auto const other = (~(digit | letter) | word) & high;
    return other == 0 ? 8u : static_cast<unsigned>(std::countr_zero(other)) / 8u;
}

/// The value of eight hex digits, the first the most significant.
[[nodiscard]] inline std::uint64_t eight_hex_digits(std::uint64_t word) noexcept
{
    word = (word & each_byte * 0x0f) + 9 * (word >> 6 & each_byte);      // a nibble per byte
    word = (word << 4 | word >> 8) & 0x00ff00ff00ff00ffu;                // a byte per 16 bits
    word = (word << 8 | word >> 16) & 0x0000ffff0000ffffu;               // 16 bits per 32
    return (word << 16 | word >> 32) & 0xffffffffu;
}

/// How many of the eight bytes, from the first on, are below ten.
[[nodiscard]] inline unsigned leading_decimal_digits(std::uint64_t digits) noexcept
{
    // a byte of 138 or more carries into the next one, which then no longer matters
    auto const other = (digits | (digits + each_byte * (0x80 - 10))) & each_byte * 0x80;
    return other == 0 ? 8u : static_cast<unsigned>(std::countr_zero(other)) / 8u;
}

/// The value of eight decimal digits of 0 to 9 each, the first the most significant.
[[nodiscard]] inline std::uint64_t eight_decimal_digits(std::uint64_t digits) noexcept
{
    constexpr std::uint64_t pairs = 0x000000ff000000ffu;
    digits = digits * 10 + (digits >> 8);                                             // 0 to 99 in every second byte
    digits = (digits & pairs) * (100 + (1'000'000ull << 32)) + (digits >> 16 & pairs) * (1 + (10'000ull << 32));
    return digits >> 32;
}

inline constexpr std::uint64_t power_of_ten[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

} // namespace detail

/// Why there is no number of \p base at \p p: the first byte that is no digit, or that makes it too large for 64 bits.
[[nodiscard, gnu::cold, gnu::noinline]] constexpr char const* find_misfit(char const* p, char const* end, unsigned base) noexcept
{
    std::uint64_t value = 0;
    for (unsigned digit; p != end && (digit = detail::hex_digit(*p)) < base; ++p) {
        if (value > (UINT64_MAX - digit) / base) break;
        value = value * base + digit;
    }
    return p;
}

/// Decimal digits at \p p; eight at a time where the text allows, for a loop over digits ends where no CPU can foresee it.
[[nodiscard, gnu::noinline]] constexpr scanned scan_decimal(char const* p, char const* end) noexcept
{
    auto const* const first = p;
    std::uint64_t value = 0;
    if (!__builtin_is_constant_evaluated()) {
        for (int words = 0; words < 2 && end - p >= 8; ++words) { // 16 digits always fit
            auto const digits = detail::load8(p) ^ detail::each_byte * static_cast<unsigned char>('0');
            auto const count = detail::leading_decimal_digits(digits);
            if (count == 0) return p == first ? detail::no_number : scanned{value, p};
            value = value * detail::power_of_ten[count] + detail::eight_decimal_digits(digits << (64 - 8 * count));
            p += count;
            if (count < 8) return {value, p};
        }
    }
    for (unsigned digit; p != end && (digit = detail::decimal_digit(*p)) <= 9; ++p) {
        if (p - first >= 19 && value > (UINT64_MAX - digit) / 10) [[unlikely]] return detail::no_number; // 19 digits always fit
        value = value * 10 + digit;
    }
    if (p == first) return detail::no_number;
    return {value, p};
}

/// Hex digits at \p p, without a leading 0x.
[[nodiscard]] constexpr scanned scan_hex_bytewise(char const* p, char const* end) noexcept
{
    auto const* const first = p;
    std::uint64_t value = 0;
    for (unsigned digit; p != end && (digit = detail::hex_digit(*p)) < 16; ++p) {
        if (value >> 60 != 0) return detail::no_number;
        value = value << 4 | digit;
    }
    if (p == first) return detail::no_number;
    return {value, p};
}

/// Hex digits at \p p, without a leading 0x; eight at a time where the text allows.
[[nodiscard, gnu::noinline]] constexpr scanned scan_hex(char const* p, char const* end) noexcept
{
    if (!__builtin_is_constant_evaluated() && end - p >= 17) [[likely]] {
        auto const word = detail::load8(p);
        auto const count = detail::leading_hex_digits(word);
        if (count == 8) {
            auto const high = detail::eight_hex_digits(word);
            auto const rest = detail::load8(p + 8);
            auto const more = detail::leading_hex_digits(rest);
            if (more == 0) return {high, p + 8};
            if (more < 8 || detail::hex_digit(p[16]) > 15) { // 16 digits always fit
                auto const low = detail::eight_hex_digits(rest << (64 - 8 * more));
                return {high << 4 * more | low, p + 8 + more};
            }
        } else if (count != 0) {
            return {detail::eight_hex_digits(word << (64 - 8 * count)), p + count};
        }
    }
    return scan_hex_bytewise(p, end);
}

/// The first byte behind words of eight hex digits and a comma, as CPU masks have by the dozen.
[[nodiscard]] constexpr char const* skip_hex_words(char const* p, char const* end) noexcept
{
    if (!__builtin_is_constant_evaluated()) {
        constexpr auto zeros = detail::each_byte * static_cast<unsigned char>('0');
        for (; end - p >= 9 && p[8] == ','; p += 9) {
            auto const word = detail::load8(p);
            if (word != zeros && detail::leading_hex_digits(word) != 8) break;
        }
    }
    return p;
}

/// Octal digits at \p p.
[[nodiscard]] constexpr scanned scan_octal(char const* p, char const* end) noexcept
{
    auto const* const first = p;
    std::uint64_t value = 0;
    for (unsigned digit; p != end && (digit = detail::decimal_digit(*p)) <= 7; ++p) {
        if (value >> 61 != 0) return detail::no_number;
        value = value << 3 | digit;
    }
    if (p == first) return detail::no_number;
    return {value, p};
}

/// The first \p byte in [\p p, \p end), or \p end.
[[nodiscard]] constexpr char const* find_byte(char const* p, char const* end, char byte) noexcept
{
    if (__builtin_is_constant_evaluated()) {
        while (p != end && *p != byte) ++p;
        return p;
    }
    auto const* const found = p == end ? nullptr : static_cast<char const*>(__builtin_memchr(p, byte, static_cast<std::size_t>(end - p)));
    return found == nullptr ? end : found;
}

/// The first byte in [\p p, \p end) that is not a space, or \p end.
[[nodiscard]] constexpr char const* skip_spaces(char const* p, char const* end) noexcept
{
    if (!__builtin_is_constant_evaluated()) {
        while (end - p >= 8) {
            auto const other = detail::load8(p) ^ detail::each_byte * static_cast<unsigned char>(' ');
            if (other != 0) return p + static_cast<unsigned>(std::countr_zero(other)) / 8u;
            p += 8;
        }
    }
    while (p != end && *p == ' ') ++p;
    return p;
}

} // namespace taskpeek::text
