// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Memory that a caller lends for as long as an answer in it is used.

#include <cstddef>

namespace taskpeek {

/// Bytes of the caller's. Made from anything with contiguous chars that outlives the call: `buffer<N>`, an array, std::vector<char>,
/// std::string, std::span<char>; not from a temporary.
class lent_buffer {
public:
    constexpr lent_buffer() noexcept = default; ///< nothing is lent
    constexpr lent_buffer(char* data, std::size_t size) noexcept : data_{data}, size_{size} {} ///< \p size bytes from \p data on

    /// An array.
    template <std::size_t N>
    constexpr lent_buffer(char (&array)[N]) noexcept : lent_buffer{array, N} {}

    /// A container that stays: `buffer<N>`, std::vector<char>, std::string.
    template <class Container>
        requires requires(Container& c, char* p) { p = c.data(); c.size(); }
    constexpr lent_buffer(Container& container) noexcept : lent_buffer{container.data(), container.size()} {}

    [[nodiscard]] constexpr char* data() const noexcept { return data_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// \p Size uninitialised bytes to lend.
template <std::size_t Size = 8192>
class buffer {
public:
    buffer() noexcept {} // NOLINT: the bytes are left as they are

    [[nodiscard]] char* data() noexcept { return bytes_; }
    [[nodiscard]] static constexpr std::size_t size() noexcept { return Size; }

private:
    char bytes_[Size];
};

} // namespace taskpeek
