// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/cmdline.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::gives;

namespace {

[[nodiscard]] constexpr pf::cmdline of(std::string_view text) { return pf::cmdline::parse(text).value(); }

static_assert(gives(of("ls\0-l\0a b\0"sv).arguments, {"ls"sv, "-l"sv, "a b"sv}) && of("ls\0-l\0a b\0"sv).ends_with_nul());
static_assert(of("ls\0-l\0a b\0"sv).arguments.count() == 3 && !of("ls\0-l\0a b\0"sv).may_be_title());
static_assert(gives(of("sh\0\0-c\0\0"sv).arguments, {"sh"sv, ""sv, "-c"sv, ""sv}), "empty arguments count");
static_assert(gives(of("\0"sv).arguments, {""sv}) && of("\0"sv).arguments.count() == 1, "one empty argument is not none");
static_assert(of("").arguments.empty() && of("").arguments.count() == 0 && !of("").ends_with_nul());
static_assert(gives(of("cut\0off"sv).arguments, {"cut"sv, "off"sv}) && !of("cut\0off"sv).ends_with_nul());

// setproctitle(3): no NUL behind it, or all the rest overwritten with NULs
static_assert(of("nginx: worker process").may_be_title() && !of("nginx: worker process").ends_with_nul());
static_assert(of("sshd: root@pts/0\0\0\0\0"sv).may_be_title() && of("sshd: root@pts/0\0\0\0\0"sv).arguments.count() == 4);
static_assert(!of("nginx\0").may_be_title() && !of("").may_be_title() && !of("\0\0"sv).may_be_title());
static_assert(!of("a b\0c\0"sv).may_be_title() && !of("a b\0\0c\0"sv).may_be_title(), "arguments behind it");
static_assert(!of("a\0b c\0"sv).may_be_title());

static_assert(pf::cmdline::needs_address_space);

} // namespace

TEST_CASE("cmdline: arguments are bytes")
{
    auto const text = "\xff\xfe\0new\nline\0\t \0\\012\0"sv;
    CHECK(gives(of(text).arguments, {"\xff\xfe"sv, "new\nline"sv, "\t "sv, "\\012"sv}));
    CHECK(of(text).arguments.text() == text);
}

TEST_CASE("cmdline: a text cut anywhere is another one; a missing NUL shows it")
{
    auto const whole = "ls\0\0-l\0a b\0"sv;
    tp::tests::check_every_beginning<pf::cmdline>(whole, [](std::string_view) { return true; });
    for (std::size_t size = 1; size <= whole.size(); ++size) CHECK(of(whole.substr(0, size)).ends_with_nul() == (whole[size - 1] == '\0'));
}

TEST_CASE("cmdline: may be walked again, from any place")
{
    auto const line = of("a\0b\0c\0"sv);
    auto first = line.arguments.begin();
    auto const second = ++first;
    auto const was = first++;
    CHECK(*second == "b");
    CHECK(was == second);
    CHECK(*first == "c");
    CHECK(++first == line.arguments.end());
    CHECK(*second == "b");
}

TEST_CASE("cmdline: its one field has the file's name")
{
    auto const line = of("a\0"sv);
    int fields = 0;
    pf::cmdline::each_field(line, [&](std::string_view key, auto const& arguments) {
        ++fields;
        CHECK(key == "cmdline");
        CHECK(arguments.count() == 1);
    });
    CHECK(fields == 1);
}
