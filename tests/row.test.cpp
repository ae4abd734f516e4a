// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/row.hpp>

#include <taskpeek/procfs/comm.hpp>
#include <taskpeek/procfs/statm.hpp>
#include <taskpeek/procfs/status.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/task/walk.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <tuple>
#include <type_traits>

#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

using stat_row = tp::row<pf::stat>;
using wide_row = tp::row<pf::stat, pf::status, pf::comm>;

static_assert(!std::is_copy_constructible_v<stat_row> && !std::is_move_constructible_v<stat_row>);
static_assert(!std::is_copy_assignable_v<stat_row> && !std::is_move_assignable_v<stat_row>);
static_assert(std::tuple_size_v<tp::row<>> == 1);
static_assert(std::tuple_size_v<wide_row> == 4);
static_assert(std::is_same_v<std::tuple_element_t<0, wide_row>, tp::task_id const>);
static_assert(std::is_same_v<std::tuple_element_t<2, wide_row>, tp::result<pf::status> const>);

// One vma is no whole file.
static_assert(tp::kernel_record<pf::stat>);
static_assert(!tp::kernel_record<pf::vma>);
static_assert(!tp::kernel_record<int>);

TEST_CASE("a row binds its ids first, then one result for each file, in the order asked for")
{
    auto const self = getpid();
    bool found = false;
    for (auto const& row : tp::processes<pf::stat, pf::status, pf::comm>()) {
        auto const& [id, stat, status, comm] = row;
        if (id.tgid.value != self) continue;
        found = true;
        CHECK(&id == &row.id());
        CHECK(&stat == &row.get<pf::stat>());
        CHECK(&status == &row.get<pf::status>());
        CHECK(&comm == &row.get<pf::comm>());
        CHECK(&comm == &row.get<3>());
        REQUIRE(stat.has_value());
        REQUIRE(status.has_value());
        REQUIRE(comm.has_value());
        CHECK(stat.value().pid == id.tid);
        CHECK(status.value().tgid == id.tgid);
        // all texts of the row are there at a time
        CHECK(stat.value().comm == comm.value().name);
        CHECK(status.value().name == comm.value().name);
        CHECK_FALSE(row.possibly_incomplete());
    }
    CHECK(found);
}

TEST_CASE("a file that finds no memory left is truncated, never empty")
{
    auto const self = getpid();
    bool found = false;
    char memory[16];
    for (auto const& [id, statm, comm, stat] : tp::processes<pf::statm, pf::comm, pf::stat>({.text = memory})) {
        if (id.tgid.value != self) continue;
        found = true;
        REQUIRE_FALSE(stat.has_value());
        CHECK(stat.error().code == tp::errc::truncated);
        CHECK(stat.error().task == id);
        CHECK_FALSE((statm.has_value() && comm.has_value() && statm.value().size.count == 0));
    }
    CHECK(found);
}
