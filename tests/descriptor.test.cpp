// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/descriptor.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include <fcntl.h>

namespace tp = taskpeek;
using tp::io::descriptor;

static_assert(!std::is_copy_constructible_v<descriptor> && !std::is_copy_assignable_v<descriptor>);
static_assert(std::is_nothrow_move_constructible_v<descriptor> && std::is_nothrow_move_assignable_v<descriptor>);
static_assert(!descriptor{}.is_open());

namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

descriptor some_file()
{
    auto opened = tp::io::open(AT_FDCWD, "/dev/null", O_RDONLY, tp::kernel_file::none);
    REQUIRE(opened.has_value());
    return std::move(opened.value());
}

} // namespace

TEST_CASE("a descriptor is closed with its last owner")
{
    int fd;
    {
        auto const owner = some_file();
        fd = owner.get();
        CHECK(owner.is_open());
        CHECK(is_open(fd));
        CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("a move passes the descriptor on and closes what was there")
{
    auto first = some_file();
    auto second = some_file();
    auto const first_fd = first.get();
    auto const second_fd = second.get();
    second = std::move(first);
    CHECK(second.get() == first_fd);
    CHECK_FALSE(first.is_open()); // NOLINT: what a move leaves behind is what is tested
    CHECK(is_open(first_fd));
    CHECK_FALSE(is_open(second_fd));

    auto& same = second;
    second = std::move(same);
    CHECK(second.get() == first_fd);
    CHECK(is_open(first_fd));

    descriptor third{std::move(second)};
    CHECK(third.get() == first_fd);
    CHECK_FALSE(second.is_open()); // NOLINT

    auto const released = third.release();
    CHECK_FALSE(third.is_open());
    CHECK(is_open(released));
    descriptor again{released};
    again.reset();
    CHECK_FALSE(again.is_open());
    CHECK_FALSE(is_open(released));
}

TEST_CASE("a file that cannot be opened says which and why")
{
    tp::task_id const id{tp::tgid{5}, tp::tid{6}};
    auto const missing = tp::io::open(AT_FDCWD, "/nonexistent/file", O_RDONLY, tp::kernel_file::maps, id);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error() == tp::error{tp::errc::vanished, tp::kernel_file::maps, ENOENT, id, 0});

    auto const no_directory = tp::io::open(AT_FDCWD, "/dev/null", O_RDONLY | O_DIRECTORY, tp::kernel_file::proc);
    REQUIRE_FALSE(no_directory.has_value());
    CHECK(no_directory.error() == tp::error{tp::errc::os, tp::kernel_file::proc, ENOTDIR, {}, 0});
}
