// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Counts what a pass allocates. Defines malloc and its kin over glibc's own, and operator new: include it in one source file.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include <errno.h>

extern "C" {
void* __libc_malloc(std::size_t) noexcept;
void* __libc_calloc(std::size_t, std::size_t) noexcept;
void* __libc_realloc(void*, std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
}

namespace bench {

/// Allocations of this process so far, by whatever name they were asked for.
inline std::uint64_t allocations = 0;

} // namespace bench

extern "C" {

void* malloc(std::size_t size) noexcept
{
    ++bench::allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept
{
    ++bench::allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept
{
    ++bench::allocations;
    return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept
{
    ++bench::allocations;
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept
{
    *out = memalign(alignment, size);
    return *out == nullptr ? ENOMEM : 0;
}

} // extern "C"

// libstdc++'s would call the malloc above; these do so whatever standard library it is.
void* operator new(std::size_t size)
{
    if (auto* const made = malloc(size)) return made;
    std::abort();
}
[[gnu::noinline]] void operator delete(void* old) noexcept { std::free(old); }
[[gnu::noinline]] void operator delete(void* old, std::size_t) noexcept { std::free(old); }
