// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The entries of a directory, a batch of getdents64(2) at a time.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/syscall.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::io {

/// The number that \p name is, or -1: `/proc` names tasks and descriptors by number, everything else by word.
[[nodiscard]] constexpr std::int32_t number_in(std::string_view name) noexcept
{
    if (name.empty() || name.size() > 10) return -1;
    std::int64_t n = 0;
    for (char const c : name) {
        if (c < '0' || c > '9') return -1;
        n = n * 10 + (c - '0');
    }
    return n <= INT32_MAX ? static_cast<std::int32_t>(n) : -1;
}

/// Goes through the numbered entries of an open directory with memory that the caller lends.
class numbered_entries {
public:
    /// The bytes of the longest entry: 19 of header, 10 digits and a NUL, rounded up to 8 (fs/readdir.c, filldir64).
    static constexpr std::size_t longest_entry = 32;

    numbered_entries() noexcept = default;
    numbered_entries(int directory, lent_buffer memory) noexcept : directory_{directory}, memory_{memory} {}

    /// The next number, or -1 at the end or after a failure: see `error()`.
    [[nodiscard]] std::int32_t next() noexcept
    {
        for (;;) {
            if (at_ == filled_ && !refill()) return -1;
            auto const* const entry = memory_.data() + at_;
            std::uint16_t length;
            __builtin_memcpy(&length, entry + 16, sizeof length);
            at_ += length;
            char const* const name = entry + 19;
            if (auto const n = number_in({name, __builtin_strlen(name)}); n >= 0) return n;
        }
    }

    /// errno of the failed getdents64, 0 for none.
    [[nodiscard]] int error() const noexcept { return error_; }

    /// Has it taken, or may it still take, more than one batch? Each lists the directory as it is at another time.
    [[nodiscard]] bool takes_several_batches() const noexcept { return several_; }

private:
    bool refill() noexcept
    {
        if (finished_) return false;
        bool const first = filled_ == 0;
        auto const got = read_directory(directory_, memory_.data(), memory_.size());
        at_ = 0;
        filled_ = got.ok() ? got.count() : 0;
        if ((filled_ != 0 && !first) || memory_.size() - filled_ < longest_entry) several_ = true;
        error_ = got.error();
        finished_ = filled_ == 0;
        return !finished_;
    }

    int directory_ = -1;
    lent_buffer memory_;
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
    int error_ = 0;
    bool finished_ = false;
    bool several_ = false;
};

} // namespace taskpeek::io
