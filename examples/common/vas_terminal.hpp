// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// An address space on a terminal: boxes in descending order of addresses, higher the larger they are (by the logarithm), each with
/// a fill that needs no colour. Runs of alike mappings become one box.

#include "text.hpp"

#include <taskpeek/vas/kernel_half.hpp>
#include <taskpeek/vas/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

namespace examples {

namespace vas = taskpeek::vas;
using vas::range_class;

/// Addresses from the first to the last: the one after it may be 2^64.
struct stretch {
    std::uint64_t first = 0, last = 0;

    [[nodiscard]] bool meets(stretch other) const { return first <= other.last && other.first <= last; }
};

[[nodiscard]] inline std::string end_of(std::uint64_t last)
{
    return last == UINT64_MAX ? "0x10000000000000000" : fmt::format("{:#x}", last + 1);
}

[[nodiscard]] inline std::string human(std::uint64_t size)
{
    static constexpr std::array<std::string_view, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    auto amount = static_cast<double>(size);
    for (; amount >= 1024 && unit + 1 < units.size(); ++unit) amount /= 1024;
    bool const whole = amount >= 100 || amount == static_cast<double>(static_cast<std::uint64_t>(amount));
    return fmt::format("{:.{}f} {}", amount, whole ? 0 : 1, units[unit]);
}

/// `rw-p`, as maps prints it.
[[nodiscard]] inline std::string spelled(taskpeek::procfs::permissions p)
{
    return {p.read ? 'r' : '-', p.write ? 'w' : '-', p.execute ? 'x' : '-', p.shared ? 's' : 'p'};
}

/// The user half of the model: `kernel_half` and `vsyscall` are told in more detail as the kernel's.
[[nodiscard]] inline bool is_of_user_half(vas::range const& r)
{
    return r.kind != range_class::kernel_half && r.kind != range_class::vsyscall;
}

/// How a class looks: a fill that needs no colour, and a colour that most eyes tell apart (Okabe and Ito's, of the 256).
struct look {
    std::string_view fill = " ";
    int color = 244;
};

[[nodiscard]] inline look look_of(range_class c)
{
    using enum range_class;
    switch (c) {
    case text: case library_text: return {"█", 202};
    case rodata: case relro: case library_rodata: case library_relro: return {"▓", 32};
    case data: case bss: case library_data: case library_bss: return {"▒", 35};
    case heap: case malloc_arena: return {"#", 214};
    case main_stack: case thread_stack: case shadow_stack: return {"=", 75};
    case dynamic_linker: return {"%", 139};
    case anonymous: case named_anonymous: case huge_pages: return {"+", 227};
    case jit_code: return {"!", 196};
    case file_mapping: return {"o", 175};
    case shared_anonymous:
    case sysv_shared_memory:
    case posix_shared_memory:
    case memfd:
    case aio_ring:
    case kernel_object:
        return {"&", 79};
    case vdso: case vvar: case vsyscall: case kernel_page: return {"@", 250};
    case guard: case reserved: case arena_reserve: return {"x", 244};
    case stack_growth: case stack_guard_gap: return {":", 244};
    case unknown: return {"?", 255};
    case null_page: case gap: case non_canonical: case kernel_half: break;
    }
    return {};
}

/// The columns to draw in: $COLUMNS, also into a pipe; else those of a terminal; a pipe or a file gets its lines whole.
[[nodiscard]] inline std::optional<std::size_t> columns_to_draw_in()
{
    auto const* const wish = std::getenv("COLUMNS");
    auto const wished = wish != nullptr ? taskpeek::io::number_in(wish) : -1;
    if (wished > 0) return static_cast<std::size_t>(wished);
    return terminal_width();
}

/// Is colour wanted? `auto` is for terminals, unless $NO_COLOR is set or they are dumb.
[[nodiscard]] inline bool wants_color(std::string_view choice)
{
    if (choice != "auto") return choice == "always";
    auto const* const none = std::getenv("NO_COLOR");
    auto const* const kind = std::getenv("TERM");
    return isatty(STDOUT_FILENO) != 0 && (none == nullptr || *none == '\0') && (kind == nullptr || kind != std::string_view{"dumb"});
}

[[nodiscard]] inline std::size_t columns_of(std::string_view text)
{
    std::size_t columns = 0, size = 0;
    for (std::size_t at = 0; at < text.size(); at += size) columns += width_of_front(text.substr(at), size);
    return columns;
}

/// The end of a path, which tells more than its beginning, in \p room columns.
[[nodiscard]] inline std::string end_of_path(std::string_view path, std::size_t room)
{
    auto columns = columns_of(path);
    if (columns <= room) return std::string{path};
    std::size_t size = 0;
    for (; !path.empty() && columns + 1 > room; path.remove_prefix(size)) columns -= width_of_front(path, size);
    return "…" + std::string{path};
}

/// One box of the map.
struct box {
    std::uint64_t first = 0, last = 0, size = 0;
    look how;
    std::string label, path;
    bool alarm = false;
};

class terminal_map {
public:
    terminal_map(bool colors, std::optional<stretch> located) : colors_{colors}, located_{located} {}

    /// The user half. A run of alike ranges, or of alike groups of up to four, is one box, unless something is located there.
    void add(std::span<vas::range const> ranges)
    {
        std::vector<vas::range const*> all;
        for (auto const& r : ranges)
            if (is_of_user_half(r)) all.push_back(&r);
        for (std::size_t at = 0; at < all.size();) {
            std::size_t period = 1, times = 1;
            for (std::size_t candidate = 1; candidate <= 4 && at + candidate <= all.size(); ++candidate)
                if (auto const n = repeats(all, at, candidate); n >= 4 && n * candidate > times * period) {
                    period = candidate;
                    times = n;
                }
            auto const run = std::span{all}.subspan(at, period * times);
            boxes_.push_back(times > 1 ? folded(run, period) : box_of(*run.front(), at != 0 ? all[at - 1] : nullptr));
            at += run.size();
        }
    }

    void add(vas::kernel_region const& r)
    {
        bool const nothing = r.kind == vas::kernel_class::unassigned || r.kind == vas::kernel_class::non_canonical;
        boxes_.push_back({r.first, r.last, r.size().count, nothing ? look{} : look{"K", 110},
                          fmt::format("{:<19} {:>9}  ({})", name_of(r.kind), human(r.size().count), name_of(r.source)), "", false});
    }

    /// From the highest address down.
    void print() const
    {
        for (auto b = boxes_.rbegin(); b != boxes_.rend(); ++b) { // NOLINT(modernize-loop-convert): from the top down
            // a line for up to 64 KiB, and one more for each factor of 256
            auto const lines = std::min<int>(5, 1 + std::max(0, static_cast<int>(std::bit_width(b->size)) - 17) / 8);
            bool const here = located_ && located_->meets({b->first, b->last});
            for (int i = 0; i < lines; ++i) put(*b, i == 0, here && i == 0);
        }
        if (!boxes_.empty()) fmt::print("{:>17x}\n", boxes_.front().first);
    }

    /// How much each class has of what is mapped.
    void print_classes(vas::totals const& sum) const
    {
        std::vector<std::pair<std::uint64_t, range_class>> sizes;
        for (std::size_t i = 0; i < vas::range_class_count; ++i) {
            auto const kind = static_cast<range_class>(i);
            if (!is_unmapped(kind) && kind != range_class::vsyscall && sum[kind].count != 0) sizes.emplace_back(sum[kind].count, kind);
        }
        std::ranges::sort(sizes, std::greater{});
        for (auto const& [size, kind] : sizes) {
            auto const share = static_cast<double>(size) / static_cast<double>(sum.mapped.count);
            std::string bar;
            for (int i = 0; i < std::max(1, static_cast<int>(share * 30 + 0.5)); ++i) bar += look_of(kind).fill;
            auto const line = fmt::format("{:>9} {:>5.1f} %  {:<19} ", human(size), 100 * share, name_of(kind));
            if (colors_) fmt::print("{}\x1b[38;5;{}m{}\x1b[0m\n", line, look_of(kind).color, fitted(bar, rest_of_width(line)));
            else fmt::print("{}\n", fitted(line + bar, width_));
        }
    }

private:
    [[nodiscard]] bool is_located(vas::range const& r) const { return located_ && located_->meets({r.start.value, r.end.value - 1}); }

    [[nodiscard]] static bool alike(vas::range const& a, vas::range const& b)
    {
        return a.kind == b.kind && a.mapping.perms == b.mapping.perms && a.mapping.path == b.mapping.path &&
               (a.is_mapped() || a.size() == b.size());
    }

    /// How often the \p period ranges at \p at come again, one group after the other.
    [[nodiscard]] std::size_t repeats(std::vector<vas::range const*> const& all, std::size_t at, std::size_t period) const
    {
        for (std::size_t i = 0; i < period; ++i)
            if (is_located(*all[at + i])) return 1;
        std::size_t n = 1;
        for (; at + (n + 1) * period <= all.size(); ++n)
            for (std::size_t i = 0; i < period; ++i)
                if (auto const& r = *all[at + n * period + i]; !alike(*all[at + i], r) || is_located(r)) return n;
        return n;
    }

    [[nodiscard]] static box folded(std::span<vas::range const* const> run, std::size_t period)
    {
        auto const& first = *run.front();
        auto const size = run.back()->end.value - first.start.value;
        box b{first.start.value, run.back()->end.value - 1, size, {}, "", "", first.is_writable_and_executable()};
        std::string kinds;
        for (auto const* const r : run.first(period)) {
            kinds += (kinds.empty() ? "" : " + ") + std::string{name_of(r->kind)};
            if (!r->is_mapped()) continue;
            kinds += " " + spelled(r->mapping.perms);
            b.how = look_of(r->kind);
        }
        b.label = fmt::format("{} times {}, {} in all", run.size() / period, kinds, human(size));
        b.path = period == 1 ? harmless(first.mapping.path) : "";
        return b;
    }

    [[nodiscard]] static box box_of(vas::range const& r, vas::range const* below)
    {
        auto const size = r.size().count;
        box b{r.start.value, r.end.value - 1, size, look_of(r.kind), fmt::format("{:<19} {:>9}", name_of(r.kind), human(size)), "",
              r.is_writable_and_executable()};
        if (r.kind == range_class::stack_growth) b.label += "  the main stack may grow to here";
        if (!r.is_mapped()) return b;
        b.label += "  " + spelled(r.mapping.perms);
        if (r.numbers && r.numbers->rss) b.label += fmt::format("  rss {:>8}", human(r.numbers->rss->count * 1024));
        if (r.is_writable_and_executable()) b.label += "  W+X!";
        if (r.kind == range_class::guard && r.why.rests_on == vas::basis::pagemap) b.label += "  (pages that fault)"; // whatever the vma permits
        if (r.thread.value != 0) b.label += fmt::format("  tid {}", r.thread.value);
        if (r.why.rests_on == vas::basis::program_header && !r.why.verified) b.label += "  (unverified)";
        b.path = harmless(r.mapping.path);
        // .bss goes on in memory of no file: whose it is stands right below
        bool const goes_on = below != nullptr && below->kind == r.kind && below->end == r.start;
        if (b.path.empty() && goes_on && r.why.rests_on == vas::basis::program_header) b.path = "of " + harmless(below->mapping.path);
        return b;
    }

    [[nodiscard]] std::optional<std::size_t> rest_of_width(std::string_view line) const
    {
        auto const used = columns_of(line);
        return width_ ? std::optional{*width_ > used ? *width_ - used : 1} : std::nullopt;
    }

    void put(box const& b, bool first_line, bool here) const
    {
        auto const address = first_line ? fmt::format("{:>17}", end_of(b.last).substr(2)) : std::string(17, ' ');
        std::string line = " |";
        for (int i = 0; i < (!width_ || *width_ >= 60 ? 4 : 2); ++i) line += b.how.fill;
        line += "|";
        if (first_line) {
            line += here ? fmt::format(" <== {:#x} ", std::max(located_->first, b.first)) : " ";
            line += b.label;
            auto const room = rest_of_width(address + line + "  ");
            if (!b.path.empty()) line += "  " + (room ? end_of_path(b.path, std::max<std::size_t>(*room, 2)) : b.path);
        }
        auto const text = fitted(line, rest_of_width(address));
        if (!colors_) return fmt::print("{}{}\n", address, text);
        auto const style = b.alarm ? "1;97;41" : fmt::format("{}38;5;{}", here ? "7;" : "", b.how.color);
        fmt::print("\x1b[2m{}\x1b[0m\x1b[{}m{}\x1b[0m\n", address, style, text);
    }

    bool colors_;
    std::optional<stretch> located_;
    std::optional<std::size_t> width_ = columns_to_draw_in();
    std::vector<box> boxes_;
};

} // namespace examples
