// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/cgroup.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::ends_with_a_line;
using tp::tests::gives;
using membership = pf::cgroup_membership;

namespace {

constexpr auto hybrid = "9:name=systemd:/\n8:pids:/\n4:cpu,cpuacct:/user.slice/a:b::c\n1:memory:/x (deleted)\n0::/user.slice (deleted)\n"sv;
constexpr pf::cgroup c = pf::cgroup::parse(hybrid).value();
static_assert(gives(c.memberships, {membership{9, "name=systemd", "/"}, membership{8, "pids", "/"}, membership{4, "cpu,cpuacct", "/user.slice/a:b::c"},
                                    membership{1, "memory", "/x (deleted)"}, membership{0, "", "/user.slice (deleted)"}}));
static_assert(c.unified()->path == "/user.slice (deleted)" && c.unified()->may_be_deleted());
static_assert(c.with_controller("cpuacct")->hierarchy_id == 4 && c.with_controller("cpu")->hierarchy_id == 4);
static_assert(c.with_controller("name=systemd")->hierarchy_id == 9 && !c.with_controller("systemd") && !c.with_controller("cp"));
static_assert(!c.with_controller("cpu,cpuacct") && !c.with_controller(""), "no controller is called so");
static_assert(!c.with_controller("memory")->may_be_deleted(), "v1 does not mark removed groups");

constexpr pf::cgroup v2 = pf::cgroup::parse("0::/system.slice/dev-disk\\x2dby.slice\n").value();
static_assert(v2.unified()->path == "/system.slice/dev-disk\\x2dby.slice" && v2.unified()->is_unified() && !v2.unified()->may_be_deleted());
static_assert(pf::cgroup::parse("").value().memberships.empty() && !pf::cgroup::parse("").value().unified());
static_assert(pf::cgroup::parse("0::/../../x y \n").value().unified()->path == "/../../x y ", "outside the reader's cgroup namespace");
static_assert((*pf::cgroup::parse("4294967295:a:/\n").value().memberships.begin()).hierarchy_id == UINT32_MAX);

} // namespace

TEST_CASE("cgroup: a text cut within a line is truncated; behind one it has fewer hierarchies")
{
    tp::tests::check_every_beginning<pf::cgroup>(hybrid, ends_with_a_line);
}

TEST_CASE("cgroup: damage anywhere is survived") { tp::tests::check_every_damage<pf::cgroup>(hybrid); }

TEST_CASE("cgroup: other texts are malformed")
{
    tp::tests::check_malformed<pf::cgroup>({
        {"\n", 0}, {":cpu:/\n", 0}, {"x:cpu:/\n", 0}, {"1\n", 1}, {"1:cpu\n", 5}, {"1:cpu:\n", 6}, {"1:cpu:x\n", 6}, {"-1:cpu:/\n", 0},
        {"4294967296:cpu:/\n", 0}, {"0::/\n1 :cpu:/\n", 6},
    });
}

TEST_CASE("cgroup: its one field has the file's name")
{
    int fields = 0;
    pf::cgroup::each_field(c, [&](std::string_view key, auto const& memberships) {
        ++fields;
        CHECK(key == "cgroup");
        CHECK(memberships.count() == 5);
    });
    CHECK(fields == 1);
}
