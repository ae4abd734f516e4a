// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How a value of each type is spelled in `/proc`: the type of a record's field says how its text is read.
/// A type of one kernel file only brings its own `read_value` beside its definition; it is found by argument-dependent lookup.

#include <taskpeek/ids.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>

namespace taskpeek::text {

/// A decimal number: `Threads: 5`.
template <std::integral Int>
[[gnu::always_inline]] constexpr void read_value(cursor& in, Int& out) noexcept { out = in.decimal<Int>(); }

/// A flag: `0` or `1`.
[[gnu::always_inline]] constexpr void read_value(cursor& in, bool& out) noexcept
{
    out = in.peek() == '1';
    if (!in.skip('0')) in.expect('1');
}

/// A decimal number. Kernels before 4.10 print user and group ids from 2^31 on as negative numbers.
template <class Tag, class Rep>
[[gnu::always_inline]] constexpr void read_value(cursor& in, strong_id<Tag, Rep>& out) noexcept
{
    if constexpr (std::unsigned_integral<Rep>) {
        if (in.peek() == '-') [[unlikely]] {
            out.value = static_cast<Rep>(in.decimal<std::make_signed_t<Rep>>());
            return;
        }
    }
    out.value = in.decimal<Rep>();
}

/// A decimal number.
template <class Unit, class Rep>
[[gnu::always_inline]] constexpr void read_value(cursor& in, quantity<Unit, Rep>& out) noexcept { out.count = in.decimal<Rep>(); }

/// A decimal number, perhaps right-aligned, and its unit: `    1234 kB`.
[[gnu::always_inline]] constexpr void read_value(cursor& in, kibibytes& out) noexcept
{
    in.skip_spaces();
    out.count = in.decimal<std::uint64_t>();
    in.expect(" kB");
}

/// A decimal number that may stand for "not told".
[[gnu::always_inline]] constexpr void read_value(cursor& in, optional_address& out) noexcept
{
    out = optional_address{in.decimal<std::uint64_t>()};
}

/// A decimal number; 2^64-1 is unlimited.
template <class Unit>
[[gnu::always_inline]] constexpr void read_value(cursor& in, limit_value<Unit>& out) noexcept
{
    auto const n = in.decimal<std::uint64_t>();
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
template <class T>
[[gnu::always_inline]] constexpr void read_value(cursor& in, std::optional<T>& out) noexcept
{
    read_value(in, out.emplace());
}

} // namespace taskpeek::text
