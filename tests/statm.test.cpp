// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/statm.hpp>

#include <iterator>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;

namespace {

constexpr auto each_its_own = "1 2 3 4 5 6 7\n"sv;
constexpr pf::statm s = pf::statm::parse(each_its_own).value();
static_assert(s.size == tp::pages{1} && s.resident == tp::pages{2} && s.shared == tp::pages{3} && s.text == tp::pages{4});
static_assert(s.lib == tp::pages{5} && s.data == tp::pages{6} && s.dt == tp::pages{7});

constexpr pf::statm process_6_1 = pf::statm::parse("565 420 401 388 0 77 0\n").value();
static_assert(process_6_1.size == tp::pages{565} && process_6_1.data == tp::pages{77});
static_assert(to_bytes(process_6_1.resident, tp::system_info{.page_size = tp::bytes{65536}}) == tp::bytes{420 * 65536});

constexpr pf::statm kernel_thread = pf::statm::parse("0 0 0 0 0 0 0\n").value();
static_assert(kernel_thread.size == tp::pages{0});

constexpr auto largest = "18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615 "
                         "18446744073709551615 18446744073709551615\n"sv;
static_assert(pf::statm::parse(largest).value().dt == tp::pages{UINT64_MAX});

} // namespace

TEST_CASE("statm: a text cut anywhere is truncated")
{
    tp::tests::check_every_beginning<pf::statm>(each_its_own);
    tp::tests::check_every_beginning<pf::statm>(largest);
    CHECK(largest.size() < pf::statm::typical_size);
}

TEST_CASE("statm: damage anywhere is survived") { tp::tests::check_every_damage<pf::statm>(each_its_own); }

TEST_CASE("statm: numbers of kernels to come are passed over")
{
    auto const decoded = pf::statm::parse("1 2 3 4 5 6 7 8 nine\n");
    REQUIRE(decoded);
    CHECK(decoded.value().dt == tp::pages{7});
}

TEST_CASE("statm: other texts are malformed")
{
    tp::tests::check_malformed<pf::statm>({
        {"\n", 0}, {" 1 2 3 4 5 6 7\n", 0}, {"1 2 3 4 5 6\n", 11}, {"1  2 3 4 5 6 7\n", 2}, {"1 2 3 4 5 6 7x\n", 13},
        {"1 2 3 -4 5 6 7\n", 6}, {"1 2 3 4 5 6 0x7\n", 13}, {"18446744073709551616 2 3 4 5 6 7\n", 19},
    });
}

TEST_CASE("statm: each field is listed once, in the kernel's order")
{
    constexpr std::string_view names[] = {"size", "resident", "shared", "text", "lib", "data", "dt"}; // proc(5)
    std::size_t n = 0;
    pf::statm::each_field(s, [&](std::string_view name, tp::pages field) {
        REQUIRE(n < std::size(names));
        CHECK(name == names[n]);
        CHECK(field == tp::pages{++n});
    });
    CHECK(n == std::size(names));
}
