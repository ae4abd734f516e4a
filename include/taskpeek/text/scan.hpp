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

/// Four bytes, the first in the lowest byte.
[[nodiscard]] inline std::uint32_t load4(char const* p) noexcept
{
    std::uint32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
    return word;
}

inline constexpr std::uint64_t each_byte = 0x0101010101010101u;

/// Are many bytes decoded at once here? The sums of `sixteen_hex_digits` and `text::numbers` are for the byte order of most machines.
inline constexpr bool takes_many_bytes = std::endian::native == std::endian::little;

using bytes16 [[gnu::vector_size(16)]] = unsigned char;
using shorts8 [[gnu::vector_size(16)]] = std::uint16_t;
using words2 [[gnu::vector_size(16)]] = std::uint64_t;
using chars16 [[gnu::vector_size(16)]] = char;
using bytes8 [[gnu::vector_size(8)]] = unsigned char;

/// How many of sixteen bytes, from the first on, are all ones; the others are zero.
[[nodiscard]] inline unsigned leading_ones(bytes16 bytes) noexcept
{
#ifdef __SSE2__
    return static_cast<unsigned>(__builtin_ctz(~static_cast<unsigned>(__builtin_ia32_pmovmskb128(reinterpret_cast<chars16>(bytes)))));
#else
    auto const words = reinterpret_cast<words2>(bytes);
    auto const first = static_cast<unsigned>(std::countr_one(words[0])) / 8u;
    return first < 8 ? first : 8u + static_cast<unsigned>(std::countr_one(words[1])) / 8u;
#endif
}

/// Which of 64 bytes are decimal digits and which are blanks: bit n for byte n.
struct sixty_four {
    std::uint64_t digits;
    std::uint64_t blanks;

    [[nodiscard, gnu::always_inline]] static sixty_four at(char const* p) noexcept
    {
        sixty_four found{0, 0};
#ifdef __SSE2__
        auto const bits = [](auto of) {
            return std::uint64_t{static_cast<unsigned>(__builtin_ia32_pmovmskb128(reinterpret_cast<chars16>(of)))};
        };
        for (unsigned at = 0; at < 64; at += 16) {
            bytes16 text;
            __builtin_memcpy(&text, p + at, sizeof text);
            found.digits |= bits(text - '0' < 10) << at;
            found.blanks |= bits(text == ' ') << at;
        }
#else
        // the lowest bit of each byte, gathered
        auto const bits = [](std::uint64_t of) { return (of >> 7 & each_byte) * 0x0102040810204080u >> 56; };
        for (unsigned at = 0; at < 64; at += 8) {
            auto const text = load8(p + at);
            auto const number = text ^ each_byte * '0', other = text ^ each_byte * ' ';
            found.digits |= bits(~(number | ((number & each_byte * 0x7f) + each_byte * (0x80 - 10)))) << at;
            found.blanks |= bits(~(other | ((other & each_byte * 0x7f) + each_byte * 0x7f))) << at;
        }
#endif
        return found;
    }

    /// The last \p count of them, fewer than 64, and an end: a blank, with nothing but digits behind.
    [[nodiscard, gnu::always_inline]] sixty_four last(std::size_t count) const noexcept
    {
        auto const end = std::uint64_t{1} << count;
        return {(digits >> 1 >> (63 - count)) | ~(end | (end - 1)), blanks >> 1 >> (63 - count) | end};
    }
};

/// What sixteen bytes are as hex digits: the value of all of them, where other bytes count as 0, and how many are digits before the
/// first that is none.
struct sixteen_hex_digits {
    std::uint64_t value;
    unsigned count;

    [[nodiscard, gnu::always_inline]] static sixteen_hex_digits at(char const* p) noexcept
    {
        bytes16 text;
        __builtin_memcpy(&text, p, sizeof text);
        auto const digit = text - '0', letter = (text | 0x20) - 'a';
        auto const is_digit = reinterpret_cast<bytes16>(digit < 10), is_letter = reinterpret_cast<bytes16>(letter < 6);
        auto const nibbles = reinterpret_cast<shorts8>((digit & is_digit) | ((letter + 10) & is_letter));
        auto const pairs = __builtin_convertvector((nibbles << 4 | nibbles >> 8) & 0xff, bytes8);
        std::uint64_t value;
        __builtin_memcpy(&value, &pairs, sizeof value);
        return {__builtin_bswap64(value), leading_ones(is_digit | is_letter)};
    }
};

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

/// A number in eight columns, blanks before it: what the kernel's `%8lu` prints.
struct right_aligned {
    std::uint64_t value;
    bool ok; ///< nothing but blanks and then digits

    [[nodiscard, gnu::always_inline]] static right_aligned at(char const* p) noexcept
    {
        auto const columns = load8(p);
        auto const is_digit = columns >> 4 & each_byte;                            // a digit is 0x3_, a blank 0x20
        auto const digits = columns ^ (each_byte * 0x20 | is_digit << 4);          // of a blank 0
        auto const no_digit = (digits | (digits + each_byte * (0x80 - 10))) & each_byte * 0x80;
        auto const no_blank = digits & ~(is_digit * 0xf);
        auto const digit_before_blank = is_digit << 8 & ~is_digit;
        auto const blank_at_end = ~is_digit & each_byte << 56;
        return {eight_decimal_digits(digits), (no_digit | no_blank | digit_before_blank | blank_at_end) == 0};
    }
};

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

/// Hex digits at \p p, without a leading 0x; sixteen at once where the text allows.
[[nodiscard, gnu::noinline]] constexpr scanned scan_hex(char const* p, char const* end) noexcept
{
    if (detail::takes_many_bytes && !__builtin_is_constant_evaluated() && end - p >= 17) [[likely]] {
        auto const digits = detail::sixteen_hex_digits::at(p);
        if (digits.count == 0) return detail::no_number;
        if (digits.count < 16 || detail::hex_digit(p[16]) > 15) return {digits.value >> (64 - 4 * digits.count), p + digits.count};
    }
    return scan_hex_bytewise(p, end);
}

/// The first byte behind words of eight hex digits and a comma, as CPU masks have by the dozen.
[[nodiscard]] constexpr char const* skip_hex_words(char const* p, char const* end) noexcept
{
    if (detail::takes_many_bytes && !__builtin_is_constant_evaluated()) {
        constexpr auto zeros = detail::each_byte * static_cast<unsigned char>('0');
        for (; end - p >= 16 && p[8] == ','; p += 9)
            if (detail::load8(p) != zeros && detail::sixteen_hex_digits::at(p).count != 8) break;
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

/// The first \p byte in [\p p, \p end), or \p end. Mostly it is near: the C library's function is called where it is not.
[[nodiscard, gnu::noinline]] constexpr char const* find_byte(char const* p, char const* end, char byte) noexcept
{
    if (__builtin_is_constant_evaluated()) {
        while (p != end && *p != byte) ++p;
        return p;
    }
    for (int blocks = 0; detail::takes_many_bytes && blocks < 4 && end - p >= 16; ++blocks, p += 16) {
        detail::chars16 text;
        __builtin_memcpy(&text, p, sizeof text);
        if (auto const other = detail::leading_ones(reinterpret_cast<detail::bytes16>(text != byte)); other < 16) return p + other;
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
