// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/wchan.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

static_assert(pf::wchan::parse("do_wait").value().symbol() == "do_wait");
static_assert(!pf::wchan::parse("do_wait").value().location());
static_assert(pf::wchan::parse("0").value().symbol().empty() && pf::wchan::parse("0").value().text == "0");
static_assert(!pf::wchan::parse("0").value().location());

// Up to Linux 4.3.
static_assert(*pf::wchan::parse("18446744071579274752").value().location() == tp::address{0xffffffff81068e00});
static_assert(pf::wchan::parse("18446744071579274752").value().symbol().empty());
static_assert(pf::wchan::parse("").value().symbol().empty() && !pf::wchan::parse("").value().location());

} // namespace

TEST_CASE("wchan: what is neither symbol nor number tells nothing")
{
    for (auto const text : {"18446744073709551616", "12ab", "1 2"}) {
        auto const decoded = pf::wchan::parse(text);
        REQUIRE(decoded);
        CHECK_FALSE(decoded.value().location());
        CHECK(decoded.value().symbol() == "");
        CHECK(decoded.value().text == text);
    }
}

TEST_CASE("wchan: a text cut anywhere is another text")
{
    tp::tests::check_every_beginning<pf::wchan>("poll_schedule_timeout.constprop.0", [](std::string_view) { return true; });
}

TEST_CASE("wchan: a symbol as long as they may be fits the typical size")
{
    std::string const longest(511, 'x'); // KSYM_NAME_LEN of 6.1, its NUL left out
    CHECK(pf::wchan::parse(longest).value().symbol() == longest);
    CHECK(longest.size() < pf::wchan::typical_size);
}

TEST_CASE("wchan: its one field has the file's name")
{
    auto const wchan = pf::wchan::parse("ep_poll").value();
    int fields = 0;
    pf::wchan::each_field(wchan, [&](std::string_view key, std::string_view text) {
        ++fields;
        CHECK(key == "wchan");
        CHECK(text == "ep_poll");
    });
    CHECK(fields == 1);
}
