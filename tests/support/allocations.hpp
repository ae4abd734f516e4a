// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Counts allocations: malloc and its kin, interposed in the program that includes this (in one file only), and with them every
/// `operator new`. Under a sanitizer, which interposes them itself, nothing is counted.

#include "sanitizers.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#if !TASKPEEK_SANITIZED
extern "C" {
void* __libc_malloc(std::size_t);                      // NOLINT: glibc's own
void* __libc_calloc(std::size_t, std::size_t);         // NOLINT
void* __libc_realloc(void*, std::size_t);              // NOLINT
void* __libc_memalign(std::size_t, std::size_t);       // NOLINT
void __libc_free(void*);                               // NOLINT
}
#endif

namespace taskpeek::tests {

inline std::atomic<unsigned long> allocations_so_far{0};
inline thread_local void (*inside_malloc)() = nullptr; ///< called by the next malloc of this thread

inline void count_allocation() noexcept
{
    allocations_so_far.fetch_add(1, std::memory_order_relaxed);
    if (auto const call = inside_malloc; call != nullptr) {
        inside_malloc = nullptr;
        call();
    }
}

/// How many allocations `body` makes, in all threads.
template <class Body>
[[nodiscard]] unsigned long allocations_in(Body body)
{
    auto const before = allocations_so_far.load();
    body();
    return allocations_so_far.load() - before;
}

} // namespace taskpeek::tests

#if !TASKPEEK_SANITIZED
extern "C" {

void* malloc(std::size_t size)
{
    taskpeek::tests::count_allocation();
    return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size)
{
    taskpeek::tests::count_allocation();
    return __libc_calloc(count, size);
}

void* realloc(void* old, std::size_t size)
{
    taskpeek::tests::count_allocation();
    return __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size)
{
    taskpeek::tests::count_allocation();
    return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    taskpeek::tests::count_allocation();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size)
{
    taskpeek::tests::count_allocation();
    *out = __libc_memalign(alignment, size);
    return *out == nullptr ? ENOMEM : 0;
}

void free(void* memory) { __libc_free(memory); }

} // extern "C"

void* operator new(std::size_t size)
{
    taskpeek::tests::count_allocation();
    if (auto* const memory = __libc_malloc(size != 0 ? size : 1)) return memory;
    std::abort();
}
void* operator new[](std::size_t size) { return ::operator new(size); }
void operator delete(void* memory) noexcept { __libc_free(memory); }
void operator delete[](void* memory) noexcept { __libc_free(memory); }
void operator delete(void* memory, std::size_t) noexcept { __libc_free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { __libc_free(memory); }
#endif
