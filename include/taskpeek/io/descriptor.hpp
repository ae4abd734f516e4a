// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// An open file or directory, closed with its owner.

#include <taskpeek/io/syscall.hpp>
#include <taskpeek/result.hpp>

namespace taskpeek::io {

/// Owns a file descriptor.
class descriptor {
public:
    constexpr descriptor() noexcept = default; ///< none
    constexpr explicit descriptor(int owned) noexcept : fd_{owned} {}
    constexpr descriptor(descriptor&& other) noexcept : fd_{other.release()} {}
    constexpr descriptor& operator=(descriptor&& other) noexcept
    {
        if (this != &other) {
            reset();
            fd_ = other.release();
        }
        return *this;
    }
    constexpr ~descriptor() { reset(); }

    [[nodiscard]] constexpr bool is_open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] constexpr int get() const noexcept { return fd_; }
    [[nodiscard]] constexpr int release() noexcept
    {
        auto const fd = fd_;
        fd_ = -1;
        return fd;
    }
    [[gnu::always_inline]] constexpr void reset() noexcept
    {
        if (fd_ >= 0) io::close(fd_);
        fd_ = -1;
    }

private:
    int fd_ = -1;
};

/// Opens \p path below \p directory (AT_FDCWD: the working directory). \p file is what an error will name.
[[nodiscard, gnu::always_inline]] inline result<descriptor> open(int directory, char const* path, int flags, kernel_file file,
                                                                    task_id task = {}) noexcept
{
    auto const fd = open_at(directory, path, flags);
    if (!fd.ok()) return os_failure(fd.error(), file, task);
    return descriptor{static_cast<int>(fd.value())};
}

} // namespace taskpeek::io
