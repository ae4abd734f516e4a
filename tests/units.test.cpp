// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/units.hpp>

#include <cstdint>
#include <type_traits>

#include <doctest/doctest.h>

namespace tp = taskpeek;

namespace {

template <class A, class B>
concept addable = requires(A a, B b) { a + b; };
template <class A, class B>
concept comparable = requires(A a, B b) { a == b; };

// A quantity meets its own kind only.
static_assert(addable<tp::pages, tp::pages> && comparable<tp::pages, tp::pages>);
static_assert(!addable<tp::pages, tp::kibibytes> && !comparable<tp::pages, tp::kibibytes>);
static_assert(!addable<tp::bytes, tp::kibibytes> && !comparable<tp::clock_ticks, tp::signed_clock_ticks>);
static_assert(!addable<tp::bytes, int> && !comparable<tp::bytes, int>);
static_assert(!std::is_convertible_v<std::uint64_t, tp::bytes>);
static_assert(!addable<tp::address, tp::address> && !addable<tp::address, tp::pages>);
static_assert(sizeof(tp::bytes) == 8 && std::is_trivially_copyable_v<tp::bytes>);

static_assert(tp::bytes{2} + tp::bytes{3} == tp::bytes{5});
static_assert(tp::bytes{5} - tp::bytes{3} == tp::bytes{2});
static_assert(tp::bytes{2} < tp::bytes{3});
static_assert(tp::signed_clock_ticks{-1} < tp::signed_clock_ticks{0});

static_assert(tp::address{0x2000} - tp::address{0x1000} == tp::bytes{0x1000});
static_assert(tp::address{0x1000} + tp::bytes{0x10} == tp::address{0x1010});
static_assert(tp::address{UINT64_MAX} > tp::address{0});

// fs/proc/array.c prints 0 or 1 where it does not tell an address.
static_assert(!tp::optional_address{} && !tp::optional_address{0} && !tp::optional_address{1});
static_assert(tp::optional_address{1}.raw() == 1);
static_assert(tp::optional_address{2} && *tp::optional_address{2} == tp::address{2});
static_assert(tp::optional_address{UINT64_MAX}.has_value());

// Only RLIM_INFINITY is unlimited: 2^64-2 is a number like any other.
using limit = tp::limit_value<tp::bytes>;
static_assert(limit{}.is_unlimited() && limit::unlimited() == limit{} && !limit{}.value());
static_assert(!limit{tp::bytes{UINT64_MAX - 1}}.is_unlimited());
static_assert(limit{tp::bytes{UINT64_MAX - 1}}.value() == tp::bytes{UINT64_MAX - 1});
static_assert(limit{tp::bytes{UINT64_MAX - 1}} < limit::unlimited());
static_assert(!(limit::unlimited() < limit{tp::bytes{0}}) && !(limit::unlimited() < limit::unlimited()));
static_assert(limit{tp::bytes{1}} < limit{tp::bytes{2}} && !(limit{tp::bytes{2}} < limit{tp::bytes{2}}));
static_assert(limit{tp::bytes{0}} != limit::unlimited());

constexpr tp::system_info arm64{.page_size = tp::bytes{65536}, .ticks_per_second = 250, .word_size = 8, .boot_time = {}};
static_assert(tp::to_bytes(tp::kibibytes{3}) == tp::bytes{3072});
static_assert(tp::to_bytes(tp::pages{3}, arm64) == tp::bytes{196608});
constexpr limit printed{tp::bytes{UINT32_MAX}};
static_assert(tp::limit_of(printed, {.word_size = 4}).is_unlimited());
static_assert(tp::limit_of(printed, {.word_size = 8}) == printed);
static_assert(tp::limit_of(limit{tp::bytes{UINT32_MAX - 1}}, {.word_size = 4}).value() == tp::bytes{UINT32_MAX - 1});
static_assert(tp::limit_of(limit::unlimited(), {.word_size = 8}).is_unlimited());
static_assert(tp::to_bytes(tp::pages{3}, tp::system_info{}) == tp::bytes{12288});
static_assert(tp::to_nanoseconds(tp::clock_ticks{251}, arm64) == tp::nanoseconds{1'004'000'000});
static_assert(tp::to_nanoseconds(tp::clock_ticks{100}, tp::system_info{}) == tp::nanoseconds{1'000'000'000});

} // namespace

TEST_CASE("units: += and -= are + and -")
{
    tp::kibibytes k{4};
    k += tp::kibibytes{2};
    CHECK(k == tp::kibibytes{6});
    k -= tp::kibibytes{5};
    CHECK(k == tp::kibibytes{1});
}

TEST_CASE("units: ticks become nanoseconds without an overflow on the way, up to what 64 bits of nanoseconds hold")
{
    for (std::uint64_t const rate : {24u, 100u, 250u, 300u, 1000u, 1024u}) {
        tp::system_info const sys{.page_size = tp::bytes{4096}, .ticks_per_second = rate, .word_size = 8, .boot_time = {}};
        std::uint64_t const century = 100ull * 366 * 24 * 3600;
        CAPTURE(rate);
        CHECK(tp::to_nanoseconds(tp::clock_ticks{century * rate}, sys) == tp::nanoseconds{century * 1'000'000'000});
        CHECK(tp::to_nanoseconds(tp::clock_ticks{century * rate + rate - 1}, sys) ==
              tp::nanoseconds{century * 1'000'000'000 + (rate - 1) * 1'000'000'000 / rate});
    }
}
