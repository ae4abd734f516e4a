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

/// The same of a NUL-terminated \p name, whose end need not be looked for first.
[[nodiscard, gnu::always_inline]] constexpr std::int32_t number_named(char const* name) noexcept
{
    std::int64_t n = 0;
    auto const* p = name;
    for (unsigned digit; (digit = static_cast<unsigned>(static_cast<unsigned char>(*p)) - unsigned{'0'}) <= 9; ++p) {
        if (p - name == 10) return -1;
        n = n * 10 + digit;
    }
    return *p == '\0' && p != name && n <= INT32_MAX ? static_cast<std::int32_t>(n) : -1;
}

/// How the kernel finds the next entry of a directory.
enum class listing_order : bool {
    by_number, ///< the next larger number: what stays is listed, whatever comes and goes
    by_place   ///< `task`: the next in a list, which ends early at a thread that dies while it is listed (fs/proc/base.c, next_tid)
};

/// Goes through the numbered entries of an open directory with memory that the caller lends.
class numbered_entries {
public:
    /// The bytes of the longest entry: 19 of header, 10 digits and a NUL, rounded up to 8 (fs/readdir.c, filldir64).
    static constexpr std::size_t longest_entry = 32;

    numbered_entries() noexcept = default;
    numbered_entries(int directory, lent_buffer memory, listing_order order = listing_order::by_number) noexcept
        : directory_{directory}, memory_{memory}, order_{order} {}

    /// The next number, or -1 at the end or after a failure: see `error()`.
    [[nodiscard, gnu::always_inline]] std::int32_t next() noexcept
    {
        for (;;) {
            if (at_ == filled_ && !refill()) return -1;
            char const* const name = name_at(at_);
            at_ += length_at(at_);
            if (auto const n = number_named(name); n >= 0) return n;
        }
    }

    /// errno of the failed getdents64, 0 for none.
    [[nodiscard]] int error() const noexcept { return error_; }

    /// Has it taken, or may it still take, more than one batch? Each lists the directory as it is at another time.
    [[nodiscard]] bool takes_several_batches() const noexcept { return several_; }

private:
    [[nodiscard]] std::size_t length_at(std::size_t entry) const noexcept
    {
        std::uint16_t length;
        __builtin_memcpy(&length, memory_.data() + entry + 16, sizeof length);
        return length;
    }
    [[nodiscard]] char const* name_at(std::size_t entry) const noexcept { return memory_.data() + entry + 19; }
    [[nodiscard]] bool has_room() const noexcept { return memory_.size() - filled_ >= longest_entry; }

    [[gnu::always_inline]] bool refill() noexcept
    {
        bool const begins = batches_ == 0 && !finished_;
        fill();
        if (begins && order_ == listing_order::by_place) {
            for (int again = 3; stopped_early(); --again) {
                if (again == 0) { several_ = true; break; }
                rewind(directory_);
                batches_ = 0;
                finished_ = several_ = false;
                fill();
            }
        }
        return filled_ != 0;
    }

    /// Fills the memory: a short batch is not the end, an empty one is.
    [[gnu::always_inline]] void fill() noexcept
    {
        at_ = filled_ = 0;
        while (!finished_) {
            auto const got = read_directory(directory_, memory_.data() + filled_, memory_.size() - filled_);
            error_ = got.error();
            finished_ = !got.ok() || got.value() == 0;
            if (finished_) return;
            filled_ += got.count();
            if (batches_++ != 0 || !has_room()) several_ = true;
            if (!has_room()) return;
        }
    }

    /// Did a list of threads that the memory could hold end because a thread died in it? If none did, it came in one batch, and the
    /// thread listed last is still there. An only one need not be asked after: with it the process would have gone.
    [[nodiscard]] bool stopped_early() const noexcept
    {
        if (error_ != 0 || !has_room()) return false;
        if (several_) return true;
        char const* last = nullptr;
        std::size_t threads = 0;
        for (std::size_t entry = 0; entry < filled_; entry += length_at(entry)) {
            if (name_at(entry)[0] == '.') continue;
            last = name_at(entry);
            ++threads;
        }
        return threads > 1 && !is_there(directory_, last);
    }

    int directory_ = -1;
    lent_buffer memory_;
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
    std::size_t batches_ = 0;
    int error_ = 0;
    listing_order order_ = listing_order::by_number;
    bool finished_ = false;
    bool several_ = false;
};

} // namespace taskpeek::io
