// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/system.hpp>

#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

namespace tp = taskpeek;

namespace {

/// The tree of a machine with one process, of a 32-bit kernel that ticks 1000 times a second.
void make_tree(std::string const& root, std::string const& system_stat)
{
    std::filesystem::create_directories(root + "/7");
    std::filesystem::create_directories(root + "/8");
    std::ofstream{root + "/7/auxv"}; // a kernel thread
    std::uint32_t const words[] = {6, 16384, 17, 1000, 4, 32, 0, 0};
    std::ofstream{root + "/8/auxv"}.write(reinterpret_cast<char const*>(words), sizeof words);
    std::ofstream{root + "/stat"} << system_stat;
}

} // namespace

TEST_CASE("this machine's numbers are those of sysconf(3) and /proc/stat")
{
    errno = 42;
    auto const info = tp::read_system_info();
    CHECK(errno == 42);
    REQUIRE(info.has_value());
    CHECK(info.value().page_size.count == static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
    CHECK(info.value().ticks_per_second == static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
    CHECK(info.value().word_size == sizeof(void*));
    std::ifstream stat{"/proc/stat"};
    std::string word;
    while (stat >> word && word != "btime") {}
    std::uint64_t btime = 0;
    stat >> btime;
    REQUIRE(info.value().boot_time.has_value());
    auto const told = info.value().boot_time->count;
    CHECK(told + 1 >= btime); // the kernel computes it anew each time, from clocks that are being adjusted
    CHECK(told <= btime + 1);
}

TEST_CASE("another machine's numbers come from its own tree")
{
    tp::tests::temporary_directory const tree;
    make_tree(tree.path(), "cpu 1 2 3\nctxt 5\nbtime 1234567890\nprocesses 9\n");
    auto const info = tp::read_system_info(tree.path().c_str());
    REQUIRE(info.has_value());
    CHECK(info.value().page_size.count == 16384);
    CHECK(info.value().ticks_per_second == 1000);
    CHECK(info.value().word_size == 4);
    CHECK(info.value().boot_time == tp::seconds{1234567890});
}

TEST_CASE("btime is found wherever it stands, even between two pieces")
{
    for (std::size_t before = 4000; before < 4120; ++before) {
        tp::tests::temporary_directory const tree;
        make_tree(tree.path(), "intr " + std::string(before, '1') + "\nbtime 1234567890\nx\n");
        auto const info = tp::read_system_info(tree.path().c_str());
        REQUIRE(info.has_value());
        CHECK(info.value().boot_time == tp::seconds{1234567890});
    }
}

TEST_CASE("what a tree does not tell stays unknown")
{
    tp::tests::temporary_directory const tree;
    make_tree(tree.path(), "cpu 1 2 3\nnobtime 5\n");
    auto const info = tp::read_system_info(tree.path().c_str());
    REQUIRE(info.has_value());
    CHECK_FALSE(info.value().boot_time.has_value());

    std::filesystem::remove(tree.path() + "/8/auxv");
    auto const nothing = tp::read_system_info(tree.path().c_str());
    REQUIRE_FALSE(nothing.has_value());
    CHECK(nothing.error().code == tp::errc::unsupported);
    CHECK(nothing.error().file == tp::kernel_file::auxv);

    auto const no_root = tp::read_system_info("/nonexistent");
    REQUIRE_FALSE(no_root.has_value());
    CHECK(no_root.error().file == tp::kernel_file::proc);
}
