// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/set_bits.hpp>

#include <doctest/doctest.h>

#include <vector>

#include <range/v3/iterator/concepts.hpp>

namespace pf = taskpeek::procfs;

namespace {

using from_one = pf::set_bits<int, 1>;

static_assert(ranges::forward_iterator<from_one::iterator> && ranges::sentinel_for<from_one::sentinel, from_one::iterator>);
static_assert(from_one::iterator{0} == from_one::sentinel{});
static_assert(*from_one::iterator{1} == 1 && *from_one::iterator{std::uint64_t{1} << 63} == 64);
static_assert(*pf::set_bits<unsigned>::iterator{8} == 3);

} // namespace

TEST_CASE("set_bits: every mask of one or two bits, and all of them")
{
    for (int a = 0; a < 64; ++a) {
        for (int b = a; b < 64; ++b) {
            std::vector<int> found;
            for (from_one::iterator i{std::uint64_t{1} << a | std::uint64_t{1} << b}; i != from_one::sentinel{}; i++) found.push_back(*i);
            CHECK(found == (a == b ? std::vector{a + 1} : std::vector{a + 1, b + 1}));
        }
    }
    int count = 0, sum = 0;
    for (from_one::iterator i{~std::uint64_t{0}}; i != from_one::sentinel{}; ++i) {
        ++count;
        sum += *i;
    }
    CHECK(count == 64);
    CHECK(sum == 64 * 65 / 2);
}
