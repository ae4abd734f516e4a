// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/oom_score.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

static_assert(pf::oom_score::parse("0\n").value().value == 0);
static_assert(pf::oom_score::parse("666\n").value().value == 666);
static_assert(pf::oom_score::parse("2000\n").value().value == 2000);
static_assert(pf::oom_score::parse("18446744073709551615\n").value().value == UINT64_MAX);

} // namespace

TEST_CASE("oom_score: a text cut anywhere is truncated")
{
    tp::tests::check_every_beginning<pf::oom_score>("1333\n");
    tp::tests::check_every_beginning<pf::oom_score>("18446744073709551615\n");
}

TEST_CASE("oom_score: damage anywhere is survived") { tp::tests::check_every_damage<pf::oom_score>("1333\n"); }

TEST_CASE("oom_score: other texts are malformed")
{
    tp::tests::check_malformed<pf::oom_score>({{"\n", 0}, {"-1\n", 0}, {"1x\n", 1}, {"18446744073709551616\n", 19}});
}

TEST_CASE("oom_score: its one field has the file's name")
{
    auto const score = pf::oom_score::parse("7\n").value();
    int fields = 0;
    pf::oom_score::each_field(score, [&](std::string_view name, std::uint64_t value) {
        ++fields;
        CHECK(name == "oom_score");
        CHECK(value == 7);
    });
    CHECK(fields == 1);
}
