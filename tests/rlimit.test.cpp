// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;
using tp::resource;

// Each limit has its own unit.
static_assert(std::is_same_v<tp::rlimit<resource::stack>::unit, tp::bytes>);
static_assert(std::is_same_v<tp::rlimit<resource::nofile>::unit, tp::file_count>);
static_assert(std::is_same_v<tp::rlimit<resource::cpu>::unit, tp::seconds>);

namespace {

template <class Unit>
std::uint64_t number(tp::limit_value<Unit> value) { return tp::to_rlim(value); }

template <resource R>
void compare_with_libc(tp::result<tp::rlimit<R>> const& told, pid_t pid)
{
    CAPTURE(static_cast<int>(R));
    REQUIRE(told.has_value());
    struct rlimit64 wanted;
    REQUIRE(prlimit64(pid, static_cast<__rlimit_resource>(R), nullptr, &wanted) == 0);
    CHECK(number(told.value().soft) == wanted.rlim_cur);
    CHECK(number(told.value().hard) == wanted.rlim_max);
    CHECK(told.value().soft.is_unlimited() == (wanted.rlim_cur == RLIM64_INFINITY));
}

/// Calls `use.template operator()<R>()` for every limit there is.
template <class Use, int... Number>
void each_resource(Use use, std::integer_sequence<int, Number...>)
{
    (use.template operator()<static_cast<resource>(Number)>(), ...);
}
template <class Use>
void each_resource(Use use)
{
    each_resource(use, std::make_integer_sequence<int, 16>{});
}

tp::process open(tp::tests::child const& c)
{
    auto handle = tp::process::open(c.id());
    REQUIRE(handle.has_value());
    return std::move(handle.value());
}

} // namespace

TEST_CASE("limits of oneself and of a child equal what getrlimit(2) and the file limits say")
{
    tp::tests::child const c{[] {
        struct rlimit const few{40, 90};
        setrlimit(RLIMIT_NOFILE, &few);
        struct rlimit64 const large{0xfffffffffffffffeull, RLIM64_INFINITY}; // not unlimited, though only just
        setrlimit64(RLIMIT_FSIZE, &large);
    }};
    auto const p = open(c);
    auto const file = p.read<pf::limits>();
    REQUIRE(file.has_value());
    each_resource([&]<resource R> {
        compare_with_libc(tp::get_rlimit<R>(), 0);
        compare_with_libc(tp::get_rlimit<R>(p), c.pid());
        auto const printed = file.value().get<R>();
        REQUIRE(printed.has_value());
        CHECK(printed->soft == tp::get_rlimit<R>(p).value().soft);
        CHECK(printed->hard == tp::get_rlimit<R>(p).value().hard);
    });
    auto const files = tp::get_rlimit<resource::nofile>(p);
    REQUIRE(files.has_value());
    CHECK(files.value().soft.value() == tp::file_count{40});
    CHECK(files.value().hard.value() == tp::file_count{90});
    if (geteuid() == 0) { // which may raise it so far
        auto const size = tp::get_rlimit<resource::fsize>(p);
        REQUIRE(size.has_value());
        CHECK_FALSE(size.value().soft.is_unlimited());
        CHECK(size.value().soft.value()->count == 0xfffffffffffffffeull);
        CHECK(size.value().hard.is_unlimited());
    }
}

TEST_CASE("a limit is set on oneself, and what it was comes back")
{
    auto const before = tp::get_rlimit<resource::core>();
    REQUIRE(before.has_value());
    tp::rlimit<resource::core> const none{tp::limit_value{tp::bytes{0}}, before.value().hard};
    auto const old = tp::set_rlimit<resource::core>(none);
    REQUIRE(old.has_value());
    CHECK(old.value().soft == before.value().soft);
    struct rlimit now;
    REQUIRE(getrlimit(RLIMIT_CORE, &now) == 0);
    CHECK(now.rlim_cur == 0);
    CHECK(tp::set_rlimit<resource::core>(before.value()).value().soft == none.soft);
    CHECK(tp::get_rlimit<resource::core>().value().soft == before.value().soft);
}

TEST_CASE("a limit is set on a child, and on no one else")
{
    tp::tests::child const c;
    auto const p = open(c);
    auto const own = tp::get_rlimit<resource::stack>();
    REQUIRE(own.has_value());
    tp::rlimit<resource::stack> const wanted{tp::limit_value{tp::bytes{1 << 20}}, tp::limit_value{tp::bytes{2 << 20}}};
    REQUIRE(tp::set_rlimit<resource::stack>(p, wanted).has_value());
    CHECK(tp::get_rlimit<resource::stack>(p).value().soft == wanted.soft);
    CHECK(tp::get_rlimit<resource::stack>(p).value().hard == wanted.hard);
    compare_with_libc(tp::get_rlimit<resource::stack>(p), c.pid());
    CHECK(tp::get_rlimit<resource::stack>().value().soft == own.value().soft);
}

TEST_CASE("a soft limit above the hard one is invalid and says so")
{
    tp::tests::child const c;
    auto const p = open(c);
    tp::rlimit<resource::nofile> const wrong{tp::limit_value{tp::file_count{11}}, tp::limit_value{tp::file_count{10}}};
    auto const set = tp::set_rlimit<resource::nofile>(p, wrong);
    REQUIRE_FALSE(set.has_value());
    CHECK(set.error() == tp::error{errc::invalid, tp::kernel_file::prlimit, EINVAL, p.id(), 0});
    auto const message = set.error().message();
    CHECK(message.view() == "setting the limit of process " + std::to_string(c.pid()) + " is not possible: the soft limit would be above the hard one (EINVAL)");

    tp::rlimit<resource::nofile> const unlimited_soft{tp::limit_value<tp::file_count>::unlimited(), tp::limit_value{tp::file_count{10}}};
    CHECK(tp::set_rlimit<resource::nofile>(p, unlimited_soft).error().code == errc::invalid);
}

TEST_CASE("without privilege a hard limit is not raised, and another user's limits are out of reach")
{
    tp::tests::child const target; // root's, if it is root who tests
    bool const root = geteuid() == 0;
    auto const status = tp::tests::status_of([&] {
        if (root && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)) _exit(2);
        tp::rlimit<resource::nofile> const lower{tp::limit_value{tp::file_count{20}}, tp::limit_value{tp::file_count{30}}};
        if (!tp::set_rlimit<resource::nofile>(lower)) _exit(3);
        tp::rlimit<resource::nofile> const higher{tp::limit_value{tp::file_count{20}}, tp::limit_value{tp::file_count{31}}};
        auto const raised = tp::set_rlimit<resource::nofile>(higher);
        if (raised || raised.error().code != errc::denied || raised.error().os_error != EPERM) _exit(4);
        auto const message = raised.error().message();
        if (message.view().find("raised hard limit") == std::string_view::npos || message.view().find("CAP_SYS_RESOURCE") == std::string_view::npos) _exit(5);
        if (tp::get_rlimit<resource::nofile>().value().hard != lower.hard) _exit(6);
        if (!root) _exit(0);
        auto const p = tp::process::open(target.id());
        if (!p) _exit(7);
        auto const read = tp::get_rlimit<resource::nofile>(p.value());
        if (read || read.error().code != errc::denied || read.error().task != p.value().id()) _exit(8);
        if (tp::set_rlimit<resource::nofile>(p.value(), lower).error().code != errc::denied) _exit(9);
        _exit(0);
    });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(tp::get_rlimit<resource::nofile>(open(target)).value().soft == tp::get_rlimit<resource::nofile>().value().soft);
}

TEST_CASE("the limits of a vanished process are not those of another")
{
    std::optional<tp::process> p;
    {
        tp::tests::child const c;
        p.emplace(open(c));
    }
    auto const got = tp::get_rlimit<resource::stack>(*p);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == errc::vanished);
    tp::rlimit<resource::stack> const any{};
    auto const set = tp::set_rlimit<resource::stack>(*p, any);
    REQUIRE_FALSE(set.has_value());
    CHECK(set.error().code == errc::vanished);
}

TEST_CASE("a recorded process's number never reaches prlimit(2)")
{
    tp::tests::recorded_tree const tree{"linux-6.1-x86_64"};
    REQUIRE(tree.is_unpacked());
    auto const specimen = tp::process::open(tp::tgid{83}, tree.root().c_str());
    REQUIRE(specimen.has_value());
    auto const got = tp::get_rlimit<resource::stack>(specimen.value());
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error() == tp::error{errc::unsupported, tp::kernel_file::prlimit, 0, tp::leader_of(tp::tgid{83}), 0});
    tp::rlimit<resource::stack> const any{};
    CHECK(tp::set_rlimit<resource::stack>(specimen.value(), any).error().code == errc::unsupported);
    CHECK(specimen.value().read<pf::limits>().has_value());
}
