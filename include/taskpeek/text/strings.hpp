// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Strings that each end in a NUL byte, as the kernel hands out a process's arguments and environment.

#include <taskpeek/text/scan.hpp>

#include <cstddef>
#include <string_view>

#include <range/v3/range_fwd.hpp>

namespace taskpeek::text {

/// The strings of a text in which each ends in NUL; the last one may lack it. Two NULs on end enclose an empty string.
/// Multi-pass: the text does not change. Each string is handed out as an \p Element made of it.
/// Lifetime: views into the text.
template <class Element = std::string_view>
class strings : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = Element;
        using difference_type = std::ptrdiff_t;
        using reference = Element;

        constexpr iterator() noexcept = default;
        constexpr explicit iterator(std::string_view rest) noexcept : rest_{rest} {}

        [[nodiscard]] constexpr Element operator*() const noexcept { return Element{rest_.substr(0, string_size())}; }
        constexpr iterator& operator++() noexcept
        {
            auto const size = string_size();
            rest_.remove_prefix(size < rest_.size() ? size + 1 : size);
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
        [[nodiscard]] constexpr std::size_t string_size() const noexcept
        {
            return static_cast<std::size_t>(find_byte(rest_.data(), rest_.data() + rest_.size(), '\0') - rest_.data());
        }

        std::string_view rest_;
    };

    constexpr strings() noexcept = default;
    constexpr explicit strings(std::string_view text) noexcept : text_{text} {}

    [[nodiscard]] constexpr iterator begin() const noexcept { return iterator{text_}; }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }
    [[nodiscard]] constexpr bool empty() const noexcept { return text_.empty(); }

    /// How many strings there are: walks them.
    [[nodiscard]] constexpr std::size_t count() const noexcept
    {
        std::size_t n = 0;
        for (auto i = begin(); i != end(); ++i) ++n;
        return n;
    }

    /// The strings as the kernel hands them out, NULs and all.
    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

private:
    std::string_view text_;
};

} // namespace taskpeek::text
