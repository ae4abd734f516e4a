// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Short relative paths such as `1234/task/1240/stat`, made in place.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::io {

/// A NUL-terminated path of at most 63 bytes: three numbers and the longest file name fit.
class short_path {
public:
    constexpr short_path() noexcept = default;

    [[gnu::always_inline]] constexpr short_path& operator/(std::string_view part) noexcept
    {
        separate();
        auto const room = sizeof text_ - 1 - size_;
        auto const size = part.size() < room ? part.size() : room;
        if (__builtin_constant_p(part.size()) && size == part.size() && !__builtin_is_constant_evaluated())
            __builtin_memcpy(text_ + size_, part.data(), part.size()); // a word or two
        else
            for (std::size_t i = 0; i < size; ++i) text_[size_ + i] = part[i];
        size_ += size;
        text_[size_] = '\0';
        return *this;
    }

    [[gnu::always_inline]] constexpr short_path& operator/(std::int32_t number) noexcept
    {
        constexpr std::size_t longest = 10;
        char digits[2 * longest]{};
        std::size_t first = longest;
        auto rest = static_cast<std::uint32_t>(number < 0 ? 0 : number);
        do digits[--first] = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        separate();
        if (size_ + longest >= sizeof text_) return *this / std::string_view{digits + first, longest - first};
        if (!__builtin_is_constant_evaluated()) __builtin_memcpy(text_ + size_, digits + first, longest); // as many as there may be
        else for (std::size_t i = 0; i < longest; ++i) text_[size_ + i] = digits[first + i];
        size_ += longest - first;
        return *this;
    }

    [[nodiscard]] constexpr char const* c_str() const noexcept { return text_; }

private:
    constexpr void separate() noexcept
    {
        if (size_ != 0 && size_ + 1 < sizeof text_) text_[size_++] = '/';
    }

    char text_[64]{};
    std::size_t size_ = 0;
};

} // namespace taskpeek::io
