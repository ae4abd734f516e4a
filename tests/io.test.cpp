// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/io.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;

namespace {

constexpr auto all = "rchar: 71494\nwchar: 12888\nsyscr: 219\nsyscw: 47\nread_bytes: 53248\nwrite_bytes: 4096\ncancelled_write_bytes: 8192\n"sv;
constexpr pf::io s = pf::io::parse(all).value();
static_assert(s.rchar == tp::bytes{71494});
static_assert(s.wchar == tp::bytes{12888});
static_assert(s.syscr == 219u);
static_assert(s.syscw == 47u);
static_assert(s.read_bytes == tp::bytes{53248});
static_assert(s.write_bytes == tp::bytes{4096});
static_assert(s.cancelled_write_bytes == tp::bytes{8192}, "may exceed write_bytes");

static_assert(pf::io::parse("rchar: 18446744073709551615\n").value().rchar == tp::bytes{UINT64_MAX});
static_assert(!pf::io::parse("rchar: 1\n").value().wchar);

} // namespace

TEST_CASE("io: a text cut within a line is truncated; behind one it is a text with fewer keys")
{
    tp::tests::check_every_beginning<pf::io>(all, tp::tests::ends_with_a_line);
}

TEST_CASE("io: damage anywhere is survived") { tp::tests::check_every_damage<pf::io>(all); }

TEST_CASE("io: keys in any order, unknown lines between")
{
    auto const decoded = pf::io::parse("future_bytes: 9\nwrite_bytes: 2\nno colon\nwrite: 3\nrchar: 1 of many\n\n");
    REQUIRE(decoded);
    CHECK(decoded.value().write_bytes == tp::bytes{2});
    CHECK(decoded.value().rchar == tp::bytes{1});
    CHECK_FALSE(decoded.value().cancelled_write_bytes);
}

TEST_CASE("io: a known key with a value of another form is malformed")
{
    tp::tests::check_malformed<pf::io>({
        {"rchar: \n", 7}, {"rchar: x\n", 7}, {"rchar: -1\n", 7}, {"rchar: 1\nsyscw: 18446744073709551616\n", 35},
    });
}

TEST_CASE("io: each key is listed once, in the kernel's order")
{
    auto rest = all;
    pf::io::each_field(s, [&](std::string_view key, auto const& field) {
        CHECK(rest.substr(0, rest.find(':')) == key);
        CHECK(field.has_value());
        rest.remove_prefix(rest.find('\n') + 1);
    });
    CHECK(rest.empty());
}
