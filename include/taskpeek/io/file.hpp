// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A whole small file, or a link's target, into memory that the caller lends.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/syscall.hpp>
#include <taskpeek/result.hpp>

#include <string_view>

namespace taskpeek::io {

/// Does the kernel give the whole file in one read(2), so that a short read is its end?
enum class read_mode : bool {
    at_once,    ///< files made by one show function: `stat`, `status`, `limits`, …
    to_the_end  ///< files of many records: a read gives what fits a page
};

/// Reads the file \p path below \p directory whole. One open, one read for a file that fits, one close.
/// Errors: as the kernel answers; truncated with `offset` bytes when it outgrows \p into, whose bytes are then the file's first.
/// Lifetime: a view into \p into.
[[nodiscard, gnu::always_inline]] inline result<std::string_view> read_file(int directory, char const* path, lent_buffer into,
                                                                            read_mode mode, kernel_file file) noexcept
{
    auto const opened = open_at(directory, path, O_RDONLY);
    if (!opened.ok()) return os_failure(opened.error(), file);
    auto const fd = static_cast<int>(opened.value());

    std::size_t filled = 0;
    auto got = answer{0};
    do {
        char one_more;
        bool const full = filled == into.size();
        got = full ? io::read(fd, &one_more, 1) : io::read(fd, into.data() + filled, into.size() - filled);
        if (full || !got.ok() || got.value() == 0) break;
        filled += got.count();
        if (mode == read_mode::at_once && filled < into.size()) got = answer{0};
    } while (got.value() > 0);
    close(fd);

    if (!got.ok()) return os_failure(got.error(), file);
    if (got.value() > 0) return error{errc::truncated, file, 0, {}, static_cast<std::uint32_t>(filled)};
    return std::string_view{into.data(), filled};
}

/// The target of the link \p path below \p directory: byte for byte what the kernel prints.
/// Errors: as the kernel answers; truncated when it fills \p into.
/// Lifetime: a view into \p into.
[[nodiscard, gnu::always_inline]] inline result<std::string_view> read_link(int directory, char const* path, lent_buffer into,
                                                                            kernel_file file) noexcept
{
    auto const got = read_link_at(directory, path, into.data(), into.size());
    if (!got.ok()) return os_failure(got.error(), file);
    if (got.count() == into.size()) return error{errc::truncated, file, 0, {}, static_cast<std::uint32_t>(got.count())};
    return std::string_view{into.data(), got.count()};
}

} // namespace taskpeek::io
