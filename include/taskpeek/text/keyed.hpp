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

/// Reads one line into the field whose key stands at the cursor. A record's `each_field` calls it for every field in the
/// kernel's order, so that on a text in that order each call is a hit and the cursor moves straight on.
class field_reader {
public:
    constexpr explicit field_reader(cursor in) noexcept : in_{in} {}

    /// If the line at the cursor is `key:`, decodes its value into \p field and goes to the next line. What follows the value
    /// behind a blank is passed over: later kernels may append.
    template <std::size_t N, class Field>
    [[gnu::always_inline]] constexpr void operator()(char const (&key)[N], Field& field) noexcept
    {
        if (in_.rest().size() <= N || __builtin_memcmp(in_.position(), key, N - 1) != 0 || in_.position()[N - 1] != ':') return;
        in_.advance_to(in_.position() + N);
        if constexpr (is_text<Field>) (void)(in_.skip('\t') || in_.skip(' ')); // further blanks are the text's own
        else in_.skip_blanks();
        read_value(in_, field);
        if (auto const next = in_.peek(); next != '\n' && next != ' ' && next != '\t') [[unlikely]] in_.fail(); // 12x is no number
        in_.next_line();
        matched_ = true;
    }

    /// Has a line been read since the last call?
    [[nodiscard]] constexpr bool matched() noexcept
    {
        auto const was = matched_;
        matched_ = false;
        return was;
    }

    [[nodiscard]] constexpr cursor& position() noexcept { return in_; }

private:
    cursor in_;
    bool matched_ = false;
};

/// Reads `Key: value` lines into the fields of \p record until the text ends or \p done says that the line at the cursor is not
/// this record's. Keys may come in any order or not at all; a line that no field claims, with a colon or without, is skipped.
/// \return the cursor after the last line, or failed.
template <class Record, class Done>
[[nodiscard]] constexpr cursor read_fields(cursor in, Record& record, Done done) noexcept
{
    field_reader read{in};
    while (!read.position().at_end() && !done(read.position())) {
        Record::each_field(record, read);
        if (!read.matched() && !read.position().at_end() && !done(read.position())) read.position().next_line();
    }
    return read.position();
}

template <class Record>
[[nodiscard]] constexpr cursor read_fields(cursor in, Record& record) noexcept
{
    return read_fields(in, record, [](cursor const&) { return false; });
}

} // namespace taskpeek::text
