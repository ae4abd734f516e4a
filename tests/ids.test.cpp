// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/ids.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>

#include <doctest/doctest.h>

namespace tp = taskpeek;

namespace {

template <class A, class B>
concept comparable = requires(A a, B b) { a == b; };
template <class A, class B>
concept ordered = requires(A a, B b) { a < b; };

// Ids are made on purpose, and mix with nothing.
static_assert(!std::is_convertible_v<std::int32_t, tp::tid>);
static_assert(!std::is_convertible_v<tp::tid, std::int32_t>);
static_assert(!std::is_constructible_v<tp::tgid, tp::tid>);
static_assert(!std::is_constructible_v<tp::uid, tp::gid>);
static_assert(comparable<tp::tid, tp::tid> && ordered<tp::tid, tp::tid>);
static_assert(!comparable<tp::tid, tp::tgid> && !ordered<tp::tid, tp::tgid>);
static_assert(!comparable<tp::tgid, tp::pgid> && !comparable<tp::pgid, tp::sid> && !comparable<tp::uid, tp::gid>);
static_assert(!comparable<tp::tid, int>);

// They cost what a number costs.
static_assert(sizeof(tp::tid) == 4 && std::is_trivially_copyable_v<tp::tid>);
static_assert(sizeof(tp::task_id) == 8 && std::is_trivially_copyable_v<tp::task_id>);

// pid_t is signed, uid_t is not.
static_assert(std::is_same_v<decltype(tp::tid::value), std::int32_t>);
static_assert(tp::uid{std::numeric_limits<std::uint32_t>::max()} > tp::uid{0});
static_assert(tp::pgid{-1} < tp::pgid{0});

static_assert(tp::tid{}.value == 0);
static_assert(tp::leader_of(tp::tgid{7}) == tp::task_id{tp::tgid{7}, tp::tid{7}});
static_assert(tp::leader_of(tp::tgid{7}).is_leader());
static_assert(!tp::task_id{tp::tgid{7}, tp::tid{8}}.is_leader());

} // namespace

TEST_CASE("ids: tasks sort by process first, then by thread")
{
    tp::task_id const a{tp::tgid{1}, tp::tid{9}}, b{tp::tgid{2}, tp::tid{3}}, c{tp::tgid{2}, tp::tid{4}};
    CHECK(a < b);
    CHECK(b < c);
    CHECK(c == c);
    CHECK(b != c);
}
