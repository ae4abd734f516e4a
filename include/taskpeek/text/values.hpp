// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How a value of each type is spelled in `/proc`: the type of a record's field says how its text is read.
/// Numbers can be read off other things than a cursor: see `numbers` in text/columns.hpp.
/// A type of one kernel file only brings its own `read_value` beside its definition; it is found by argument-dependent lookup.

#include <taskpeek/ids.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>

namespace taskpeek::text {

/// What gives decimal numbers: a cursor, and what has scanned them beforehand.
template <class In>
concept gives_decimals = requires(In& in) { in.template decimal<std::uint64_t>(); };

/// What gives hexadecimal numbers.
template <class In>
concept gives_hex = requires(In& in) { in.template hex<std::uint64_t>(); };

/// A number that has been scanned already, handed out as a cursor would: a decimal of at most seven digits, or a hexadecimal of sixteen.
/// \p text is how it is spelled.
template <unsigned Base>
class scanned_number {
public:
    constexpr scanned_number(std::uint64_t value, std::string_view text) noexcept : value_{value}, text_{text} {}

    template <std::integral Int>
    [[nodiscard]] constexpr Int decimal() noexcept requires(Base == 10) { return narrow<Int>(); }
    template <std::integral Int>
    [[nodiscard]] constexpr Int hex() noexcept requires(Base == 16) { return narrow<Int>(); }

    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

    /// Did it fit the type that it was asked for?
    [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }

private:
    template <std::integral Int>
    [[nodiscard]] constexpr Int narrow() noexcept
    {
        auto const fitting = static_cast<Int>(value_);
        if constexpr (sizeof(Int) < (Base == 10 ? 4 : 8)) ok_ = static_cast<std::uint64_t>(fitting) == value_;
        return fitting;
    }

    std::uint64_t value_;
    std::string_view text_;
    bool ok_ = true;
};

/// A decimal number: `Threads: 5`.
template <gives_decimals In, std::integral Int>
    requires(!std::same_as<Int, bool>)
[[gnu::always_inline]] constexpr void read_value(In& in, Int& out) noexcept { out = in.template decimal<Int>(); }

/// A flag: `0` or `1`.
[[gnu::always_inline]] constexpr void read_value(cursor& in, bool& out) noexcept
{
    out = in.peek() == '1';
    if (!in.skip('0')) in.expect('1');
}
[[gnu::always_inline]] constexpr void read_value(scanned_number<10>& in, bool& out) noexcept { out = in.decimal<bool>(); }

/// A decimal number. Kernels before 4.10 print user and group ids from 2^31 on as negative numbers.
template <gives_decimals In, class Tag, class Rep>
[[gnu::always_inline]] constexpr void read_value(In& in, strong_id<Tag, Rep>& out) noexcept
{
    if constexpr (std::unsigned_integral<Rep> && std::same_as<In, cursor>) {
        if (in.peek() == '-') [[unlikely]] {
            out.value = static_cast<Rep>(in.template decimal<std::make_signed_t<Rep>>());
            return;
        }
    }
    out.value = in.template decimal<Rep>();
}

/// A decimal number.
template <gives_decimals In, class Unit, class Rep>
[[gnu::always_inline]] constexpr void read_value(In& in, quantity<Unit, Rep>& out) noexcept { out.count = in.template decimal<Rep>(); }

/// A decimal number, perhaps right-aligned, and its unit: `    1234 kB`.
[[gnu::always_inline]] constexpr void read_value(cursor& in, kibibytes& out) noexcept
{
    in.skip_spaces();
    out.count = in.decimal<std::uint64_t>();
    in.expect(" kB");
}

/// A decimal number that may stand for "not told".
template <gives_decimals In>
[[gnu::always_inline]] constexpr void read_value(In& in, optional_address& out) noexcept
{
    out = optional_address{in.template decimal<std::uint64_t>()};
}

/// A decimal number; 2^64-1 is unlimited.
template <gives_decimals In, class Unit>
[[gnu::always_inline]] constexpr void read_value(In& in, limit_value<Unit>& out) noexcept
{
    auto const n = in.template decimal<std::uint64_t>();
    out = n == UINT64_MAX ? limit_value<Unit>::unlimited() : limit_value<Unit>{Unit{n}};
}

/// The rest of the line, byte for byte.
[[gnu::always_inline]] constexpr void read_value(cursor& in, std::string_view& out) noexcept
{
    auto const* const from = in.position();
    auto const rest = in.rest();
    auto const* const newline = find_byte(from, from + rest.size(), '\n');
    out = {from, static_cast<std::size_t>(newline - from)};
    in.advance_to(newline);
}

/// A field that some kernels or tasks do not have: what the value itself looks like.
template <class In, class T>
[[gnu::always_inline]] constexpr void read_value(In& in, std::optional<T>& out) noexcept
{
    read_value(in, out.emplace());
}

} // namespace taskpeek::text
