// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/result.hpp>

#include <csignal>
#include <memory>
#include <type_traits>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace tp = taskpeek;

namespace {

constexpr tp::error cut{tp::errc::truncated, tp::kernel_file::stat, 0, {}, 12};

[[nodiscard]] constexpr tp::result<int> half(int n)
{
    if (n % 2 != 0) return cut;
    return n / 2;
}

[[nodiscard]] constexpr tp::result<int> quarter(int n)
{
    auto const h = half(n);
    if (!h) return h.error();
    return half(h.value());
}

// Constant expressions, on both paths.
static_assert(half(4) && half(4).value() == 2);
static_assert(!half(3) && half(3).error() == cut);
static_assert(quarter(8).value() == 2 && quarter(6).error() == cut);

constexpr tp::result<void> checked(bool good)
{
    if (!good) return cut;
    return tp::success();
}
static_assert(checked(true) && !checked(false) && checked(false).error() == cut);

// No more than a value, an error and a flag; a trivially copyable value keeps it so.
static_assert(std::is_trivially_copyable_v<tp::error>);
static_assert(sizeof(tp::result<int>) <= sizeof(int) + sizeof(tp::error) + 8);
static_assert(std::is_nothrow_move_constructible_v<tp::result<int>>);
static_assert(!std::is_default_constructible_v<tp::result<int>>, "there is no result without an outcome");

// Runs \p misuse in a child. \return the signal that ended it, 0 if none did.
template <class Misuse>
[[nodiscard]] int signal_of(Misuse misuse)
{
    auto const child = fork();
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL); // doctest's handler would print into our report
        misuse();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

} // namespace

TEST_CASE("result: taking what is not there ends the program, with or without NDEBUG")
{
    CHECK(signal_of([] { (void)half(3).value(); }) == SIGABRT);
    CHECK(signal_of([] { (void)half(4).error(); }) == SIGABRT);
    CHECK(signal_of([] { (void)half(4).value(); }) == 0);
}

TEST_CASE("result: holds what can only be moved")
{
    tp::result<std::unique_ptr<int>> r = std::make_unique<int>(5);
    REQUIRE(r);
    auto const taken = std::move(r).value();
    CHECK(*taken == 5);
}
