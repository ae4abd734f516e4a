// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// System calls without a C library between: no errno is touched, no cancellation point passed, no symbol interposed. So they
/// work in a signal handler, in a vfork child and inside an interposed malloc.
///
/// They, and what calls them for each task or batch, are inlined into the loop that walks: a return whose call was before a system
/// call is predicted wrong after it, and on some CPUs the kernel's next calls then take a tenth longer (docs/performance.md).

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/syscall.h>
#if !(defined __x86_64__ && !defined __ILP32__) && !defined __aarch64__
#include <errno.h>
#include <unistd.h>
#endif

namespace taskpeek::io {

/// What a system call gave back: a count or descriptor, or the errno that it failed with.
class [[nodiscard]] answer {
public:
    constexpr explicit answer(long raw) noexcept : raw_{raw} {}

    [[nodiscard]] constexpr bool ok() const noexcept { return raw_ >= 0; }
    [[nodiscard]] constexpr long value() const noexcept { return raw_; }
    [[nodiscard]] constexpr std::size_t count() const noexcept { return static_cast<std::size_t>(raw_); }
    /// A positive errno, 0 when it did not fail.
    [[nodiscard]] constexpr int error() const noexcept { return raw_ < 0 ? static_cast<int>(-raw_) : 0; }

private:
    long raw_;
};

/// Makes system call \p number; arguments are integers or pointers as the kernel's own signature has them.
[[gnu::always_inline]] inline answer system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                                                 long f = 0) noexcept
{
#if defined __x86_64__ && !defined __ILP32__
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return answer{result};
#elif defined __aarch64__
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return answer{x0};
#else
    auto const saved = errno;
    auto const result = ::syscall(number, a, b, c, d, e, f);
    auto const failed = result == -1 ? errno : 0;
    errno = saved;
    return answer{failed == 0 ? result : -static_cast<long>(failed)};
#endif
}

/// An address, as a system call takes it.
inline long as_argument(void const* p) noexcept { return reinterpret_cast<long>(p); }

/// openat(2), close-on-exec.
[[gnu::always_inline]] inline answer open_at(int directory, char const* path, int flags) noexcept
{
    return system_call(SYS_openat, directory, as_argument(path), flags | O_CLOEXEC, 0);
}

/// read(2), begun again after a signal.
[[gnu::always_inline]] inline answer read(int fd, char* into, std::size_t size) noexcept
{
    for (;;) {
        auto const got = system_call(SYS_read, fd, as_argument(into), static_cast<long>(size));
        if (got.error() != 4) return got; // EINTR: begin again, nothing was read
    }
}

/// pread(2) at the byte \p offset.
inline answer pread(int fd, char* into, std::size_t size, std::uint64_t offset) noexcept
{
#if defined __LP64__
    return system_call(SYS_pread64, fd, as_argument(into), static_cast<long>(size), static_cast<long>(offset));
#else
    auto const low = static_cast<long>(offset);
    auto const high = static_cast<long>(offset >> 32);
#if defined __arm__ || defined __mips__ || defined __powerpc__
    // 64-bit values start at an even register
    return system_call(SYS_pread64, fd, as_argument(into), static_cast<long>(size), 0, low, high);
#else
    return system_call(SYS_pread64, fd, as_argument(into), static_cast<long>(size), low, high);
#endif
#endif
}

/// close(2).
[[gnu::always_inline]] inline void close(int fd) noexcept { (void)system_call(SYS_close, fd); }

/// The target of the link \p path, without a NUL; `size` bytes mean that it may have been cut.
[[gnu::always_inline]] inline answer read_link_at(int directory, char const* path, char* into, std::size_t size) noexcept
{
    return system_call(SYS_readlinkat, directory, as_argument(path), as_argument(into), static_cast<long>(size));
}

/// getdents64(2): the bytes filled, 0 at the end.
[[gnu::always_inline]] inline answer read_directory(int fd, char* into, std::size_t size) noexcept
{
    return system_call(SYS_getdents64, fd, as_argument(into), static_cast<long>(size));
}

/// Back to the first entry of an open directory.
inline void rewind(int directory) noexcept { (void)system_call(SYS_lseek, directory, 0, 0); }

/// Is there an entry \p path, whether or not it may be read?
inline bool is_there(int directory, char const* path) noexcept
{
    return system_call(SYS_faccessat, directory, as_argument(path), 0).ok();
}

} // namespace taskpeek::io
