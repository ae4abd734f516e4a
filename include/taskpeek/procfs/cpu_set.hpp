// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Sets of CPUs and of memory nodes, in the two spellings of `Cpus_allowed` and `Cpus_allowed_list`.

#include <taskpeek/text/list.hpp>

#include <bit>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// CPUs (or memory nodes) \p first to \p last, both included. `0-3` or `7` (lib/vsprintf.c, bitmap_list_string).
struct cpu_range {
    std::uint32_t first = 0;
    std::uint32_t last = 0;

    friend constexpr bool operator==(cpu_range, cpu_range) noexcept = default;
};

constexpr void read_value(text::cursor& in, cpu_range& out) noexcept
{
    out.first = in.decimal<std::uint32_t>();
    out.last = in.skip('-') ? in.decimal<std::uint32_t>() : out.first;
    if (out.last < out.first) in.fail();
}

constexpr void read_value(text::scanned_number<10>& in, cpu_range& out) noexcept { out.first = out.last = in.decimal<std::uint32_t>(); }

/// `0-3,8`: ranges in ascending order.
using cpu_list = text::list<cpu_range>;

/// Is \p cpu in one of the ranges?
[[nodiscard]] constexpr bool contains(cpu_list const& list, std::uint32_t cpu) noexcept
{
    for (auto const range : list)
        if (range.first <= cpu && cpu <= range.last) return true;
    return false;
}

/// `ff,ffffffff`: 32-bit words in hex, the most significant first (lib/vsprintf.c, bitmap_string).
/// Lifetime: a view into the text.
class cpu_mask {
public:
    constexpr cpu_mask() noexcept = default;
    constexpr explicit cpu_mask(std::string_view checked) noexcept : text_{checked} {}

    [[nodiscard]] constexpr bool has(std::uint32_t cpu) const noexcept
    {
        std::uint32_t position = 0; // of the digit, counted in bits from the end
        for (auto i = text_.size(); i-- > 0;) {
            if (text_[i] == ',') continue;
            if (cpu < position + 4) return cpu >= position && (text::detail::hex_digit(text_[i]) >> (cpu - position) & 1) != 0;
            position += 4;
        }
        return false;
    }

    /// How many CPUs are in the set.
    [[nodiscard]] constexpr std::uint32_t count() const noexcept
    {
        std::uint32_t n = 0;
        for (char const c : text_)
            if (c != ',') n += static_cast<std::uint32_t>(std::popcount(text::detail::hex_digit(c)));
        return n;
    }

    /// As the kernel spells it.
    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

private:
    std::string_view text_;
};

constexpr void read_value(text::cursor& in, cpu_mask& out) noexcept
{
    auto const* const from = in.position();
    in.advance_to(text::skip_hex_words(from, from + in.rest().size()));
    do {
        auto const* const word = in.position();
        (void)in.hex<std::uint32_t>();
        if (in.ok() && in.position() - word > 8) in.fail_at(word);
    } while (in.skip(','));
    if (in.ok()) out = cpu_mask{{from, static_cast<std::size_t>(in.position() - from)}};
}

} // namespace taskpeek::procfs
