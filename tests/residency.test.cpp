// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/residency.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

namespace {

constexpr std::size_t page = 4096;

struct mapping {
    explicit mapping(std::size_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS)
        : size{pages * page}, at{static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, -1, 0))}
    {
        REQUIRE(at != MAP_FAILED);
        madvise(at, size, MADV_NOHUGEPAGE);
    }
    mapping(mapping const&) = delete;
    ~mapping() { munmap(at, size); }

    [[nodiscard]] tp::address start() const { return tp::address{reinterpret_cast<std::uintptr_t>(at)}; }
    [[nodiscard]] tp::address end() const { return start() + tp::bytes{size}; }

    std::size_t size;
    char* at;
};

} // namespace

TEST_CASE("pages written to are present, others are nothing")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    mapping const m{8};
    for (int const i : {1, 2, 5}) m.at[static_cast<std::size_t>(i) * page] = 1;
    auto const sum = vas::read_residency(process.value(), m.start(), m.end(), tp::bytes{page});
    REQUIRE(sum);
    CHECK(sum.value().present.count == 3 * page);
    CHECK(sum.value().swapped.count == 0);
    CHECK(sum.value().file.count == 0);
}

TEST_CASE("what is shared is of a file")
{
    auto const process = tp::process::self();
    mapping const m{4, MAP_SHARED | MAP_ANONYMOUS};
    std::memset(m.at, 1, m.size);
    auto const sum = vas::read_residency(process.value(), m.start(), m.end(), tp::bytes{page});
    REQUIRE(sum);
    CHECK(sum.value().present.count == 4 * page);
    CHECK(sum.value().file.count == 4 * page);
}

TEST_CASE("the residency of a process that has gone cannot be told")
{
    auto const pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    auto const process = tp::process::open(tp::tgid{pid});
    REQUIRE(process);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    auto const sum = vas::read_residency(process.value(), tp::address{0x1000}, tp::address{0x2000}, tp::bytes{page});
    REQUIRE_FALSE(sum);
    CHECK(sum.error().code == tp::errc::vanished);
}
