// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/fdinfo.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::ends_with_a_line;
using tp::tests::gives;
using target = pf::epoll_target;

namespace {

[[nodiscard]] constexpr pf::fdinfo of(std::string_view text) { return pf::fdinfo::parse(text).value(); }

// Linux 6.18.
constexpr auto eventfd =
    "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t18\neventfd-count:               1f\neventfd-id: 2\neventfd-semaphore: 1\n"sv;
constexpr pf::fdinfo e = of(eventfd);
static_assert(e.pos == 0 && e.flags == pf::open_flags{02000002} && e.mnt_id == 17 && e.ino == 18u);
static_assert(e.eventfd_count == pf::eventfd_counter{0x1f} && e.eventfd_id == 2 && e.eventfd_semaphore == true && e.epoll_targets.empty());
static_assert(e.flags->readable() && e.flags->writable());
static_assert(!pf::open_flags{01}.readable() && pf::open_flags{01}.writable());
static_assert(pf::open_flags{0100000}.readable() && !pf::open_flags{0100000}.writable());

constexpr auto epoll = "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t18\n"
                       "tfd:        3 events:       1b data:     7fe100000003  pos:0 ino:12 sdev:10\n"
                       "tfd:       14 events: 8000001f data: ffffffffffffffff  pos:-1 ino:ffffffffffffffff sdev:800001\n"sv;
static_assert(gives(of(epoll).epoll_targets,
                    {target{3, 0x1b, 0x7fe100000003, 0, 0x12, 0x10}, target{14, 0x8000001f, UINT64_MAX, -1, UINT64_MAX, 0x800001}}));
static_assert(of(epoll).epoll_targets.count() == 2 && of(epoll).ino == 18u && !of(epoll).eventfd_count);

// Linux 3.10.
constexpr auto epoll_3_10 = "pos:\t0\nflags:\t02000002\ntfd:        5 events:       19 data:                5\n"sv;
static_assert(gives(of(epoll_3_10).epoll_targets, {target{5, 0x19, 5, {}, {}, {}}}));
static_assert(!of(epoll_3_10).mnt_id && !of(epoll_3_10).ino);

constexpr auto locked_file = "pos:\t-1\nflags:\t0102002\nmnt_id:\t27\nino:\t10952705\nlock:\t1: FLOCK  ADVISORY  WRITE 5401 fe:00:10952705 0 EOF\n"sv;
static_assert(of(locked_file).pos == -1 && of(locked_file).ino == 10952705u && of(locked_file).epoll_targets.empty());

} // namespace

TEST_CASE("fdinfo: a text cut within a line is truncated; behind one it is a text with fewer keys")
{
    for (auto const text : {eventfd, epoll, epoll_3_10, locked_file}) tp::tests::check_every_beginning<pf::fdinfo>(text, ends_with_a_line);
}

TEST_CASE("fdinfo: damage anywhere is survived")
{
    tp::tests::check_every_damage<pf::fdinfo>(eventfd);
    tp::tests::check_every_damage<pf::fdinfo>(epoll);
}

TEST_CASE("fdinfo: what other kinds of descriptors add is skipped")
{
    for (auto const more : {
             "sigmask:\t0000000000000200\n"sv,
             "inotify wd:3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d\n"sv,
             "fanotify flags:0 event-flags:8000\n"sv,
             "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (0, 0)\nit_interval: (0, 0)\n"sv,
             "Pid:\t5401\nNSpid:\t5401\n"sv,
             "SqMask:\t0x3\nPollList:\n  op=6, task_works=0\nCqOverflowList:\n"sv,
             "scm_fds: 0\n"sv,
             "no colon\n\n"sv}) {
        auto const text = std::string{epoll.substr(0, epoll.find("tfd:"))} + std::string{more};
        CAPTURE(more);
        auto const decoded = pf::fdinfo::parse(text);
        REQUIRE(decoded);
        CHECK(decoded.value().pos == 0);
        CHECK(decoded.value().flags == pf::open_flags{2});
        CHECK(decoded.value().mnt_id == 17);
        CHECK(decoded.value().ino == 18u);
        CHECK(decoded.value().epoll_targets.empty());
    }
}

TEST_CASE("fdinfo: rows of epoll may stand between other lines, and be longer in kernels to come")
{
    auto const decoded = pf::fdinfo::parse("tfd: 1 events: 2 data: 3\nfuture: 1\ntfd: 4 events: 5 data: 6  pos:7 ino:8 sdev:9 more:10\npos:\t11\n");
    REQUIRE(decoded);
    CHECK(gives(decoded.value().epoll_targets, {target{1, 2, 3, {}, {}, {}}, target{4, 5, 6, 7, 8, 9}}));
    CHECK(decoded.value().pos == 11);
}

TEST_CASE("fdinfo: a known key with a value of another form is malformed")
{
    tp::tests::check_malformed<pf::fdinfo>({
        {"pos:\tx\n", 5},
        {"pos:\t9223372036854775808\n", 5},
        {"flags:\t08\n", 8},
        {"flags:\t9\n", 7},
        {"flags:\t040000000000\n", 7},
        {"ino:\t-1\n", 5},
        {"eventfd-count: 10000000000000000\n", 31},
        {"eventfd-semaphore: 2\n", 19},
        {"tfd: x\n", 5},
        {"tfd: 1\n", 6},
        {"tfd: 1 events: 2\n", 16},
        {"tfd: 1 events: 100000000 data: 3\n", 15},
        {"tfd: 1 events: 2 data: 3 pos:1\n", 30},
        {"tfd: 1 events: 2 data: 3 pos:1 ino:2 sdev:\n", 42},
        {"pos:\t1\ntfd: 1 events: 2 data: g\n", 30},
    });
}

TEST_CASE("fdinfo: each key is listed once, in the kernel's order")
{
    std::string keys;
    pf::fdinfo::each_field(e, [&](std::string_view key, auto const&) { (keys += key) += ' '; });
    CHECK(keys == "pos flags mnt_id ino eventfd-count eventfd-id eventfd-semaphore tfd ");
}
