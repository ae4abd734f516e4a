// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/environ.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::gives;
using entry = pf::environment_entry;

namespace {

[[nodiscard]] constexpr pf::environ of(std::string_view text) { return pf::environ::parse(text).value(); }

constexpr auto usual = "HOME=/\0TERM=linux\0EMPTY=\0"sv;
static_assert(gives(of(usual).entries, {entry{"HOME=/"}, entry{"TERM=linux"}, entry{"EMPTY="}}));
static_assert(of(usual).value_of("HOME") == "/"sv && of(usual).value_of("EMPTY") == ""sv);
static_assert(!of(usual).value_of("TER") && !of(usual).value_of("TERMS") && !of(usual).value_of("") && !of(usual).value_of("HOME=/"));
static_assert(of(usual).ends_with_nul() && !of("HOME=/").ends_with_nul());
static_assert(of("").entries.empty() && !of("").value_of("HOME"));

static_assert(entry{"A=b=c"}.name() == "A" && entry{"A=b=c"}.value() == "b=c"sv);
static_assert(entry{"no sign"}.name() == "no sign" && !entry{"no sign"}.value());
static_assert(entry{"=x"}.name().empty() && entry{"=x"}.value() == "x"sv);
static_assert(entry{""}.name().empty() && !entry{""}.value());

static_assert(of("A=1\0A=2\0"sv).value_of("A") == "1"sv, "the first counts, as for getenv(3)");
static_assert(of("A\0A=2\0"sv).value_of("A") == "2"sv, "an entry without = has no value");
static_assert(of("cut\0A=val"sv).value_of("A") == "val"sv);

static_assert(pf::environ::needs_address_space);

} // namespace

TEST_CASE("environ: entries are bytes, empty ones and those without = are kept")
{
    auto const text = "\0\xff\xfe=\n\0\0setproctitle was here\0A=\t \0"sv;
    CHECK(gives(of(text).entries, {entry{""}, entry{"\xff\xfe=\n"}, entry{""}, entry{"setproctitle was here"}, entry{"A=\t "}}));
    CHECK(of(text).entries.count() == 5);
    CHECK(of(text).value_of("A") == "\t "sv);
}

TEST_CASE("environ: a text cut anywhere is another one; a missing NUL shows it")
{
    tp::tests::check_every_beginning<pf::environ>(usual, [](std::string_view) { return true; });
    for (std::size_t size = 1; size <= usual.size(); ++size) CHECK(of(usual.substr(0, size)).ends_with_nul() == (usual[size - 1] == '\0'));
}

TEST_CASE("environ: its one field has the file's name")
{
    auto const env = of(usual);
    int fields = 0;
    pf::environ::each_field(env, [&](std::string_view key, auto const& entries) {
        ++fields;
        CHECK(key == "environ");
        CHECK(entries.text() == usual);
    });
    CHECK(fields == 1);
}
