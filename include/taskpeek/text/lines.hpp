// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The lines of a text as records, checked once and decoded again as they are walked: no record is stored.

#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>

#include <cstddef>
#include <string_view>

#include <range/v3/range_fwd.hpp>

namespace taskpeek::text {

/// One \p Row per line of a text. A Row brings `read_value(text::cursor&, Row&)`, which sees its line only, without the newline,
/// and may leave the end of it unread. If it has a `static constexpr std::string_view key`, lines that do not begin with that are
/// no rows and are passed over.
/// Multi-pass: the text does not change. Rows are handed out by value.
/// Lifetime: views into the text.
template <class Row>
class lines : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = Row;
        using difference_type = std::ptrdiff_t;
        using reference = Row;

        constexpr iterator() noexcept = default;
        constexpr explicit iterator(std::string_view rest) noexcept : rest_{rest} { find_row(); }

        [[nodiscard]] constexpr Row operator*() const noexcept
        {
            cursor in{rest_.substr(0, line_size())};
            Row row{};
            read_value(in, row);
            return row;
        }
        constexpr iterator& operator++() noexcept
        {
            drop_line();
            find_row();
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
        [[nodiscard]] constexpr std::size_t line_size() const noexcept
        {
            return static_cast<std::size_t>(find_byte(rest_.data(), rest_.data() + rest_.size(), '\n') - rest_.data());
        }
        constexpr void drop_line() noexcept
        {
            auto const size = line_size();
            rest_.remove_prefix(size < rest_.size() ? size + 1 : size);
        }
        constexpr void find_row() noexcept
        {
            if constexpr (requires { Row::key; })
                while (!rest_.empty() && !rest_.starts_with(Row::key)) drop_line();
        }

        std::string_view rest_;
    };

    constexpr lines() noexcept = default;

    /// The rows of \p text, whose lines have been checked (see `read_lines`).
    constexpr explicit lines(std::string_view checked) noexcept : text_{checked} {}

    [[nodiscard]] constexpr iterator begin() const noexcept { return iterator{text_}; }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }
    [[nodiscard]] constexpr bool empty() const noexcept { return begin() == end(); }

    /// How many rows there are: walks them.
    [[nodiscard]] constexpr std::size_t count() const noexcept
    {
        std::size_t n = 0;
        for (auto i = begin(); i != end(); ++i) ++n;
        return n;
    }

    /// The lines as the kernel spells them.
    [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

private:
    std::string_view text_;
};

/// Reads the line at \p in as a \p Row and goes to the next line; fails where the Row does, or without a newline.
template <class Row>
constexpr void read_line(cursor& in, Row& out) noexcept
{
    auto const text = in.line();
    if (!in.ok()) return;
    cursor row{text};
    read_value(row, out);
    if (!row.ok()) in.fail_at(text.data() + row.failure(kernel_file::none).offset);
}

/// Reads all lines of the text, each of which must be a \p Row (or, of a Row with a key, another line).
template <class Row>
constexpr void read_lines(cursor& in, lines<Row>& out) noexcept
{
    auto const all = in.rest();
    while (!in.at_end()) {
        Row row{};
        if constexpr (requires { Row::key; }) {
            if (!in.rest().starts_with(Row::key)) { in.next_line(); continue; }
        }
        read_line(in, row);
    }
    if (in.ok()) out = lines<Row>{all};
}

} // namespace taskpeek::text
