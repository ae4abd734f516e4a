// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Texts of one line of values with a blank between, such as `statm` and `stat`: a record lists its fields, this reads them.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/scan.hpp>
#include <taskpeek/text/values.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace taskpeek::text {

/// Reads the fields of \p record, one after the other, and goes to the next line. Values that later kernels append are passed over.
template <class Record>
constexpr void read_columns(cursor& in, Record& record) noexcept
{
    bool first = true;
    Record::each_field(record, [&](char const*, auto& field) {
        if (!first) in.expect(' ');
        first = false;
        read_value(in, field);
    });
    if (in.peek() != ' ' && in.peek() != '\n') in.fail(); // the last number was cut, or is none
    in.next_line();
}

/// Decimal numbers with one blank between, all scanned at once and then handed out one by one, as a cursor would. Where each stands is
/// found from the blanks alone, so that no number waits for the one before it.
/// Takes what is usual. A text that is not, it leaves to a cursor, which can tell what is wrong with it.
template <std::size_t Count>
class numbers {
    static_assert(Count <= 64);

public:
    /// Scans \p Count numbers from \p first to \p end, behind the last digit of the last. \return false: that is not what stands there.
    /// At least eight bytes of text stand before \p first, a blank the last of them, 64 before \p end, and one more at \p end.
    [[nodiscard, gnu::noinline]] bool scan(char const* first, char const* end) noexcept
    {
        auto const* number = first;
        std::uint64_t negatives = 0;
        std::size_t i = 0;
        for (auto const* block = first; block <= end; block += 64) {
            auto const left = static_cast<std::size_t>(end - block);
            auto bytes = detail::sixty_four::at(left > 63 ? block : end - 64);
            if (left < 64) bytes = bytes.last(left);
            for (auto signs = ~(bytes.digits | bytes.blanks); signs != 0; signs &= signs - 1)
                if (!is_sign(block + std::countr_zero(signs))) return false;
            for (auto stops = bytes.blanks; stops != 0; stops &= stops - 1) {
                auto const* const stop = block + std::countr_zero(stops);
                auto length = static_cast<std::size_t>(stop - number);
                if (length == 1) {
                    values_[i] = detail::decimal_digit(*number);
                } else {
                    bool const negative = *number == '-';
                    if (negative) { --length; negatives |= std::uint64_t{1} << i; }
                    if (length - 1 > 19) return false;
                    auto value = digits_before(stop, length < 8 ? length : 8);
                    if (length > 8) {
                        value += digits_before(stop - 8, length < 16 ? length - 8 : 8) * 100'000'000;
                        if (length > 16) {
                            auto high = digits_before(stop - 16, length - 16);
                            if (__builtin_mul_overflow(high, 10'000'000'000'000'000u, &high)) return false;
                            if (__builtin_add_overflow(high, value, &value)) return false;
                        }
                    }
                    values_[i] = negative ? 0 - value : value;
                }
                number = stop + 1;
                if (++i == Count) {
                    printed_negative_ = negatives;
                    return stop == end;
                }
            }
        }
        return false;
    }

    /// Makes all numbers 0: for who hands them out although they could not be scanned.
    [[gnu::cold]] void clear() noexcept
    {
        for (auto& value : values_) value = 0;
    }

    /// The next number. Whether all of them fitted their types, `ok()` says.
    template <std::integral Int>
    [[nodiscard, gnu::always_inline]] Int decimal() noexcept
    {
        auto const i = next_++;
        auto const value = values_[i];
        auto const fitting = static_cast<Int>(value);
        if constexpr (std::signed_integral<Int>) read_as_negative_ |= value >> 63 << i;
        misfits_ |= static_cast<std::uint64_t>(fitting) ^ value;
        return fitting;
    }

    [[nodiscard]] bool ok() const noexcept { return misfits_ == 0 && read_as_negative_ == printed_negative_; }

private:
    [[nodiscard]] static bool is_sign(char const* p) noexcept { return *p == '-' && p[-1] == ' ' && detail::decimal_digit(p[1]) <= 9; }

    [[nodiscard, gnu::always_inline]] static std::uint64_t digits_before(char const* stop, std::size_t count) noexcept
    {
        auto const others = 64 - 8 * count;
        return detail::eight_decimal_digits((detail::load8(stop - 8) & detail::each_byte * 0xf) >> others << others);
    }

    std::uint64_t values_[Count];
    std::uint64_t printed_negative_ = 0; // bit n: number n has a minus sign
    std::uint64_t read_as_negative_ = 0; // bit n: its value was negative; of unsigned types none is, and past 2^63 the wrong ones are
    std::uint64_t misfits_ = 0;
    std::size_t next_ = 0;
};

} // namespace taskpeek::text
