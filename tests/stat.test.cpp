// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/stat.hpp>

#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::check_every_beginning;
using tp::tests::check_every_damage;
using tp::tests::check_malformed;
using tp::tests::decode_error;

namespace {

// Each field has a value of its own, so that no two can be mixed up.
constexpr auto each_field_its_own =
    "1 (two) T 4 5 6 7 8 9 10 11 12 13 14 15 -16 -17 -18 -19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 "
    "38 39 40 41 42 43 -44 45 46 47 48 49 50 51 52\n"sv;

constexpr pf::stat s = pf::stat::parse(each_field_its_own).value();
static_assert(s.pid == tp::tid{1});
static_assert(s.comm == "two");
static_assert(s.state == pf::task_state::stopped);
static_assert(s.ppid == tp::tgid{4});
static_assert(s.pgrp == tp::pgid{5});
static_assert(s.session == tp::sid{6});
static_assert(s.tty_nr == 7);
static_assert(s.tpgid == tp::pgid{8});
static_assert(s.flags.bits == 9);
static_assert(s.minflt == 10);
static_assert(s.cminflt == 11);
static_assert(s.majflt == 12);
static_assert(s.cmajflt == 13);
static_assert(s.utime == tp::clock_ticks{14});
static_assert(s.stime == tp::clock_ticks{15});
static_assert(s.cutime == tp::signed_clock_ticks{-16});
static_assert(s.cstime == tp::signed_clock_ticks{-17});
static_assert(s.priority == -18);
static_assert(s.nice == -19);
static_assert(s.num_threads == 20);
static_assert(s.itrealvalue == 21);
static_assert(s.starttime == tp::clock_ticks{22});
static_assert(s.vsize == tp::bytes{23});
static_assert(s.rss == tp::pages{24});
static_assert(s.rsslim.value() == tp::bytes{25});
static_assert(*s.startcode == tp::address{26});
static_assert(*s.endcode == tp::address{27});
static_assert(*s.startstack == tp::address{28});
static_assert(*s.kstkesp == tp::address{29});
static_assert(*s.kstkeip == tp::address{30});
static_assert(s.signal == 31);
static_assert(s.blocked == 32);
static_assert(s.sigignore == 33);
static_assert(s.sigcatch == 34);
static_assert(s.wchan == 35);
static_assert(s.nswap == 36);
static_assert(s.cnswap == 37);
static_assert(s.exit_signal == 38);
static_assert(s.processor == 39);
static_assert(s.rt_priority == 40);
static_assert(s.policy.number == 41);
static_assert(s.delayacct_blkio_ticks == tp::clock_ticks{42});
static_assert(s.guest_time == tp::clock_ticks{43});
static_assert(s.cguest_time == tp::signed_clock_ticks{-44});
static_assert(*s.start_data == tp::address{45});
static_assert(*s.end_data == tp::address{46});
static_assert(*s.start_brk == tp::address{47});
static_assert(*s.arg_start == tp::address{48});
static_assert(*s.arg_end == tp::address{49});
static_assert(*s.env_start == tp::address{50});
static_assert(*s.env_end == tp::address{51});
static_assert(s.exit_code == 52);

// Every field at the end of its type, as far as the kernel's own type of it goes.
constexpr auto extremes =
    "2147483647 () t 2147483647 -1 -1 -2147483648 -1 4294967295 18446744073709551615 18446744073709551615 18446744073709551615 "
    "18446744073709551615 18446744073709551615 18446744073709551615 -9223372036854775808 9223372036854775807 -100 -20 2147483647 0 "
    "18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615 1 1 0 0 0 2147483647 2147483647 2147483647 "
    "2147483647 18446744073709551615 0 0 -1 -1 4294967295 4294967295 18446744073709551615 18446744073709551615 -9223372036854775808 "
    "0 0 0 0 0 0 18446744073709551615 -2147483648\n"sv;

constexpr pf::stat extreme = pf::stat::parse(extremes).value();
static_assert(extreme.pid.value == INT32_MAX && extreme.ppid.value == INT32_MAX);
static_assert(extreme.comm.empty());
static_assert(extreme.pgrp == tp::pgid{-1} && extreme.session == tp::sid{-1} && extreme.tpgid == tp::pgid{-1});
static_assert(extreme.tty_nr == INT32_MIN);
static_assert(extreme.flags.bits == UINT32_MAX);
static_assert(extreme.utime == tp::clock_ticks{UINT64_MAX});
static_assert(extreme.cutime.count == INT64_MIN && extreme.cstime.count == INT64_MAX);
static_assert(extreme.rss == tp::pages{UINT64_MAX}, "racing counters are handed on as printed");
static_assert(extreme.rsslim.is_unlimited());
static_assert(!extreme.startcode && extreme.startcode.raw() == 1, "1: not told");
static_assert(!extreme.endcode && !extreme.startstack && !extreme.start_data && extreme.start_data.raw() == 0, "0: not told");
static_assert(extreme.wchan == UINT64_MAX);
static_assert(extreme.exit_signal == -1 && extreme.processor == -1);
static_assert(extreme.exit_code == INT32_MIN);

// Linux 6.1, x86-64.
constexpr auto zombie_6_1 =
    "94 (specimen) Z 83 0 0 0 -1 4227148 17 0 0 0 0 0 0 0 20 0 1 0 280 0 0 18446744073709551615 0 0 0 0 0 0 0 6 0 1 0 0 17 0 0 0 0 "
    "0 0 0 0 0 0 0 0 0 768\n"sv;
constexpr auto kernel_thread_6_1 =
    "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 2 0 0 20 0 1 0 71 0 0 18446744073709551615 0 0 0 0 0 0 0 214748364"
    "7 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"sv;
constexpr auto process_6_1 =
    "83 (specimen) S 1 0 0 0 -1 4194304 670 0 0 0 1 3 0 0 20 0 9 0 274 13250560 1776 18446744073709551615 4198400 4767137 "
    "140737092362704 0 0 0 0 6 0 0 0 0 17 0 0 0 0 0 0 4941424 4965136 761626624 140737092370362 140737092370372 140737092370372 "
    "140737092370414 0\n"sv;

static_assert(pf::stat::parse(zombie_6_1).value().state == pf::task_state::zombie);
static_assert(pf::stat::parse(zombie_6_1).value().exit_code == 768);
static_assert(!pf::stat::parse(zombie_6_1).value().is_kernel_thread());
static_assert(pf::stat::parse(kernel_thread_6_1).value().is_kernel_thread());
static_assert(pf::stat::parse(process_6_1).value().num_threads == 9);
static_assert(*pf::stat::parse(process_6_1).value().env_end == tp::address{140737092370414});

[[nodiscard]] std::string with_comm(std::string_view comm)
{
    return "87 (" + std::string{comm} + std::string{process_6_1.substr(process_6_1.find(')'))};
}

[[nodiscard]] bool same(pf::stat const& a, pf::stat const& b)
{
    bool all = true;
    int i = 0;
    pf::stat::each_field(a, [&](char const*, auto const& left) {
        int j = 0;
        pf::stat::each_field(b, [&](char const*, auto const& right) {
            if constexpr (std::is_same_v<decltype(left), decltype(right)>) all = all && (i != j || left == right);
            ++j;
        });
        ++i;
    });
    return all;
}

} // namespace

TEST_CASE("stat: a name may hold anything")
{
    for (auto const comm : {
             "a) R 1 (b"sv, ")"sv, "))))"sv, "("sv, ") Z 1 2"sv, ""sv, " "sv, "a  b "sv, "x:y\tz"sv, "new\nline"sv, "\n"sv, ") S\n"sv, "\xff\xfe"sv, "\0"sv,
             "kworker/u64:12+events_unbound-and-a-name-as-long-as-they-may-be-"sv}) {
        auto const text = with_comm(comm);
        CAPTURE(comm);
        auto const decoded = pf::stat::parse(text);
        REQUIRE(decoded);
        CHECK(decoded.value().comm == comm);
        CHECK(decoded.value().state == pf::task_state::sleeping);
        CHECK(decoded.value().exit_code == 0);
    }
}

TEST_CASE("stat: a text cut anywhere is truncated")
{
    for (auto const text : {each_field_its_own, extremes, zombie_6_1, kernel_thread_6_1, process_6_1})
        check_every_beginning<pf::stat>(text);
}

TEST_CASE("stat: damage anywhere is survived, and errors stay within the text")
{
    check_every_damage<pf::stat>(each_field_its_own);
    check_every_damage<pf::stat>(with_comm("a) R 1 (b"));
}

TEST_CASE("stat: read at once or field by field, a line is the same")
{
    auto const agree = [](std::string_view text) {
        return tp::tests::decode_exactly<pf::stat>(text, [&](tp::result<pf::stat> const& at_once) {
            tp::result<pf::stat> carefully{tp::in_place<pf::stat>};
            pf::detail::read_carefully(text, carefully);
            if (at_once.has_value() != carefully.has_value()) return false;
            if (at_once) return same(at_once.value(), carefully.value());
            return at_once.error().code == carefully.error().code && at_once.error().offset == carefully.error().offset;
        });
    };
    for (auto const whole : {each_field_its_own, extremes, zombie_6_1, kernel_thread_6_1, process_6_1}) {
        CHECK(agree(whole));
        std::string text{whole};
        for (std::size_t i = 0; i < text.size(); ++i) {
            auto const was = text[i];
            for (char const c : {'\0', '\n', ' ', '\t', '-', '0', '9', ')', '(', '/', ':', '\xb0', '\xff'}) {
                text[i] = c;
                CAPTURE(text);
                REQUIRE(agree(text));
            }
            text[i] = was;
            REQUIRE(agree(text.substr(0, i) + text.substr(i + 1)));
            REQUIRE(agree(text.substr(0, i) + " " + text.substr(i)));
            REQUIRE(agree(text.substr(0, i) + "9" + text.substr(i)));
        }
    }
}

TEST_CASE("stat: fields of kernels to come are passed over")
{
    auto text = std::string{each_field_its_own};
    text.insert(text.size() - 1, " 53 0x54 new");
    auto const decoded = pf::stat::parse(text);
    REQUIRE(decoded);
    CHECK(decoded.value().exit_code == 52);
}

TEST_CASE("stat: a state letter of a kernel to come is kept")
{
    auto text = std::string{each_field_its_own};
    text[text.find(" T ") + 1] = 'Q';
    auto const decoded = pf::stat::parse(text);
    REQUIRE(decoded);
    CHECK(decoded.value().state.letter == 'Q');
    CHECK(decoded.value().state.name().empty());
}

TEST_CASE("stat: a number past its type, or none, is malformed where it stands")
{
    struct {
        std::string_view good, bad;
    } const cases[] = {
        {"1 (two)", "2147483648 (two)"},             // pid
        {" 4 5 ", " -2147483649 5 "},                // ppid
        {" 9 10 ", " 4294967296 10 "},               // flags
        {" 10 11 ", " 18446744073709551616 11 "},    // minflt
        {" 14 15 ", " -1 15 "},                      // utime
        {" -16 -17 ", " -9223372036854775809 -17 "}, // cutime
        {" -16 -17 ", " 9223372036854775808 -17 "},  // cutime
        {" 40 41 ", " 99999999999999999999999 41 "}, // rt_priority
        {" 51 52\n", " 51 2147483648\n"},            // exit_code
        {" 51 52\n", " 51 52x\n"},                   // exit_code
    };
    for (auto const& [good, bad] : cases) {
        auto text = std::string{each_field_its_own};
        auto const at = text.find(good);
        REQUIRE(at != std::string::npos);
        text.replace(at, good.size(), bad);
        CAPTURE(text);
        auto const found = decode_error<pf::stat>(text);
        CHECK(found.code == tp::errc::malformed);
        CHECK(found.offset >= at);
        CHECK(found.offset <= at + bad.size());
    }
}

TEST_CASE("stat: other texts are malformed")
{
    check_malformed<pf::stat>({
        {"\n", 0},
        {"x (two) T\n", 0},
        {"1 two T 4\n", 2},
        {"1 (two)\n", 7},
        {"1 (two) \n", 8},
        {"1 (two) T\n", 9},
        {"1 (two) T  4\n", 10},
        {"1 (two) T 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44\n", 126},
    });
}

TEST_CASE("stat: each field is listed once, in the kernel's order")
{
    // proc(5), "/proc/pid/stat"
    constexpr std::string_view names[] = {
        "pid", "comm", "state", "ppid", "pgrp", "session", "tty_nr", "tpgid", "flags", "minflt", "cminflt", "majflt", "cmajflt", "utime",
        "stime", "cutime", "cstime", "priority", "nice", "num_threads", "itrealvalue", "starttime", "vsize", "rss", "rsslim", "startcode",
        "endcode", "startstack", "kstkesp", "kstkeip", "signal", "blocked", "sigignore", "sigcatch", "wchan", "nswap", "cnswap",
        "exit_signal", "processor", "rt_priority", "policy", "delayacct_blkio_ticks", "guest_time", "cguest_time", "start_data",
        "end_data", "start_brk", "arg_start", "arg_end", "env_start", "env_end", "exit_code"};
    static_assert(std::size(names) == 52);
    std::size_t n = 0;
    pf::stat::each_field(s, [&](std::string_view name, auto const&) {
        REQUIRE(n < std::size(names));
        CHECK(name == names[n]);
        ++n;
    });
    CHECK(n == std::size(names));
}
