// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What changed between two looks at an address space: leak hunting in one call.

#include <taskpeek/vas/range.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace taskpeek::vas {

/// What became of a vma.
enum class change : std::uint8_t { born, gone, grown, shrunk, same };

/// `"grown"`.
[[nodiscard]] constexpr std::string_view name_of(change c) noexcept
{
    constexpr std::string_view names[] = {"born", "gone", "grown", "shrunk", "same"};
    auto const i = static_cast<std::size_t>(c);
    return i < sizeof names / sizeof *names ? names[i] : std::string_view{};
}

/// A vma at two times.
struct vma_change {
    change what = change::same;
    range const* before = nullptr; ///< the first range of the vma at the first look; null of one born
    range const* after = nullptr;  ///< and at the second; null of one gone
    std::int64_t size = 0;         ///< bytes more, or fewer
    std::int64_t rss = 0;          ///< KiB more, or fewer; 0 where a look has no numbers
};

namespace detail {

[[nodiscard]] constexpr bool same_object(procfs::vma const& a, procfs::vma const& b) noexcept
{
    return a.perms == b.perms && a.inode == b.inode && a.dev == b.dev && a.path == b.path;
}

[[nodiscard]] constexpr std::int64_t rss_of(range const* r) noexcept
{
    return r != nullptr && r->numbers && r->numbers->rss ? static_cast<std::int64_t>(r->numbers->rss->count) : 0;
}

} // namespace detail

/// Calls `visit(vma_change const&)` for every vma that was born, is gone, grew, shrank, or whose Rss changed, in ascending order. A
/// vma is the same one if it begins or ends where it did (stacks grow down) and has the same file, name and permissions; so two
/// neighbours that the kernel merged show as one that grew and one that is gone. The ranges are those of two models, with `numbers`
/// if Rss is to be compared. No allocation; time in proportion to the ranges.
template <class Visitor>
constexpr void diff(std::span<range const> before, std::span<range const> after, Visitor&& visit)
{
    auto b = before.begin();
    auto a = after.begin();
    auto const skip = [](auto& i, auto const& all) { while (i != all.end() && !i->is_first_part()) ++i; };
    for (;;) {
        skip(b, before);
        skip(a, after);
        bool const more_b = b != before.end();
        bool const more_a = a != after.end();
        if (!more_b && !more_a) return;
        bool const same = more_b && more_a && detail::same_object(b->mapping, a->mapping)
                       && (b->start == a->start || b->mapping.end == a->mapping.end);
        vma_change c;
        if (same) {
            c.before = &*b++;
            c.after = &*a++;
            c.size = static_cast<std::int64_t>(c.after->mapping.size().count - c.before->mapping.size().count);
            c.what = c.size > 0 ? change::grown : c.size < 0 ? change::shrunk : change::same;
        } else if (more_b && (!more_a || b->start <= a->start)) {
            c.before = &*b++;
            c.size = -static_cast<std::int64_t>(c.before->mapping.size().count);
            c.what = change::gone;
        } else {
            c.after = &*a++;
            c.size = static_cast<std::int64_t>(c.after->mapping.size().count);
            c.what = change::born;
        }
        c.rss = detail::rss_of(c.after) - detail::rss_of(c.before);
        if (c.what != change::same || c.rss != 0) visit(static_cast<vma_change const&>(c));
    }
}

} // namespace taskpeek::vas
