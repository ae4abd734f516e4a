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

    constexpr short_path& operator/(std::string_view part) noexcept
    {
        separate();
        for (char const c : part)
            if (size_ + 1 < sizeof text_) text_[size_++] = c;
        text_[size_] = '\0';
        return *this;
    }

    constexpr short_path& operator/(std::int32_t number) noexcept
    {
        char digits[10]{};
        std::size_t first = sizeof digits;
        auto rest = static_cast<std::uint32_t>(number < 0 ? 0 : number);
        do digits[--first] = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        return *this / std::string_view{digits + first, sizeof digits - first};
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
