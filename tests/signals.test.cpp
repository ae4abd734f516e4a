// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/signals.hpp>

#include <csignal>
#include <string>
#include <string_view>

#include <string.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

[[nodiscard]] constexpr pf::signal_set read(std::string_view text)
{
    tp::text::cursor in{text};
    pf::signal_set set;
    read_value(in, set);
    return set;
}

static_assert(read("0000000000000000").empty());
static_assert(read("0000000000004002").has(SIGINT) && read("0000000000004002").has(SIGTERM));
static_assert(!read("0000000000004002").has(SIGHUP));
static_assert(read("8000000000000001").has(1) && read("8000000000000001").has(64) && !read("8000000000000001").has(63));
static_assert([] {
    int sum = 0;
    for (int const signal : read("8000000000004002")) sum = sum * 100 + signal;
    return sum;
}() == 21564, "SIGINT, SIGTERM, 64");
static_assert(!read("ffffffffffffffff").has(0) && !read("ffffffffffffffff").has(65) && !read("ffffffffffffffff").has(-1));

} // namespace

TEST_CASE("signals: the standard ones have the names of libc")
{
    for (int signal = 1; signal <= 31; ++signal) {
        auto const* const name = sigabbrev_np(signal);
        REQUIRE(name != nullptr);
        CHECK(pf::signal_name(signal) == (signal == SIGIO ? "SIGIO" : "SIG" + std::string{name})); // libc's word is POLL
    }
    CHECK(pf::signal_name(32) == "SIGRTMIN");
    for (int const signal : {-1, 0, 33, 64, 65}) CHECK(pf::signal_name(signal) == "");
}

TEST_CASE("signals: a mask of 17 digits, or none, is an error")
{
    for (auto const text : {"", "\n", "10000000000000000\n", "-1\n"}) {
        tp::text::cursor in{text};
        pf::signal_set set;
        read_value(in, set);
        CHECK_FALSE(in.ok());
    }
}
