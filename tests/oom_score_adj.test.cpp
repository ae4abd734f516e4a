// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/oom_score_adj.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

static_assert(pf::oom_score_adj::parse("0\n").value().value == 0);
static_assert(pf::oom_score_adj::parse("-1000\n").value().value == -1000);
static_assert(pf::oom_score_adj::parse("1000\n").value().value == 1000);
static_assert(pf::oom_score_adj::parse("-2147483648\n").value().value == INT32_MIN);

} // namespace

TEST_CASE("oom_score_adj: a text cut anywhere is truncated")
{
    tp::tests::check_every_beginning<pf::oom_score_adj>("-1000\n");
    tp::tests::check_every_beginning<pf::oom_score_adj>("2147483647\n");
}

TEST_CASE("oom_score_adj: damage anywhere is survived") { tp::tests::check_every_damage<pf::oom_score_adj>("-1000\n"); }

TEST_CASE("oom_score_adj: other texts are malformed")
{
    tp::tests::check_malformed<pf::oom_score_adj>({{"\n", 0}, {"--1\n", 1}, {"-\n", 1}, {"+1\n", 0}, {"1x\n", 1}, {"2147483648\n", 0}, {"-2147483649\n", 0}});
}

TEST_CASE("oom_score_adj: its one field has the file's name")
{
    auto const score = pf::oom_score_adj::parse("-17\n").value();
    int fields = 0;
    pf::oom_score_adj::each_field(score, [&](std::string_view name, std::int32_t value) {
        ++fields;
        CHECK(name == "oom_score_adj");
        CHECK(value == -17);
    });
    CHECK(fields == 1);
}
