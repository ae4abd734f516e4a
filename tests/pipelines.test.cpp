// SPDX-License-Identifier: BSL-1.0

/// \file
/// range-v3 pipelines over walks and streams: each row is read and decoded once, and ref_view keeps the original's status.

#include <taskpeek/taskpeek.hpp>

#include "support/child.hpp"
#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <range/v3/algorithm/count_if.hpp>
#include <range/v3/algorithm/find_if.hpp>
#include <range/v3/algorithm/for_each.hpp>
#include <range/v3/iterator/operations.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/ref.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

namespace {

// A record that counts how often it is decoded.
struct counted_comm {
    static constexpr tp::kernel_file file = tp::kernel_file::comm;
    static constexpr std::size_t typical_size = 128;
    static inline int decoded = 0;

    std::string_view name;

    static tp::result<counted_comm> parse(std::string_view text) noexcept
    {
        ++decoded;
        return counted_comm{text.substr(0, text.size() - 1)};
    }
};

using stat_walk = tp::thread_walk<pf::stat>;
static_assert(ranges::input_range<stat_walk> && ranges::view_<stat_walk> && !ranges::forward_range<stat_walk>);
static_assert(ranges::input_range<tp::process_walk<pf::status>> && ranges::view_<tp::process_walk<pf::status>>);
static_assert(ranges::input_range<tp::live_records<pf::vma>> && ranges::view_<tp::live_records<pf::vma>>);
static_assert(ranges::input_range<tp::live_records<pf::smap>> && ranges::view_<tp::live_records<pf::smap>>);
static_assert(ranges::input_range<tp::child_walk> && ranges::view_<tp::child_walk>);
static_assert(ranges::input_range<tp::fd_walk> && ranges::view_<tp::fd_walk>);

/// A tree of processes 1 … n, each named after its number.
class made_tree : public tp::tests::temporary_directory {
public:
    explicit made_tree(int processes)
    {
        for (int i = 1; i <= processes; ++i) {
            auto const directory = path() + "/" + std::to_string(i);
            std::filesystem::create_directories(directory + "/task/" + std::to_string(i));
            std::ofstream{directory + "/comm"} << "process " << i << '\n';
            std::ofstream{directory + "/task/" + std::to_string(i) + "/comm"} << "thread " << i << '\n';
        }
    }
};

/// All elements. (ranges::to needs exceptions.)
template <class Range>
auto collect(Range range)
{
    std::vector<ranges::range_value_t<Range>> all;
    for (auto&& element : range) all.push_back(element);
    return all;
}

auto const is_even = [](auto const& row) { return row.id().tid.value % 2 == 0; };
auto const name = [](auto const& row) { return std::string{row.template get<1>().value().name}; };

} // namespace

TEST_CASE("filter and transform decode each row of a walk once")
{
    made_tree const tree{20};
    tp::walk_options const options{.root = tree.path().c_str()};

    counted_comm::decoded = 0;
    auto const even = collect(tp::threads<counted_comm>(options) | ranges::views::filter(is_even) | ranges::views::transform(name));
    CHECK(even.size() == 10);
    CHECK(counted_comm::decoded == 20);
    for (auto const& text : even) CHECK(text.starts_with("thread "));

    counted_comm::decoded = 0;
    auto const two = collect(tp::processes<counted_comm>(options) | ranges::views::filter(is_even) | ranges::views::take(2)
                             | ranges::views::transform(name));
    CHECK(two.size() == 2);
    CHECK(counted_comm::decoded <= 20);

    counted_comm::decoded = 0;
    CHECK(ranges::count_if(tp::processes<counted_comm>(options), is_even) == 10);
    CHECK(counted_comm::decoded == 20);
}

TEST_CASE("a pipeline works on its own copy, through ref_view on the original")
{
    made_tree const tree{20};
    tp::walk_options const options{.root = tree.path().c_str()};

    auto walk = tp::processes<counted_comm>(options);
    auto const count = ranges::distance(walk | ranges::views::filter(is_even));
    CHECK(count == 10);
    CHECK(walk.report().tasks == 0); // its copy ran

    counted_comm::decoded = 0;
    auto const names = collect(ranges::ref_view(walk) | ranges::views::filter(is_even) | ranges::views::transform(name));
    CHECK(names.size() == 10);
    CHECK(walk.report().tasks == 20);
    CHECK(walk.status().has_value());
    CHECK(counted_comm::decoded == 20);

    auto nowhere = tp::threads<counted_comm>({.root = "/nonexistent"});
    CHECK(ranges::distance(ranges::ref_view(nowhere) | ranges::views::filter(is_even)) == 0);
    REQUIRE_FALSE(nowhere.status().has_value());
    CHECK(nowhere.status().error().code == tp::errc::vanished);
}

TEST_CASE("pipelines over the machine's threads find what loops find")
{
    tp::tests::child const c;
    auto const of_child = collect(tp::threads<pf::stat>() | ranges::views::filter([&](auto const& row) { return row.id().tgid == c.id(); })
                        | ranges::views::transform([](auto const& row) { return row.template get<pf::stat>().value().ppid.value; }));
    CHECK_FALSE(of_child.empty());
    for (auto const ppid : of_child) CHECK(ppid == getpid());

    auto walk = tp::processes<pf::stat>();
    auto const found = ranges::find_if(walk, [&](auto const& row) { return row.id().tgid == c.id(); });
    REQUIRE(found != walk.end());
    CHECK((*found).get<pf::stat>().value().pid.value == c.pid());
}

TEST_CASE("pipelines over maps sum what loops sum")
{
    tp::tests::child const c;
    auto const handle = tp::process::open(c.id());
    REQUIRE(handle.has_value());
    auto const& p = handle.value();
    auto const writable = [](pf::vma const& vma) { return vma.perms.write; };
    auto const size = [](pf::vma const& vma) { return vma.size().count; };

    std::uint64_t wanted = 0;
    for (auto const& vma : p.maps())
        if (writable(vma)) wanted += size(vma);
    CHECK(wanted > 0);

    auto const sizes = collect(p.maps() | ranges::views::filter(writable) | ranges::views::transform(size));
    CHECK(std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}) == wanted);

    auto maps = p.maps();
    std::uint64_t sum = 0;
    ranges::for_each(ranges::ref_view(maps) | ranges::views::filter(writable) | ranges::views::transform(size),
                     [&](std::uint64_t n) { sum += n; });
    CHECK(sum == wanted);
    CHECK(maps.status().has_value());

    auto zombie = tp::tests::make_zombie();
    auto const dead = tp::process::open(zombie.id());
    auto none = dead.value().maps();
    CHECK(ranges::distance(ranges::ref_view(none) | ranges::views::filter(writable)) == 0);
    REQUIRE_FALSE(none.status().has_value());
    CHECK(none.status().error().code == tp::errc::zombie);
}

TEST_CASE("children and descriptors compose as well")
{
    std::vector<tp::tests::child> children;
    for (int i = 0; i < 4; ++i) children.emplace_back();
    auto const self = tp::process::self();
    REQUIRE(self.has_value());
    auto const pids = collect(self.value().children() | ranges::views::transform([](tp::tgid id) { return id.value; }));
    REQUIRE(pids.size() == children.size());
    for (std::size_t i = 0; i < pids.size(); ++i) CHECK(pids[i] == children[i].pid());
    auto const numbers = collect(self.value().fds() | ranges::views::filter([](tp::open_file const& f) { return f.number < 3; })
                       | ranges::views::transform([](tp::open_file const& f) { return f.number; }));
    CHECK(numbers.size() <= 3);
}
