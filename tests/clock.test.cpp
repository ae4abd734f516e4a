// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/clock.hpp>

#include <taskpeek/task/process.hpp>
#include <taskpeek/task/system.hpp>

#include "support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>

#include <time.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

namespace {

constexpr pf::stat stat_of(int tid, std::uint64_t started, std::uint64_t user, std::uint64_t kernel)
{
    pf::stat s;
    s.pid = tp::tid{tid};
    s.starttime = tp::clock_ticks{started};
    s.utime = tp::clock_ticks{user};
    s.stime = tp::clock_ticks{kernel};
    return s;
}

constexpr tp::system_info sys{.ticks_per_second = 100, .boot_time = tp::seconds{1'700'000'000}};
constexpr tp::cpu_look look(int tid, std::uint64_t started, std::uint64_t used, std::uint64_t at)
{
    return {stat_of(tid, started, used / 2, used - used / 2), tp::nanoseconds{at}};
}

static_assert(tp::start_time(stat_of(1, 0, 0, 0), sys).value() == tp::nanoseconds{1'700'000'000'000'000'000});
static_assert(tp::start_time(stat_of(1, 12345, 0, 0), sys).value() == tp::nanoseconds{1'700'000'123'450'000'000});
static_assert(tp::start_time(stat_of(1, 12345, 0, 0), {.ticks_per_second = 1000, .boot_time = tp::seconds{1}}).value()
              == tp::nanoseconds{13'345'000'000});
static_assert(tp::start_time(stat_of(1, 0, 0, 0), tp::system_info{}).error().code == tp::errc::unsupported);

static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(5, 7, 200, 1'000'000'000), sys).value() == 1.0);
static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(5, 7, 500, 2'000'000'000), sys).value() == 2.0);
static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(5, 7, 100, 1), sys).value() == 0.0);
static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(5, 7, 99, 10), sys).value() == 0.0, "the kernel's sums may step back");
static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(6, 7, 200, 10), sys).error().code == tp::errc::invalid, "another task");
static_assert(tp::cpu_usage(look(5, 7, 100, 0), look(5, 8, 200, 10), sys).error().code == tp::errc::invalid, "the tid was used again");
static_assert(tp::cpu_usage(look(5, 7, 100, 10), look(5, 7, 200, 10), sys).error().code == tp::errc::invalid, "no time between");

std::uint64_t now(clockid_t clock)
{
    timespec t;
    clock_gettime(clock, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

} // namespace

TEST_CASE("monotonic_now tells CLOCK_MONOTONIC and leaves errno alone")
{
    errno = 77;
    auto const before = now(CLOCK_MONOTONIC);
    auto const told = tp::monotonic_now();
    auto const after = now(CLOCK_MONOTONIC);
    CHECK(before <= told.count);
    CHECK(told.count <= after);
    CHECK(errno == 77);
}

TEST_CASE("a child's start lies between the moments around its fork")
{
    auto const info = tp::read_system_info();
    REQUIRE(info.has_value());
    auto const before = now(CLOCK_REALTIME);
    tp::tests::child const c;
    auto const after = now(CLOCK_REALTIME);
    auto const handle = tp::process::open(c.id());
    REQUIRE(handle.has_value());
    tp::buffer<> memory;
    auto const stat = handle.value().read<pf::stat>(memory);
    REQUIRE(stat.has_value());
    auto const started = tp::start_time(stat.value(), info.value());
    REQUIRE(started.has_value());
    // a second for btime, which is rounded; a second more for a clock that is being adjusted
    CHECK(started.value().count + 2'000'000'000 > before);
    CHECK(started.value().count < after + 2'000'000'000);
}

TEST_CASE("a busy child uses CPU, a sleeping one does not")
{
    auto const info = tp::read_system_info();
    REQUIRE(info.has_value());
    tp::tests::child const busy{[] {}, [] {
        for (;;) __asm__ volatile("");
    }};
    tp::tests::child const idle;
    auto const look_at = [](tp::process const& p) {
        tp::buffer<> memory;
        auto const stat = p.read<pf::stat>(memory);
        REQUIRE(stat.has_value());
        return tp::cpu_look{stat.value(), tp::monotonic_now()};
    };
    auto const busy_handle = tp::process::open(busy.id());
    auto const idle_handle = tp::process::open(idle.id());
    REQUIRE(busy_handle.has_value());
    REQUIRE(idle_handle.has_value());
    auto const began = tp::monotonic_now();
    auto const busy_before = look_at(busy_handle.value());
    auto const idle_before = look_at(idle_handle.value());
    // however little CPU the machine leaves to the child: until it has had some
    double used = 0;
    for (int i = 0; i < 300 && used == 0; ++i) {
        timespec const pause{0, 100'000'000};
        nanosleep(&pause, nullptr);
        auto const busy_after = look_at(busy_handle.value());
        auto const usage = tp::cpu_usage(busy_before, busy_after, info.value());
        REQUIRE(usage.has_value());
        used = usage.value() * static_cast<double>(busy_after.at.count - busy_before.at.count);
    }
    CHECK(used > 0);
    // one CPU, for the time around both looks at the most: this program may have waited for a CPU between a look and its time
    CHECK(used <= static_cast<double>((tp::monotonic_now() - began).count) + 2e9 / static_cast<double>(info.value().ticks_per_second));
    auto const idle_usage = tp::cpu_usage(idle_before, look_at(idle_handle.value()), info.value());
    REQUIRE(idle_usage.has_value());
    CHECK(idle_usage.value() < 0.05);
    CHECK(tp::cpu_usage(busy_before, look_at(idle_handle.value()), info.value()).error().code == tp::errc::invalid);
}
