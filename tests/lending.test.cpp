// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/lending.hpp>

#include <concepts>
#include <csignal>
#include <type_traits>
#include <utility>

#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/ref.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace tp = taskpeek;

namespace {

/// Counts to `last`, and how often it was asked to.
class countdown : public tp::lending_range<countdown, int> {
    using base = tp::lending_range<countdown, int>;

public:
    constexpr countdown() noexcept = default;
    constexpr explicit countdown(int last) noexcept : last_{last} {}
    constexpr countdown(countdown const& other) noexcept : base{}, last_{other.last_} {}
    constexpr countdown& operator=(countdown const& other) noexcept
    {
        base::operator=(other);
        last_ = other.last_;
        row_ = 0;
        fetched = 0;
        return *this;
    }
    constexpr ~countdown() = default;

    int fetched = 0;

private:
    friend base;

    constexpr bool fetch() noexcept
    {
        ++fetched;
        return row_++ < last_;
    }
    [[nodiscard]] constexpr int const& current() const noexcept { return row_; }

    int last_ = 0;
    int row_ = 0;
};

static_assert(ranges::input_range<countdown> && ranges::view_<countdown> && !ranges::forward_range<countdown>);
static_assert(std::semiregular<countdown> && std::semiregular<decltype(countdown{}.end())>);
static_assert(!ranges::input_range<countdown const>, "walking changes it");
static_assert(std::is_same_v<decltype(*countdown{}.begin()), int const&>, "a row is lent");

static_assert([] {
    countdown three{3};
    int sum = 0;
    for (auto const& n : three) sum += n;
    return sum == 6 && three.fetched == 4;
}());
static_assert([] {
    countdown none;
    return none.begin() == none.end();
}());

} // namespace

TEST_CASE("lending: a copy or a move is fresh, whatever has been read")
{
    countdown range{3};
    auto at = range.begin();
    ++at;
    CHECK(*at == 2);

    auto copy = range;
    CHECK(copy.fetched == 0);
    CHECK(*copy.begin() == 1);
    auto moved = std::move(range);
    CHECK(*moved.begin() == 1);

    moved = copy;
    CHECK(moved.fetched == 0);
    CHECK(*moved.begin() == 1);
}

TEST_CASE("lending: a pipeline by value runs a copy, one over ref_view the range itself; each row is made once")
{
    countdown range{10};
    auto const even = [](int n) { return n % 2 == 0; };
    auto const tenfold = [](int n) { return n * 10; };

    int sum = 0;
    for (auto const n : range | ranges::views::filter(even) | ranges::views::transform(tenfold)) sum += n;
    CHECK(sum == 300);
    CHECK(range.fetched == 0);

    sum = 0;
    for (auto const n : ranges::ref_view(range) | ranges::views::filter(even) | ranges::views::transform(tenfold)) sum += n;
    CHECK(sum == 300);
    CHECK(range.fetched == 11);
}

TEST_CASE("lending: an adaptor that stops early leaves the rest unread")
{
    countdown range{10};
    int sum = 0;
    for (auto const n : ranges::ref_view(range) | ranges::views::take(2)) sum += n;
    CHECK(sum == 3);
    CHECK(range.fetched <= 3);
}

#ifndef NDEBUG
TEST_CASE("lending: a second begin() of the same range traps")
{
    auto const child = fork();
    if (child == 0) {
        std::signal(SIGILL, SIG_DFL); // doctest's handler would print into our report
        std::signal(SIGTRAP, SIG_DFL);
        countdown range{3};
        (void)range.begin();
        (void)range.begin();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK((WIFSIGNALED(status) || WEXITSTATUS(status) != 0));
}
#endif
