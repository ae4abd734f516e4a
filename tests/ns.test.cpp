// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/ns.hpp>

#include <iterator>
#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

constexpr pf::ns mnt = pf::ns::parse("mnt:[4026531840]").value();
static_assert(mnt.type == "mnt" && mnt.inode == 4026531840);
static_assert(pf::ns::is_link && pf::ns::file == tp::kernel_file::ns);
static_assert(mnt == pf::ns::parse("mnt:[4026531840]").value() && mnt != pf::ns::parse("mnt:[4026531841]").value());
static_assert(mnt != pf::ns::parse("net:[4026531840]").value());
static_assert(pf::ns::parse("future:[18446744073709551615]").value().inode == UINT64_MAX);

} // namespace

TEST_CASE("ns: a text cut anywhere is truncated")
{
    for (auto const whole : {"mnt:[4026531840]", "pid:[1]", "cgroup:[4026531835]"}) tp::tests::check_every_beginning<pf::ns>(whole);
}

TEST_CASE("ns: damage anywhere is survived") { tp::tests::check_every_damage<pf::ns>("mnt:[4026531840]"); }

TEST_CASE("ns: other texts are malformed")
{
    tp::tests::check_malformed<pf::ns>({
        {":[1]", 0}, {"mnt:1]", 4}, {"mnt:[]", 5}, {"mnt:[x]", 5}, {"mnt:[-1]", 5}, {"mnt:[1) ", 6}, {"mnt:[1]\n", 7}, {"mnt:[1] (deleted)", 7},
        {"mnt:[18446744073709551616]", 24},
    });
}

TEST_CASE("ns: every link of a task's ns directory is known")
{
    constexpr std::string_view links[] = {"net", "uts", "ipc", "pid", "pid_for_children", "user", "mnt", "cgroup", "time", "time_for_children"};
    REQUIRE(std::size(pf::namespace_links) == std::size(links));
    for (std::size_t i = 0; i < std::size(links); ++i) CHECK(pf::namespace_links[i] == links[i]);
}

TEST_CASE("ns: both fields are listed")
{
    std::string names;
    pf::ns::each_field(mnt, [&](std::string_view name, auto const&) { (names += name) += ' '; });
    CHECK(names == "type inode ");
}
