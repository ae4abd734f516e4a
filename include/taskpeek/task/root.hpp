// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Where the task list is.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/result.hpp>

#include <concepts>

namespace taskpeek {

/// A mounted procfs, or a tree recorded from one: `"/proc"`, a container's `"/host/proc"`, a directory that is already open.
/// Lifetime: does not own the path or the descriptor, so it is not made from a string that is about to go.
class proc_root {
public:
    constexpr proc_root() noexcept = default; ///< this machine's `/proc`
    constexpr proc_root(char const* path) noexcept : path_{path} {} ///< where it is mounted, or unpacked
    template <class Path>
        requires requires(Path& path) { { path.c_str() } -> std::same_as<char const*>; }
    constexpr proc_root(Path& path) noexcept : path_{path.c_str()} {} ///< a std::string, a std::filesystem::path
    constexpr explicit proc_root(int open_directory) noexcept : path_{"."}, directory_{open_directory} {} ///< stays the caller's

    /// Opens it. Errors: vanished (no such directory), denied, os.
    [[nodiscard]] result<io::descriptor> open() const noexcept
    {
        return io::open(directory_, path_, O_RDONLY | O_DIRECTORY, kernel_file::proc);
    }

private:
    char const* path_ = "/proc";
    int directory_ = AT_FDCWD;
};

} // namespace taskpeek
