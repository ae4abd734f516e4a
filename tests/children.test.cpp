// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/children.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using tp::tests::gives;

namespace {

constexpr pf::children two = pf::children::parse("93 94 ").value();
static_assert(gives(two.ids, {tp::tgid{93}, tp::tgid{94}}));
static_assert(pf::children::parse("").value().ids.empty());
static_assert(gives(pf::children::parse("2147483647 ").value().ids, {tp::tgid{INT32_MAX}}));

} // namespace

TEST_CASE("children: a text cut in a number is truncated; behind a blank it is a shorter list")
{
    auto const is_a_list = [](std::string_view beginning) { return beginning.empty() || beginning.ends_with(' '); };
    tp::tests::check_every_beginning<pf::children>("7 93 4194303 ", is_a_list);
}

TEST_CASE("children: damage anywhere is survived") { tp::tests::check_every_damage<pf::children>("7 93 4194303 "); }

TEST_CASE("children: other texts are malformed")
{
    tp::tests::check_malformed<pf::children>({
        {" 1 ", 0}, {"1  2 ", 2}, {"1\n2 ", 1}, {"1 x ", 2}, {"1 2147483648 ", 2}, {"1,2 ", 1}, {"\n", 0}, {"18446744073709551616 ", 19},
    });
}

TEST_CASE("children: tens of thousands")
{
    std::string text;
    for (int i = 1; i <= 50000; ++i) text += std::to_string(i) + ' ';
    auto const decoded = pf::children::parse(text);
    REQUIRE(decoded);
    int n = 0, wrong = 0;
    for (auto const id : decoded.value().ids) wrong += id.value != ++n;
    CHECK(n == 50000);
    CHECK(wrong == 0);
}

TEST_CASE("children: its one field has the file's name")
{
    int fields = 0;
    pf::children::each_field(two, [&](std::string_view key, auto const& ids) {
        ++fields;
        CHECK(key == "children");
        CHECK(ids.text() == "93 94 ");
    });
    CHECK(fields == 1);
}
