// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Quantities in the units that the kernel counts in, and what is needed to convert between them.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace taskpeek {

/// A virtual address in some task's address space, or in the kernel's half.
struct address {
    std::uint64_t value{};

    constexpr address() noexcept = default;
    constexpr explicit address(std::uint64_t v) noexcept : value{v} {}

    friend constexpr bool operator==(address, address) noexcept = default;
    friend constexpr auto operator<=>(address, address) noexcept = default;
};

/// A count of \p Unit: adds and compares with its own kind only.
template <class Unit, class Rep = std::uint64_t>
struct quantity {
    Rep count{};

    constexpr quantity() noexcept = default;
    constexpr explicit quantity(Rep n) noexcept : count{n} {}

    friend constexpr bool operator==(quantity, quantity) noexcept = default;
    friend constexpr auto operator<=>(quantity, quantity) noexcept = default;
    friend constexpr quantity operator+(quantity a, quantity b) noexcept { return quantity(static_cast<Rep>(a.count + b.count)); }
    friend constexpr quantity operator-(quantity a, quantity b) noexcept { return quantity(static_cast<Rep>(a.count - b.count)); }
    constexpr quantity& operator+=(quantity b) noexcept { return *this = *this + b; }
    constexpr quantity& operator-=(quantity b) noexcept { return *this = *this - b; }
};

using bytes = quantity<struct byte_unit>;                            ///< 1 byte each
using kibibytes = quantity<struct kibibyte_unit>;                    ///< 1,024 bytes each: what `/proc` prints as "kB"
using pages = quantity<struct page_unit>;                            ///< `system_info::page_size` each
using clock_ticks = quantity<struct clock_tick_unit>;                ///< `1 / system_info::ticks_per_second` s each (USER_HZ)
using signed_clock_ticks = quantity<struct clock_tick_unit, std::int64_t>; ///< clock ticks where the kernel prints a signed number
using seconds = quantity<struct second_unit>;                        ///< 1 s each
using microseconds = quantity<struct microsecond_unit>;              ///< 1 µs each
using nanoseconds = quantity<struct nanosecond_unit>;                ///< 1 ns each
using process_count = quantity<struct process_unit>;                 ///< tasks, as RLIMIT_NPROC counts them
using file_count = quantity<struct file_unit>;                       ///< descriptors
using lock_count = quantity<struct lock_unit>;                       ///< file locks
using signal_count = quantity<struct signal_unit>;                   ///< queued signals

[[nodiscard]] constexpr bytes operator-(address to, address from) noexcept { return bytes{to.value - from.value}; }
[[nodiscard]] constexpr address operator+(address from, bytes n) noexcept { return address{from.value + n.count}; }

/// An address that the kernel may decline to tell: it then prints 0, or 1 (fs/proc/array.c, do_task_stat).
/// Reads like an optional; `raw()` is what was printed.
class optional_address {
public:
    constexpr optional_address() noexcept = default;
    constexpr explicit optional_address(std::uint64_t printed) noexcept : raw_{printed} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return raw_ > 1; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr address operator*() const noexcept { return address{raw_}; }
    [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return raw_; }

    friend constexpr bool operator==(optional_address, optional_address) noexcept = default;

private:
    std::uint64_t raw_ = 0;
};

/// A value, or none: "unlimited" (RLIM_INFINITY). Every number up to 2^64-2 is a value.
template <class Unit>
class limit_value {
public:
    constexpr limit_value() noexcept = default; ///< unlimited
    constexpr explicit limit_value(Unit value) noexcept : value_{value} {}

    [[nodiscard]] static constexpr limit_value unlimited() noexcept { return {}; }

    [[nodiscard]] constexpr bool is_unlimited() const noexcept { return !value_.has_value(); }
    [[nodiscard]] constexpr std::optional<Unit> value() const noexcept { return value_; }

    friend constexpr bool operator==(limit_value, limit_value) noexcept = default;

    /// Unlimited is above every value.
    friend constexpr bool operator<(limit_value a, limit_value b) noexcept
    {
        return !a.is_unlimited() && (b.is_unlimited() || *a.value_ < *b.value_);
    }

private:
    std::optional<Unit> value_;
};

/// What the numbers of one machine mean. Passed in, never global, so that a tree recorded on another machine decodes right.
struct system_info {
    bytes page_size{4096};
    std::uint64_t ticks_per_second = 100;    ///< USER_HZ: sysconf(_SC_CLK_TCK), AT_CLKTCK
    std::size_t word_size = sizeof(void*);   ///< bytes of a `long` of the kernel: 8 or 4
    std::optional<seconds> boot_time = {};   ///< since the epoch: `btime` of /proc/stat; absent when it could not be read
};

/// What a limit means that the kernel prints as an `unsigned long` (`rsslim` of `stat`, the second number of `SigQ`) on the machine
/// that \p sys describes: a kernel of 32 bits prints 2^32-1 for unlimited.
template <class Unit>
[[nodiscard]] constexpr limit_value<Unit> limit_of(limit_value<Unit> printed, system_info const& sys) noexcept
{
    if (sys.word_size == 4 && printed.value() == Unit{UINT32_MAX}) return limit_value<Unit>::unlimited();
    return printed;
}

/// The same amount in bytes. More than 2^64-1 bytes wrap around.
[[nodiscard]] constexpr bytes to_bytes(kibibytes k) noexcept { return bytes{k.count * 1024}; }
/// So many pages of the machine that \p sys describes.
[[nodiscard]] constexpr bytes to_bytes(pages p, system_info const& sys) noexcept { return bytes{p.count * sys.page_size.count}; }
/// So many ticks of the machine that \p sys describes, whose rate is above 0.
[[nodiscard]] constexpr nanoseconds to_nanoseconds(clock_ticks t, system_info const& sys) noexcept
{
    auto const whole = t.count / sys.ticks_per_second;
    auto const rest = t.count % sys.ticks_per_second;
    return nanoseconds{whole * 1'000'000'000 + rest * 1'000'000'000 / sys.ticks_per_second};
}

} // namespace taskpeek
