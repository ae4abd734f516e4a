// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/mapped_pages.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/residency.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;
using taskpeek::tests::mapped_pages;
using taskpeek::tests::page;

TEST_CASE("pages written to are present, others are nothing")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    mapped_pages const m{8};
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
    mapped_pages const m{4, MAP_SHARED | MAP_ANONYMOUS};
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

TEST_CASE("a page that was only read is the zero page, where the scan tells it")
{
    auto const process = tp::process::self();
    mapped_pages const m{4};
    char volatile sum = 0;
    for (std::size_t i = 0; i < 3; ++i) sum = static_cast<char>(sum + m.at[i * page]);
    m.at[0] = 1;
    auto const told = vas::read_residency(process.value(), m.start(), m.end(), tp::bytes{page});
    REQUIRE(told);
    CHECK(told.value().present.count == 3 * page);
    tp::page_runs runs{process.value(), m.start(), m.end(), tp::bytes{page}};
    for (auto const& run : runs) CHECK_FALSE(run.state.swapped);
    CHECK(told.value().zero.count == (runs.is_scan() ? 2 * page : 0));
}

TEST_CASE("huge pages are told, where the scan tells them")
{
    constexpr std::size_t huge = 2u << 20;
    auto const process = tp::process::self();
    mapped_pages const m{2 * huge / page};
    auto* const aligned = m.at + (huge - reinterpret_cast<std::uintptr_t>(m.at) % huge) % huge;
    madvise(m.at, m.size, MADV_HUGEPAGE);
    *aligned = 1;
    tp::address const start{reinterpret_cast<std::uintptr_t>(aligned)};
    bool is_huge = false;
    for (auto const& s : process.value().smaps())
        if (s.mapping.contains(start)) is_huge = s.anon_huge_pages.value_or(tp::kibibytes{}).count >= huge / 1024;
    if (!is_huge) return tp::tests::skip("this kernel gave no huge page");
    auto const told = vas::read_residency(process.value(), start, start + tp::bytes{huge}, tp::bytes{page});
    REQUIRE(told);
    CHECK(told.value().present.count == huge);
    tp::page_runs runs{process.value(), start, start + tp::bytes{page}, tp::bytes{page}};
    for (auto const& run : runs) CHECK(run.state.present);
    CHECK(told.value().huge.count == (runs.is_scan() ? huge : 0));
}

TEST_CASE("what was written to since clear_refs is soft-dirty, where the kernel has that")
{
    tp::tests::child other{[] {}, [] { // its own memory is marked, nobody else's
        auto const process = tp::process::self();
        mapped_pages const m{4};
        for (std::size_t i = 0; i < 4; ++i) m.at[i * page] = 1;
        bool has_bits = false; // CONFIG_MEM_SOFT_DIRTY: new vmas have the flag
        for (auto const& s : process.value().smaps()) has_bits = has_bits || (s.vm_flags && s.vm_flags->has("sd"));
        auto const file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
        bool const cleared = write(file, "4", 1) == 1;
        m.at[2 * page] = 2;
        if (has_bits && !cleared) _exit(2);
        for (bool const scan : {false, true}) {
            tp::page_runs runs{process.value(), m.start(), m.end(), tp::bytes{page}};
            if (!scan) runs.only_pagemap();
            std::uint64_t dirty = 0;
            for (auto const& run : runs)
                if (run.state.soft_dirty) dirty += run.size().count;
            if (dirty != (has_bits ? page : 0)) _exit(1);
        }
        _exit(0);
    }};
    CHECK(other.reap() == 0);
}

TEST_CASE("what was paged out is swapped, if there is where to")
{
    constexpr int pageout = 21; // MADV_PAGEOUT, since 5.4
    auto const process = tp::process::self();
    mapped_pages const m{64};
    for (std::size_t i = 0; i < 64; ++i) m.at[i * page] = static_cast<char>(i + 1);
    auto const before = vas::read_residency(process.value(), m.start(), m.end(), tp::bytes{page});
    REQUIRE(before);
    CHECK(before.value().swapped.count == 0);
    if (madvise(m.at, m.size, pageout) != 0) return tp::tests::skip("this kernel has no MADV_PAGEOUT");
    auto const told = vas::read_residency(process.value(), m.start(), m.end(), tp::bytes{page});
    REQUIRE(told);
    CHECK(told.value().present.count + told.value().swapped.count >= m.size);
    CHECK(told.value().guard.count == 0);
    std::ifstream swaps{"/proc/swaps"};
    std::string header, device;
    std::getline(swaps, header);
    if (!std::getline(swaps, device)) CHECK(told.value().swapped.count == 0);
}
