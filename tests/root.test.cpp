// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/root.hpp>

#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <type_traits>

#include <sys/stat.h>

namespace tp = taskpeek;

static_assert(std::is_trivially_copyable_v<tp::proc_root>);
static_assert(std::is_convertible_v<char const*, tp::proc_root>);
static_assert(std::is_convertible_v<std::string const&, tp::proc_root>);
static_assert(std::is_convertible_v<std::filesystem::path&, tp::proc_root>);
static_assert(!std::is_convertible_v<std::string, tp::proc_root>, "a temporary would be gone when the root is opened");
static_assert(!std::is_convertible_v<int, tp::proc_root>, "a number is a descriptor only if one says so");

namespace {

bool is_same_directory(int fd, char const* path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

} // namespace

TEST_CASE("a root is /proc, a path, or an open directory that stays the caller's")
{
    auto const standard = tp::proc_root{}.open();
    REQUIRE(standard.has_value());
    CHECK(is_same_directory(standard.value().get(), "/proc"));

    tp::tests::temporary_directory const directory;
    auto const named = tp::proc_root{directory.path().c_str()}.open();
    REQUIRE(named.has_value());
    CHECK(is_same_directory(named.value().get(), directory.path().c_str()));

    {
        auto const again = tp::proc_root{named.value().get()}.open();
        REQUIRE(again.has_value());
        CHECK(again.value().get() != named.value().get());
        CHECK(is_same_directory(again.value().get(), directory.path().c_str()));
    }
    CHECK(is_same_directory(named.value().get(), directory.path().c_str()));
}

TEST_CASE("a root that is none says so")
{
    auto const missing = tp::proc_root{"/nonexistent"}.open();
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error() == tp::error{tp::errc::vanished, tp::kernel_file::proc, ENOENT, {}, 0});
    auto const message = missing.error().message();
    CHECK(message.view().ends_with("task list is not there (ENOENT)"));
    auto const file = tp::proc_root{"/dev/null"}.open();
    REQUIRE_FALSE(file.has_value());
    CHECK(file.error().code == tp::errc::os);
    CHECK(file.error().os_error == ENOTDIR);
}
