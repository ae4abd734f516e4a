// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Hostile text, and how wide it is: what people see on their terminal.

#include <taskpeek/taskpeek.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace examples {

/// Any bytes as text that does nothing to a terminal.
[[nodiscard]] inline std::string harmless(std::string_view bytes)
{
    std::string out(4 * bytes.size(), '\0'); // what always suffices
    out.resize(taskpeek::text::escape_for_terminal(bytes, out.data(), out.size()).text.size());
    return out;
}

/// How many columns the character at the front of \p text takes: two of the wide ones (East Asia, emoji). \p size gets its bytes.
[[nodiscard]] inline std::size_t width_of_front(std::string_view text, std::size_t& size)
{
    auto const first = static_cast<unsigned char>(text.front());
    size = std::min<std::size_t>(first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, text.size());
    char32_t c = first;
    if (size > 1) c = first & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
    struct range {
        char32_t first, last;
    };
    static constexpr range wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
                                     {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x3fffd}};
    return std::ranges::any_of(wide, [c](range r) { return r.first <= c && c <= r.last; }) ? 2 : 1;
}

/// The columns of a terminal on standard output; none where it is a pipe or a file, which get their lines whole.
[[nodiscard]] inline std::optional<std::size_t> terminal_width()
{
    if (isatty(STDOUT_FILENO) == 0) return std::nullopt;
    auto const* const wish = std::getenv("COLUMNS");
    auto const wished = wish != nullptr ? taskpeek::io::number_in(wish) : -1;
    if (wished > 0) return static_cast<std::size_t>(wished);
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

/// \p line, cut to the terminal's \p width if it has one; `…` stands for the rest.
[[nodiscard]] inline std::string fitted(std::string_view line, std::optional<std::size_t> width)
{
    std::size_t columns = 0, fits = 0, size = 0;
    for (std::size_t at = 0; at < line.size(); at += size) {
        columns += width_of_front(line.substr(at), size);
        if (width && columns > *width) return std::string{line.substr(0, fits)} + "…";
        if (width && columns < *width) fits = at + size; // one column is left for the mark
    }
    return std::string{line};
}

/// Rows of cells under a header. All columns but the last are as wide as their widest cell.
class table {
public:
    enum class align { left, right };
    struct column {
        std::string_view title;
        align side;
    };

    explicit table(std::vector<column> columns) : columns_{std::move(columns)}
    {
        for (auto const& c : columns_) widths_.push_back(c.title.size());
    }

    void add(std::vector<std::string> cells)
    {
        for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].size());
        rows_.push_back(std::move(cells));
    }

    void print() const
    {
        auto const width = terminal_width();
        std::vector<std::string> titles;
        for (auto const& c : columns_) titles.emplace_back(c.title);
        print_row(titles, width);
        for (auto const& row : rows_) print_row(row, width);
    }

private:
    void print_row(std::vector<std::string> const& cells, std::optional<std::size_t> width) const
    {
        std::string line;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            auto const last = i + 1 == cells.size();
            auto const wide = last && columns_[i].side == align::left ? 0 : widths_[i];
            if (columns_[i].side == align::right) line += fmt::format("{:>{}}", cells[i], wide);
            else line += fmt::format("{:<{}}", cells[i], wide);
            if (!last) line += ' ';
        }
        line.erase(line.find_last_not_of(' ') + 1);
        fmt::print("{}\n", fitted(line, width));
    }

    std::vector<column> columns_;
    std::vector<std::size_t> widths_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace examples
