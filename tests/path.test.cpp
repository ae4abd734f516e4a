// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/path.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

using taskpeek::io::short_path;

namespace {

constexpr bool prints(short_path const& path, std::string_view wanted) { return path.c_str() == wanted; }

static_assert(prints(short_path{}, ""));
static_assert(prints(short_path{} / "stat", "stat"));
static_assert(prints(short_path{} / 0 / "stat", "0/stat"));
static_assert(prints(short_path{} / 1234 / "task" / 1240 / "stat", "1234/task/1240/stat"));
static_assert(prints(short_path{} / INT32_MAX / "task" / INT32_MAX / "oom_score_adj", "2147483647/task/2147483647/oom_score_adj"));
static_assert(prints(short_path{} / -1, "0"), "no task has a number below 0, nor the number 0");

} // namespace

TEST_CASE("a path made of a prefix leaves the prefix as it is")
{
    short_path prefix;
    prefix / 12;
    auto path = prefix;
    path / "fd" / 3;
    CHECK(std::string_view{prefix.c_str()} == "12");
    CHECK(std::string_view{path.c_str()} == "12/fd/3");
}

TEST_CASE("a path that is too long is cut, never written behind its end")
{
    short_path path;
    for (int i = 0; i < 20; ++i) path / "smaps_rollup";
    CHECK(std::string_view{path.c_str()}.size() == 63);
    path / "x" / 5;
    CHECK(std::string_view{path.c_str()}.size() == 63);
    CHECK(std::string{path.c_str()}.starts_with("smaps_rollup/smaps_rollup/"));
}
