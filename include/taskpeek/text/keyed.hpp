// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Texts of `Key: value` lines, such as `status`, `smaps`, `io`, `limits` of a fdinfo: a record lists its fields, this reads them.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>

namespace taskpeek::text {

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

/// Reads one line into the field whose key stands next. A record's `each_field` calls it for every field in the kernel's order,
/// so that on a text in that order each call is a hit and goes straight on.
class field_reader {
public:
    constexpr field_reader(char const* from, char const* end) noexcept : at_{from}, end_{end} {}

    /// If the next line is `key:`, decodes its value into \p field and goes behind it.
    template <std::size_t N, class Field>
    [[gnu::always_inline]] constexpr void operator()(char const (&key)[N], Field& field) noexcept
    {
        if (static_cast<std::size_t>(end_ - at_) <= N || __builtin_memcmp(at_, key, N - 1) != 0 || at_[N - 1] != ':') return;
        auto const line = read_line_value(at_ + N, end_, field);
        at_ = line.at;
        if (line.ok) [[likely]] return;
        ok_ = false;
        end_ = at_; // no further key stands there
    }

    [[nodiscard]] constexpr text::reached reached() const noexcept { return {at_, ok_}; }

private:
    char const* at_;
    char const* end_;
    bool ok_ = true;
};

/// Reads the lines that come in the kernel's order. A function of its own: in the loop below the compiler would work out the
/// addresses of all fields beforehand, and keep them in memory.
template <class Record>
[[nodiscard, gnu::noinline]] constexpr reached read_in_order(char const* from, char const* end, Record& record) noexcept
{
    field_reader read{from, end};
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
