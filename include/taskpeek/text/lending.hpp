// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The shape of every range here: it decodes once per `++`, and lends the same row again and again.

#include <cstddef>
#include <new>

#include <range/v3/range_fwd.hpp>

namespace taskpeek {

/// Makes an input range of a \p Derived that can `bool fetch()` (make the next row; false at the end) and `current()` (the row).
///
/// The range is single-pass and a range-v3 view. Its row is valid until the next `++`. A default-constructed range, and a copy,
/// is *fresh*: not begun, over the same source. So a pipeline over a range works on its own copy, and `status()` of the original
/// says nothing about it; pipe `ranges::ref_view(range)` to keep hold of the one that runs.
/// A second `begin()` of the same range is a mistake that traps unless NDEBUG is defined.
template <class Derived, class Row>
class lending_range : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = Row;
        using difference_type = std::ptrdiff_t;
        using reference = Row const&;

        constexpr iterator() noexcept = default;
        constexpr explicit iterator(Derived* range) noexcept : range_{range} {}

        [[nodiscard]] constexpr Row const& operator*() const noexcept { return range_->current(); }
        [[nodiscard]] constexpr Row const* operator->() const noexcept { return &range_->current(); }
        [[gnu::always_inline]] constexpr iterator& operator++() noexcept
        {
            if (!range_->fetch()) range_ = nullptr;
            return *this;
        }
        constexpr void operator++(int) noexcept { ++*this; }

        friend constexpr bool operator==(iterator const& i, sentinel) noexcept { return i.range_ == nullptr; }

    private:
        Derived* range_ = nullptr;
    };

    constexpr lending_range() noexcept = default;
    constexpr lending_range(lending_range const&) noexcept {}
    constexpr lending_range& operator=(lending_range const&) noexcept
    {
        begun_ = false;
        return *this;
    }
    constexpr ~lending_range() = default;

    [[nodiscard]] constexpr iterator begin() noexcept
    {
#ifndef NDEBUG
        if (begun_) __builtin_trap(); // single-pass: a second begin() would silently skip the first row
#endif
        begun_ = true;
        auto& self = static_cast<Derived&>(*this);
        return iterator{fetch_first(self)};
    }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }

private:
    /// Not inlined as those of `++` are, which are many: the code of one is enough. It is from here that the iterator has its pointer:
    /// g++ 12 takes one made in `begin()` for a pointer to this base only, and warns of every write behind that.
    [[gnu::noinline]] static constexpr Derived* fetch_first(Derived& self) noexcept { return self.fetch() ? &self : nullptr; }

    bool begun_ = false;
};

/// Copy assignment of a range, by its copy constructor: what it had begun ends, and it is fresh.
template <class Range>
void assign_fresh(Range& range, Range const& other) noexcept
{
    if (&range == &other) return;
    range.~Range();
    ::new (static_cast<void*>(&range)) Range{other};
}

} // namespace taskpeek
