// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Pages of a test's own, none of them huge, to be touched one by one.

#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>

#include <doctest/doctest.h>
#include <sys/mman.h>

namespace taskpeek::tests {

inline constexpr std::size_t page = 4096;

struct mapped_pages {
    explicit mapped_pages(std::size_t pages, int flags = MAP_PRIVATE | MAP_ANONYMOUS)
        : size{pages * page}, at{static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, -1, 0))}
    {
        REQUIRE(at != MAP_FAILED);
        madvise(at, size, MADV_NOHUGEPAGE);
    }
    mapped_pages(mapped_pages const&) = delete;
    ~mapped_pages() { munmap(at, size); }

    [[nodiscard]] address start() const { return address{reinterpret_cast<std::uintptr_t>(at)}; }
    [[nodiscard]] address end() const { return start() + bytes{size}; }

    std::size_t size;
    char* at;
};

} // namespace taskpeek::tests
