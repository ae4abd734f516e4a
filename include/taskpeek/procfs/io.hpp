// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/io` and `/proc/<tgid>/task/<tid>/io`: what a task has read and written.

#include <taskpeek/result.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// The counters of `io` (fs/proc/base.c, do_io_accounting; with CONFIG_TASK_IO_ACCOUNTING). Of a process they are sums over its
/// threads, those that have ended included, and the children it has reaped.
/// A text cut between two lines is not known from one of a kernel with fewer keys: what is not there is `nullopt`.
/// Errors: truncated (no newline at the end), malformed.
struct io {
    static constexpr kernel_file file = kernel_file::io; ///< what it decodes
    static constexpr std::size_t typical_size = 256; ///< bytes; 7 lines
    static constexpr bool holds_no_views = true; ///< may outlive the text

    std::optional<bytes> rchar;                 ///< `rchar`: given by read(2) and the like, from whatever source
    std::optional<bytes> wchar;                 ///< `wchar`: taken by write(2) and the like
    std::optional<std::uint64_t> syscr;         ///< `syscr`: read(2) and the like
    std::optional<std::uint64_t> syscw;         ///< `syscw`: write(2) and the like
    std::optional<bytes> read_bytes;            ///< `read_bytes`: fetched from storage
    std::optional<bytes> write_bytes;           ///< `write_bytes`: dirtied, to be sent to storage
    std::optional<bytes> cancelled_write_bytes; ///< `cancelled_write_bytes`: dirty, but dropped (truncated) before they were sent

    /// Calls `visit(key, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Io, class Visitor>
    static constexpr void each_field(Io& i, Visitor&& visit) noexcept
    {
        visit("rchar", i.rchar);
        visit("wchar", i.wchar);
        visit("syscr", i.syscr);
        visit("syscw", i.syscw);
        visit("read_bytes", i.read_bytes);
        visit("write_bytes", i.write_bytes);
        visit("cancelled_write_bytes", i.cancelled_write_bytes);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<io> parse(std::string_view text) noexcept
    {
        io counters;
        auto const in = text::read_fields(text::cursor{text}, counters);
        if (!in.ok()) return in.failure(file);
        return counters;
    }
};

} // namespace taskpeek::procfs
