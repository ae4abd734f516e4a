// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A position in a text that remembers the first thing that did not fit, so that a decoder reads straight down.

#include <taskpeek/error.hpp>
#include <taskpeek/text/scan.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace taskpeek::text {

/// How far a reading came, small enough to be returned in registers: to the next byte, or to the one that does not fit.
struct reached {
    char const* at;
    bool ok;
};

/// Reads values off the front of a text. The first read that fails is remembered and sends the cursor to the end; every later
/// read fails too and gives 0 or nothing. A decoder therefore reads all its fields and asks once:
/// \code
/// text::cursor in{line};
/// v.start = address{in.hex<std::uint64_t>()};
/// in.expect('-');
/// v.end = address{in.hex<std::uint64_t>()};
/// if (!in.ok()) return in.failure(kernel_file::maps);
/// \endcode
/// A failure at the very end of the text is `truncated`, elsewhere `malformed`.
/// Lifetime: views given out are views into the text.
class cursor {
public:
    constexpr explicit cursor(std::string_view all) noexcept
        : at_{all.data()}, end_{all.data() + all.size()}, begin_{all.data()}, failed_{all.data()} {}

    /// Has every read fitted so far?
    [[nodiscard]] constexpr bool ok() const noexcept { return failed_as_ == errc{}; }
    [[nodiscard]] constexpr bool at_end() const noexcept { return at_ == end_; }
    [[nodiscard]] constexpr char const* position() const noexcept { return at_; }
    [[nodiscard]] constexpr std::string_view rest() const noexcept { return {at_, static_cast<std::size_t>(end_ - at_)}; }

    /// The next byte, or NUL at the end.
    [[nodiscard]] constexpr char peek() const noexcept { return at_ == end_ ? '\0' : *at_; }

    /// Marks the byte at \p where as the one that does not fit, unless an earlier one did not. Inlined, like all that is called on
    /// the way through a record: a cursor whose address nobody takes stays in registers.
    [[gnu::always_inline]] constexpr void fail_at(char const* where) noexcept
    {
        if (ok()) { failed_ = where; failed_as_ = where == end_ ? errc::truncated : errc::malformed; }
        at_ = end_;
    }
    [[gnu::always_inline]] constexpr void fail() noexcept { fail_at(at_); }

    /// The failure that was remembered; call when `!ok()`.
    [[nodiscard]] constexpr error failure(kernel_file file) const noexcept
    {
        return {failed_as_, file, 0, {}, static_cast<std::uint32_t>(failed_ - begin_)};
    }

    /// Takes \p c if it is next.
    [[gnu::always_inline]] constexpr bool skip(char c) noexcept
    {
        if (at_ == end_ || *at_ != c) return false;
        ++at_;
        return true;
    }

    /// Takes \p wanted if it is next.
    [[gnu::always_inline]] constexpr bool skip(std::string_view wanted) noexcept
    {
        if (static_cast<std::size_t>(end_ - at_) < wanted.size() || __builtin_memcmp(at_, wanted.data(), wanted.size()) != 0) return false;
        at_ += wanted.size();
        return true;
    }

    [[gnu::always_inline]] constexpr void expect(char c) noexcept
    {
        if (!skip(c)) [[unlikely]] fail();
    }

    /// Takes \p wanted, or fails at the first byte that differs.
    [[gnu::always_inline]] constexpr void expect(std::string_view wanted) noexcept
    {
        if (!skip(wanted)) [[unlikely]] fail_at(mismatch(wanted));
    }

    [[gnu::always_inline]] constexpr void skip_spaces() noexcept
    {
        if (at_ != end_ && *at_ == ' ') at_ = text::skip_spaces(at_, end_);
    }

    [[gnu::always_inline]] constexpr void skip_blanks() noexcept
    {
        do skip_spaces();
        while (skip('\t'));
    }

    /// A decimal number that fits \p Int, with a minus sign where Int has one. Failure: no digit, or out of Int's range.
    template <std::integral Int>
    [[nodiscard, gnu::always_inline]] constexpr Int decimal() noexcept
    {
        if constexpr (std::signed_integral<Int>) {
            auto const* const start = at_;
            bool const negative = skip('-');
            auto const found = next_decimal();
            auto const limit = static_cast<std::uint64_t>(largest<Int>) + (negative ? 1u : 0u);
            if (!take(found, 10)) return Int{};
            if (found.value > limit) [[unlikely]] { fail_at(start); return Int{}; }
            return static_cast<Int>(negative ? 0 - found.value : found.value);
        } else {
            return narrow<Int>(next_decimal(), 10);
        }
    }

    /// A hexadecimal number without 0x.
    template <std::unsigned_integral Int>
    [[nodiscard, gnu::always_inline]] constexpr Int hex() noexcept { return narrow<Int>(scan_hex(at_, end_), 16); }

    /// A hexadecimal number after 0x.
    template <std::unsigned_integral Int>
    [[nodiscard, gnu::always_inline]] constexpr Int prefixed_hex() noexcept
    {
        expect("0x");
        return narrow<Int>(scan_hex(at_, end_), 16);
    }

    template <std::unsigned_integral Int>
    [[nodiscard, gnu::always_inline]] constexpr Int octal() noexcept { return narrow<Int>(scan_octal(at_, end_), 8); }

    /// The next byte, whatever it is.
    [[nodiscard, gnu::always_inline]] constexpr char byte() noexcept
    {
        if (at_ == end_) { fail(); return '\0'; }
        return *at_++;
    }

    /// Everything before the next \p stop, which is taken too. Failure: no \p stop.
    [[nodiscard, gnu::always_inline]] constexpr std::string_view until(char stop) noexcept
    {
        auto const* const from = at_;
        auto const* const found = find_byte(at_, end_, stop);
        if (found == end_) { fail_at(end_); return {}; }
        at_ = found + 1;
        return {from, static_cast<std::size_t>(found - from)};
    }

    /// The rest of the line, its newline taken but not given. Failure: no newline.
    [[nodiscard, gnu::always_inline]] constexpr std::string_view line() noexcept { return until('\n'); }

    /// Goes to the next line. Failure: no newline.
    [[gnu::always_inline]] constexpr void next_line() noexcept
    {
        if (at_ != end_ && *at_ == '\n') [[likely]] { ++at_; return; }
        auto const* const found = find_byte(at_, end_, '\n');
        if (found == end_) [[unlikely]] { fail_at(end_); return; }
        at_ = found + 1;
    }

    constexpr void advance_to(char const* where) noexcept { at_ = where; }

    /// How far this cursor came, and another one over a part of this one's text.
    [[nodiscard]] constexpr taskpeek::text::reached reached() const noexcept { return {ok() ? at_ : failed_, ok()}; }
    [[gnu::always_inline]] constexpr void advance_to(taskpeek::text::reached other) noexcept
    {
        if (other.ok) [[likely]] at_ = other.at;
        else fail_at(other.at);
    }

private:
    template <std::integral Int> // <limits> costs 1,000 lines
    static constexpr Int largest = static_cast<Int>(static_cast<std::make_unsigned_t<Int>>(-1) >> (std::signed_integral<Int> ? 1 : 0));

    /// Most numbers of a kernel file have one digit: they need no call.
    [[nodiscard, gnu::always_inline]] constexpr scanned next_decimal() const noexcept
    {
        if (end_ - at_ >= 2) [[likely]] {
            auto const digit = detail::decimal_digit(*at_);
            if (digit <= 9 && detail::decimal_digit(at_[1]) > 9) return {digit, at_ + 1};
        }
        return scan_decimal(at_, end_);
    }

    [[gnu::always_inline]] constexpr bool take(scanned found, unsigned base) noexcept
    {
        if (found.next == nullptr) [[unlikely]] { fail_at(find_misfit(at_, end_, base)); return false; }
        at_ = found.next;
        return true;
    }

    template <std::unsigned_integral Int>
    [[gnu::always_inline]] constexpr Int narrow(scanned found, unsigned base) noexcept
    {
        auto const* const start = at_;
        if (!take(found, base)) return Int{};
        if constexpr (sizeof(Int) < sizeof(std::uint64_t))
            if (found.value > largest<Int>) [[unlikely]] { fail_at(start); return Int{}; }
        return static_cast<Int>(found.value);
    }

    [[nodiscard, gnu::always_inline]] constexpr char const* mismatch(std::string_view wanted) const noexcept
    {
        auto const* p = at_;
        for (char const c : wanted) {
            if (p == end_ || *p != c) break;
            ++p;
        }
        return p;
    }

    char const* at_;
    char const* end_;
    char const* begin_;
    char const* failed_;
    errc failed_as_{}; // none so far: a position would not do, for the text may lie at a null pointer
};

} // namespace taskpeek::text
