// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/schedstat.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;

namespace {

constexpr pf::schedstat s = pf::schedstat::parse("1059538302 254689304 441\n").value();
static_assert(s.sum_exec_runtime == tp::nanoseconds{1059538302} && s.run_delay == tp::nanoseconds{254689304} && s.pcount == 441u);

constexpr pf::schedstat never_waited = pf::schedstat::parse("1566312 0 1\n").value();
static_assert(never_waited.run_delay == tp::nanoseconds{0}, "a zero beside other numbers is told");

static_assert(pf::schedstat::parse("0 7 0\n").value().run_delay == tp::nanoseconds{7});
static_assert(pf::schedstat::parse("0 0 1\n").value().pcount == 1u, "one that has just begun to run");

constexpr pf::schedstat not_told = pf::schedstat::parse("0 0 0\n").value();
static_assert(!not_told.sum_exec_runtime && !not_told.run_delay && !not_told.pcount, "what the kernel does not tell is not 0");

constexpr auto largest = "18446744073709551615 18446744073709551615 18446744073709551615\n"sv;
static_assert(pf::schedstat::parse(largest).value().pcount == UINT64_MAX);

} // namespace

TEST_CASE("schedstat: a text cut anywhere is truncated")
{
    tp::tests::check_every_beginning<pf::schedstat>("1059538302 254689304 441\n");
    tp::tests::check_every_beginning<pf::schedstat>("0 0 0\n");
    tp::tests::check_every_beginning<pf::schedstat>(largest);
    CHECK(largest.size() < pf::schedstat::typical_size);
}

TEST_CASE("schedstat: damage anywhere is survived") { tp::tests::check_every_damage<pf::schedstat>("12 34 56\n"); }

TEST_CASE("schedstat: numbers of kernels to come are passed over")
{
    auto const decoded = pf::schedstat::parse("1 2 3 4\n");
    REQUIRE(decoded);
    CHECK(decoded.value().pcount == 3u);
}

TEST_CASE("schedstat: other texts are malformed")
{
    tp::tests::check_malformed<pf::schedstat>({
        {"\n", 0}, {"1 2\n", 3}, {"1 2 \n", 4}, {"-1 2 3\n", 0}, {"1 2 3.5\n", 5}, {"1 18446744073709551616 3\n", 21}, {"x\n", 0},
    });
}

TEST_CASE("schedstat: each field is listed once, by its name in task_struct")
{
    std::string_view names;
    pf::schedstat::each_field(s, [&](std::string_view name, auto const& field) {
        CHECK(field.has_value());
        if (names.empty()) CHECK(name == "sum_exec_runtime");
        else if (names == "sum_exec_runtime") CHECK(name == "run_delay");
        else CHECK(name == "pcount");
        names = name;
    });
    CHECK(names == "pcount");
}
