// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Going through a mask bit by bit, as sets of signals and of capabilities are.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace taskpeek::procfs {

/// The bits that are set in a mask, the lowest first, as a \p Number each: bit n is `Number(First + n)`.
/// Multi-pass. Numbers are handed out by value; outlives the mask.
template <class Number, unsigned First = 0>
class set_bits {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = Number;
        using difference_type = std::ptrdiff_t;
        using reference = Number;

        constexpr iterator() noexcept = default;
        constexpr explicit iterator(std::uint64_t left) noexcept : left_{left} {}

        [[nodiscard]] constexpr Number operator*() const noexcept
        {
            return static_cast<Number>(First + static_cast<unsigned>(std::countr_zero(left_)));
        }
        constexpr iterator& operator++() noexcept
        {
            left_ &= left_ - 1;
            return *this;
        }
        constexpr iterator operator++(int) noexcept
        {
            auto const was = *this;
            ++*this;
            return was;
        }

        friend constexpr bool operator==(iterator, iterator) noexcept = default;
        friend constexpr bool operator==(iterator i, sentinel) noexcept { return i.left_ == 0; }

    private:
        std::uint64_t left_ = 0;
    };
};

} // namespace taskpeek::procfs
