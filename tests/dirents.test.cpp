// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/dirents.hpp>

#include <taskpeek/io/descriptor.hpp>

#include "support/fixtures.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>

namespace tp = taskpeek;
using tp::io::number_in;
using tp::io::numbered_entries;

static_assert(number_in("0") == 0);
static_assert(number_in("1") == 1);
static_assert(number_in("0042") == 42);
static_assert(number_in("2147483647") == INT32_MAX);
static_assert(number_in("2147483648") == -1);
static_assert(number_in("99999999999") == -1);
static_assert(number_in("") == -1);
static_assert(number_in(".") == -1);
static_assert(number_in("-1") == -1);
static_assert(number_in("12a") == -1);
static_assert(number_in("self") == -1);

namespace {

struct listing {
    std::vector<int> numbers;
    bool several = false;
    int error = 0;
};

listing list(char const* directory, std::size_t memory, tp::io::listing_order order = tp::io::listing_order::by_number)
{
    auto const fd = tp::io::open(AT_FDCWD, directory, O_RDONLY, tp::kernel_file::none);
    REQUIRE(fd.has_value());
    std::vector<char> bytes(memory);
    numbered_entries entries{fd.value().get(), bytes, order};
    listing found;
    for (int n; (n = entries.next()) >= 0;) found.numbers.push_back(n);
    found.several = entries.takes_several_batches();
    found.error = entries.error();
    CHECK(entries.next() == -1); // and it stays so
    return found;
}

} // namespace

TEST_CASE("numbered entries come once each, words are left out")
{
    tp::tests::temporary_directory directory;
    std::set<int> wanted;
    for (int i = 0; i < 300; ++i) {
        auto const number = i * i * 101;
        wanted.insert(number);
        std::filesystem::create_directory(directory.path() + "/" + std::to_string(number));
        std::filesystem::create_directory(directory.path() + "/word" + std::to_string(number));
    }
    for (auto const memory : {std::size_t{64}, std::size_t{1000}, std::size_t{65536}}) {
        CAPTURE(memory);
        auto const found = list(directory.path().c_str(), memory);
        CHECK(found.error == 0);
        CHECK(found.numbers.size() == wanted.size());
        CHECK(std::set<int>(found.numbers.begin(), found.numbers.end()) == wanted);
        if (memory < 10000) CHECK(found.several);
    }
}

TEST_CASE("a listing that the memory holds comes in one batch, one that it does not says so")
{
    tp::tests::waiting_threads const threads{std::vector<std::string>(100, "lister")};
    for (auto const order : {tp::io::listing_order::by_number, tp::io::listing_order::by_place}) {
        auto const whole = list("/proc/self/task", 32 * 128, order);
        CHECK(whole.numbers.size() == tp::tests::own_thread_count());
        CHECK_FALSE(whole.several);
        auto const pieces = list("/proc/self/task", 512, order);
        CHECK(pieces.numbers == whole.numbers);
        CHECK(pieces.several);
    }
}

TEST_CASE("what cannot be listed gives the errno")
{
    auto const no_directory = list("/dev/null", 1000);
    CHECK(no_directory.numbers.empty());
    CHECK(no_directory.error == ENOTDIR);

    auto const no_room = list("/proc/self/task", 16, tp::io::listing_order::by_place);
    CHECK(no_room.numbers.empty());
    CHECK(no_room.error == EINVAL);
}
