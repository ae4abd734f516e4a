// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A list inside a text, checked once and decoded again as it is walked: no element is stored.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>

#include <cstddef>
#include <string_view>

#include <range/v3/range_fwd.hpp>

namespace taskpeek::text {

/// Elements of type \p T in a text, separated by bytes that \p T's spelling does not use (blanks, commas).
/// Multi-pass: the text does not change. Elements are handed out by value.
/// Lifetime: views into the text.
template <class T>
class list : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using reference = T;

        constexpr iterator() noexcept = default;
        constexpr explicit iterator(std::string_view rest) noexcept : rest_{skip_separators(rest)} {}

        [[nodiscard]] constexpr T operator*() const noexcept
        {
            cursor in{rest_};
            T value{};
            read_value(in, value);
            return value;
        }
        constexpr iterator& operator++() noexcept
        {
            rest_ = skip_separators(skip_element(rest_));
            return *this;
        }
        constexpr iterator operator++(int) noexcept
        {
            auto const was = *this;
            ++*this;
            return was;
        }

        friend constexpr bool operator==(iterator const& a, iterator const& b) noexcept { return a.rest_.data() == b.rest_.data(); }
        friend constexpr bool operator==(iterator const& i, sentinel) noexcept { return i.rest_.empty(); }

    private:
        std::string_view rest_;
    };

    constexpr list() noexcept = default;

    /// A list over \p text, whose elements have been checked (see read_value below).
    constexpr explicit list(std::string_view checked) noexcept : text_{checked} {}

    [[nodiscard]] constexpr iterator begin() const noexcept { return iterator{text_}; }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }
    [[nodiscard]] constexpr bool empty() const noexcept { return begin() == end(); }

    /// The elements as the kernel spells them.
    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

    /// Does it stand between elements?
    [[nodiscard]] static constexpr bool separates(char c) noexcept { return c == ' ' || c == '\t' || c == ',' || c == '\n'; }

private:
    [[nodiscard]] static constexpr std::string_view skip_separators(std::string_view s) noexcept
    {
        while (!s.empty() && separates(s.front())) s.remove_prefix(1);
        return s;
    }
    [[nodiscard]] static constexpr std::string_view skip_element(std::string_view s) noexcept
    {
        while (!s.empty() && !separates(s.front())) s.remove_prefix(1);
        return s;
    }

    std::string_view text_;
};

/// The rest of the line as a list; fails at the first element that is none.
template <class T>
constexpr void read_value(cursor& in, list<T>& out) noexcept
{
    auto const* const from = in.position();
    for (;;) {
        while (in.peek() == ' ' || in.peek() == '\t' || in.peek() == ',') in.advance_to(in.position() + 1);
        if (in.at_end() || in.peek() == '\n') break;
        T element{};
        read_value(in, element);
        if (!in.ok()) return;
        if (auto const next = in.peek(); !in.at_end() && next != ' ' && next != '\t' && next != ',' && next != '\n') {
            in.fail();
            return;
        }
    }
    out = list<T>{std::string_view{from, static_cast<std::size_t>(in.position() - from)}};
}

/// A list of one number, as most are.
template <class T>
    requires requires(scanned_number<10>& in, T& element) { read_value(in, element); }
[[gnu::always_inline]] constexpr void read_value(scanned_number<10>& in, list<T>& out) noexcept
{
    T element{};
    read_value(in, element);
    out = list<T>{in.text()};
}

} // namespace taskpeek::text
