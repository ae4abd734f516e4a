// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Texts of `Key: value` lines, such as `status`, `smaps`, `io`, `limits` of a fdinfo: a record lists its fields, this reads them.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace taskpeek::text {

namespace detail {

inline constexpr std::uint32_t kb_and_newline = 0x0a426b20;       // " kB\n"
inline constexpr std::uint64_t zero_aligned = 0x3020202020202020; // "       0"

} // namespace detail

/// Is it taken byte for byte, its blanks included?
template <class Field>
inline constexpr bool is_text = std::same_as<Field, std::string_view> || std::same_as<Field, std::optional<std::string_view>>;

/// Reads what follows the colon of a line into \p field, and the newline. What follows the value behind a blank is passed over:
/// later kernels may append.
/// One function for each type of field, not inlined, that takes and gives positions in registers: sixty copies of it would not be
/// in the CPU's cache when the next task's text comes from the kernel.
template <class Field>
[[nodiscard, gnu::noinline]] constexpr reached read_line_value(char const* from, char const* end, Field& field) noexcept
{
    cursor in{{from, static_cast<std::size_t>(end - from)}};
    if constexpr (is_text<Field>) (void)(in.skip('\t') || in.skip(' ')); // further blanks are the text's own
    else in.skip_blanks();
    read_value(in, field);
    if (auto const next = in.peek(); next != '\n' && next != ' ' && next != '\t') [[unlikely]] in.fail(); // 12x is no number
    in.next_line();
    return in.reached();
}

/// Is a field of that type read from what \p In has scanned?
template <class In, class Field>
inline constexpr bool is_read_from = requires(In& in, Field& field) { read_value(in, field); };
template <class In, class T>
inline constexpr bool is_read_from<In, std::optional<T>> = is_read_from<In, T>;

/// A blank, a number of few digits and the end of the line, as most lines have behind their key: one function for all fields that are such
/// a number, whatever they stand for. What it declines is read as any other value.
[[nodiscard, gnu::noinline]] constexpr scanned scan_lone_decimal(char const* from, char const* end) noexcept
{
    if (__builtin_is_constant_evaluated() || !detail::takes_many_bytes || end - from < 10) return detail::no_number;
    if (*from != '\t' && *from != ' ') return detail::no_number;
    if (auto const digit = detail::decimal_digit(from[1]); digit <= 9 && from[2] == '\n') return {digit, from + 3};
    auto const digits = detail::load8(from + 1) ^ detail::each_byte * '0';
    auto const count = detail::leading_decimal_digits(digits);
    if (count - 1 >= 7 || from[1 + count] != '\n') return detail::no_number;
    return {detail::eight_decimal_digits(digits << (64 - 8 * count)), from + 2 + count};
}

/// The same of sixteen hex digits.
[[nodiscard, gnu::noinline]] constexpr scanned scan_lone_hex(char const* from, char const* end) noexcept
{
    if (__builtin_is_constant_evaluated() || !detail::takes_many_bytes || end - from < 18) return detail::no_number;
    if (*from != '\t' || from[17] != '\n') return detail::no_number;
    auto const digits = detail::sixteen_hex_digits::at(from + 1);
    return digits.count == 16 ? scanned{digits.value, from + 18} : detail::no_number;
}

/// A number of kB and the end of its line. It is taken at once where it stands right-aligned in the eight columns from \p columns on,
/// as it nearly always does: then the place of the next line does not depend on this one's digits, and the CPU need not wait for them.
[[nodiscard, gnu::noinline]] constexpr reached read_kibibytes(char const* from, char const* columns, char const* end,
                                                              std::optional<kibibytes>& field) noexcept
{
    if (!__builtin_is_constant_evaluated() && end - columns >= 12) [[likely]] {
        bool const ends = detail::load4(columns + 8) == detail::kb_and_newline;
        if (ends && detail::load8(columns) == detail::zero_aligned) { // most of them
            field.emplace();
            return {columns + 12, true};
        }
        auto const number = detail::right_aligned::at(columns);
        if (ends && number.ok) [[likely]] {
            field.emplace(number.value);
            return {columns + 12, true};
        }
    }
    return read_line_value(from, end, field);
}

/// Where numbers of kB begin in the lines of \p Record: at a column, or behind a tab.
template <class Record>
inline constexpr std::size_t number_column = 0;
template <class Record>
    requires requires { Record::number_column; }
inline constexpr std::size_t number_column<Record> = Record::number_column;

/// Reads one line into the field whose key stands next. A record's `each_field` calls it for every field in the kernel's order,
/// so that on a text in that order each call is a hit and goes straight on.
template <class Record>
class field_reader {
public:
    constexpr field_reader(char const* from, char const* end) noexcept : at_{from}, end_{end} {}

    /// If the next line is `key:`, decodes its value into \p field and goes behind it.
    template <std::size_t N, class Field>
    [[gnu::always_inline]] constexpr void operator()(char const (&key)[N], Field& field) noexcept
    {
        if (static_cast<std::size_t>(end_ - at_) <= N) [[unlikely]] return;
        if (!stands_at(at_, key)) [[unlikely]] return;
        auto const* const from = at_ + N;
        if constexpr (std::same_as<Field, std::optional<kibibytes>>) {
            if constexpr (number_column<Record> >= N) {
                constexpr auto padding = number_column<Record> - N;
                static_assert(padding <= 16);
                bool const padded = static_cast<std::size_t>(end_ - from) > padding && __builtin_memcmp(from, "                ", padding) == 0;
                go_behind(read_kibibytes(from, padded ? from + padding : from, end_, field));
            } else {
                go_behind(read_kibibytes(from, *from == '\t' ? from + 1 : from, end_, field));
            }
            return;
        }
        if constexpr (is_read_from<scanned_number<10>, Field>)
            if (take<10>(from, scan_lone_decimal(from, end_), field)) [[likely]] return;
        if constexpr (is_read_from<scanned_number<16>, Field>)
            if (take<16>(from, scan_lone_hex(from, end_), field)) [[likely]] return;
        go_behind(read_line_value(from, end_, field));
    }

    [[nodiscard]] constexpr text::reached reached() const noexcept { return {at_, ok_}; }

private:
    /// Is \p key what stands at \p p, and a colon?
    template <std::size_t N>
    [[nodiscard, gnu::always_inline]] static constexpr bool stands_at(char const* p, char const (&key)[N]) noexcept
    {
        if constexpr (N >= 8) {
            if (!__builtin_is_constant_evaluated()) { // the colon and the letters before it at once
                constexpr auto colon = std::uint64_t{':'} << 56;
                if (detail::load8(p + N - 8) != (detail::load8(key + N - 8) | colon)) [[unlikely]] return false;
                return __builtin_memcmp(p, key, N - 8) == 0;
            }
        }
        if (p[N - 1] != ':') [[unlikely]] return false;
        return __builtin_memcmp(p, key, N - 1) == 0;
    }

    template <unsigned Base, class Field>
    [[nodiscard, gnu::always_inline]] constexpr bool take(char const* from, scanned found, Field& field) noexcept
    {
        if (found.next == nullptr) [[unlikely]] return false;
        scanned_number<Base> number{found.value, {from + 1, static_cast<std::size_t>(found.next - from - 2)}};
        read_value(number, field);
        if (!number.ok()) [[unlikely]] return false;
        at_ = found.next;
        return true;
    }

    [[gnu::always_inline]] constexpr void go_behind(text::reached line) noexcept
    {
        at_ = line.at;
        if (line.ok) [[likely]] return;
        ok_ = false;
        end_ = at_; // no further key stands there
    }

    char const* at_;
    char const* end_;
    bool ok_ = true;
};

/// Reads the lines that come in the kernel's order. A function of its own: in the loop below the compiler would work out the
/// addresses of all fields beforehand, and keep them in memory.
template <class Record>
[[nodiscard, gnu::noinline]] constexpr reached read_in_order(char const* from, char const* end, Record& record) noexcept
{
    field_reader<Record> read{from, end};
    Record::each_field(record, read);
    return read.reached();
}

/// Reads `Key: value` lines into the fields of \p record until the text ends or \p done says that the line at the cursor is not
/// this record's. Keys may come in any order or not at all; a line that no field claims, with a colon or without, is skipped.
/// \return the cursor after the last line, or failed.
template <class Record, class Done>
[[nodiscard]] constexpr cursor read_fields(cursor in, Record& record, Done done) noexcept
{
    while (!in.at_end() && !done(in)) {
        auto const* const from = in.position();
        in.advance_to(read_in_order(from, from + in.rest().size(), record));
        if (in.position() == from) in.next_line(); // nobody's
    }
    return in;
}

/// The same to the end of the text.
template <class Record>
[[nodiscard]] constexpr cursor read_fields(cursor in, Record& record) noexcept
{
    return read_fields(in, record, [](cursor const&) { return false; });
}

} // namespace taskpeek::text
