// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/scheduling.hpp>

#include <string_view>
#include <utility>

#include <sched.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

static_assert(pf::scheduling_policy{SCHED_OTHER}.name() == "SCHED_OTHER");
static_assert(pf::scheduling_policy{SCHED_FIFO}.name() == "SCHED_FIFO");
static_assert(pf::scheduling_policy{SCHED_RR}.name() == "SCHED_RR");
static_assert(pf::scheduling_policy{3}.name() == "SCHED_BATCH");
static_assert(pf::scheduling_policy{5}.name() == "SCHED_IDLE");
static_assert(pf::scheduling_policy{6}.name() == "SCHED_DEADLINE");
static_assert(pf::scheduling_policy{7}.name() == "SCHED_EXT");
static_assert(pf::scheduling_policy{4}.name().empty() && pf::scheduling_policy{8}.name().empty());

} // namespace

TEST_CASE("scheduling: FIFO, RR and DEADLINE are real-time policies, others are not")
{
    for (std::uint32_t number = 0; number < 10; ++number)
        CHECK(pf::scheduling_policy{number}.is_realtime() == (number == 1 || number == 2 || number == 6));
}

TEST_CASE("scheduling: any number is kept")
{
    for (auto const& [text, number] : {std::pair{"0 ", 0u}, std::pair{"7\n", 7u}, std::pair{"4294967295", UINT32_MAX}}) {
        tp::text::cursor in{text};
        pf::scheduling_policy policy;
        read_value(in, policy);
        CHECK(in.ok());
        CHECK(policy.number == number);
    }
    tp::text::cursor in{"4294967296"};
    pf::scheduling_policy policy;
    read_value(in, policy);
    CHECK_FALSE(in.ok());
}
