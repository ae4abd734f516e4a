// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A source of records that gives a text bit by bit.

#include <taskpeek/procfs/records.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace taskpeek::tests {

/// Gives \p text in pieces of \p piece bytes, as read(2) does. Each time the memory is a new one of exactly the size, so that the
/// address sanitizer sees any read behind it, and any use of the one before.
class in_pieces {
public:
    in_pieces() noexcept = default;
    in_pieces(std::string_view text, std::size_t piece) noexcept : text_{text}, piece_{piece} {}

    [[nodiscard]] in_pieces fresh() const noexcept { return {text_, piece_}; }

    [[nodiscard]] std::string_view more(std::string_view unread)
    {
        if (end_ || failed) return {};
        std::string next{unread};
        auto const size = std::min(piece_, text_.size() - given_);
        next += text_.substr(given_, size);
        given_ += size;
        end_ = size == 0;
        memory_ = std::make_unique<char[]>(next.size());
        next.copy(memory_.get(), next.size());
        return {memory_.get(), next.size()};
    }

    [[nodiscard]] procfs::last_text is_last() const noexcept { return end_ ? procfs::last_text::yes : procfs::last_text::no; }
    [[nodiscard]] bool take_cut() noexcept { return false; }

    [[nodiscard]] result<void> status() const noexcept
    {
        if (failed) return error{errc::denied, kernel_file::maps, 13, {}, 0};
        return success();
    }

    static inline bool failed = false; ///< from now on, nothing can be read

private:
    std::string_view text_;
    std::size_t piece_ = 1;
    std::size_t given_ = 0;
    bool end_ = false;
    std::unique_ptr<char[]> memory_;
};

} // namespace taskpeek::tests
