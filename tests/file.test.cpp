// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/file.hpp>

#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace tp = taskpeek;
using tp::io::read_mode;

namespace {

struct made_file {
    explicit made_file(std::string const& content) : path{directory.path() + "/file"} { std::ofstream{path} << content; }

    tp::tests::temporary_directory directory;
    std::string path;
};

} // namespace

TEST_CASE("a file is read whole, or reported truncated with what fits")
{
    std::string content;
    for (int i = 0; content.size() < 10000; ++i) content += std::to_string(i) + "\n";
    content.resize(10000);
    made_file const file{content};
    for (auto const mode : {read_mode::at_once, read_mode::to_the_end}) {
        for (auto const size : {10001ul, 10000ul, 20000ul}) {
            std::vector<char> memory(size);
            auto const text = tp::io::read_file(AT_FDCWD, file.path.c_str(), memory, mode, tp::kernel_file::status);
            REQUIRE(text.has_value());
            CHECK(text.value() == content);
        }
        for (auto const size : {9999ul, 1ul, 0ul}) {
            std::vector<char> memory(size);
            auto const text = tp::io::read_file(AT_FDCWD, file.path.c_str(), memory, mode, tp::kernel_file::status);
            REQUIRE_FALSE(text.has_value());
            CHECK(text.error() == tp::error{tp::errc::truncated, tp::kernel_file::status, 0, {}, static_cast<std::uint32_t>(size)});
            CHECK(content.starts_with(std::string_view{memory.data(), size}));
        }
    }
}

TEST_CASE("an empty file is no error, even without memory")
{
    made_file const file{""};
    for (auto const size : {100ul, 0ul}) {
        std::vector<char> memory(size);
        auto const text = tp::io::read_file(AT_FDCWD, file.path.c_str(), memory, read_mode::at_once, tp::kernel_file::status);
        REQUIRE(text.has_value());
        CHECK(text.value().empty());
    }
}

TEST_CASE("a pipe that gives its bytes in pieces is read to the end")
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    auto const path = "/proc/self/fd/" + std::to_string(fds[0]);
    char memory[64];
    REQUIRE(write(fds[1], "12 13 ", 6) == 6);
    close(fds[1]);
    auto const text = tp::io::read_file(AT_FDCWD, path.c_str(), memory, read_mode::to_the_end, tp::kernel_file::children);
    close(fds[0]);
    REQUIRE(text.has_value());
    CHECK(text.value() == "12 13 ");
}

TEST_CASE("a missing file, a directory and a wrong link are told apart")
{
    char memory[64];
    auto const missing = tp::io::read_file(AT_FDCWD, "/nonexistent", memory, read_mode::at_once, tp::kernel_file::stat);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error() == tp::error{tp::errc::vanished, tp::kernel_file::stat, ENOENT, {}, 0});
    auto const directory = tp::io::read_file(AT_FDCWD, "/", memory, read_mode::at_once, tp::kernel_file::stat);
    REQUIRE_FALSE(directory.has_value());
    CHECK(directory.error() == tp::error{tp::errc::os, tp::kernel_file::stat, EISDIR, {}, 0});
    auto const no_link = tp::io::read_link(AT_FDCWD, "/", memory, tp::kernel_file::exe);
    REQUIRE_FALSE(no_link.has_value());
    CHECK(no_link.error() == tp::error{tp::errc::invalid, tp::kernel_file::exe, EINVAL, {}, 0});
}

TEST_CASE("a link's target comes whole or is reported truncated")
{
    tp::tests::temporary_directory const directory;
    auto const link = directory.path() + "/link";
    REQUIRE(symlink("a target\n\xff", link.c_str()) == 0);
    char memory[11];
    auto const whole = tp::io::read_link(AT_FDCWD, link.c_str(), memory, tp::kernel_file::cwd);
    REQUIRE(whole.has_value());
    CHECK(whole.value() == "a target\n\xff");
    auto const cut = tp::io::read_link(AT_FDCWD, link.c_str(), {memory, 10}, tp::kernel_file::cwd);
    REQUIRE_FALSE(cut.has_value());
    CHECK(cut.error() == tp::error{tp::errc::truncated, tp::kernel_file::cwd, 0, {}, 10});
}
