// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/fdinfo/<fd>`: the state of an open descriptor.

#include <taskpeek/result.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/text/lines.hpp>
#include <taskpeek/units.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// `flags`, in octal: the O_* of open(2), O_CLOEXEC among them. Their values differ between architectures.
struct open_flags {
    std::uint32_t bits = 0;

    /// May it be read? (O_RDONLY, O_RDWR)
    [[nodiscard]] constexpr bool readable() const noexcept { return (bits & 3) == 0 || (bits & 3) == 2; }
    /// May it be written? (O_WRONLY, O_RDWR)
    [[nodiscard]] constexpr bool writable() const noexcept { return (bits & 3) == 1 || (bits & 3) == 2; }

    friend constexpr bool operator==(open_flags, open_flags) noexcept = default;
};

/// `eventfd-count`, in hex: the counter of an eventfd(2).
struct eventfd_counter {
    std::uint64_t value = 0;
    friend constexpr bool operator==(eventfd_counter, eventfd_counter) noexcept = default;
};

constexpr void read_value(text::cursor& in, open_flags& out) noexcept { out.bits = in.octal<std::uint32_t>(); }

constexpr void read_value(text::cursor& in, eventfd_counter& out) noexcept
{
    in.skip_spaces();
    out.value = in.hex<std::uint64_t>();
}

/// A descriptor that an epoll(7) instance watches (fs/eventpoll.c, ep_show_fdinfo; since 3.8).
struct epoll_target {
    static constexpr std::string_view key = "tfd:";

    std::int32_t tfd = 0;              ///< the descriptor's number when it was added; may have been closed or reused since
    std::uint32_t events = 0;          ///< EPOLL* that are waited for
    std::uint64_t data = 0;            ///< what epoll_wait(2) gives back: `epoll_data.u64`
    std::optional<std::int64_t> pos;   ///< file offset; since 4.13
    std::optional<std::uint64_t> ino;  ///< inode; since 4.13
    std::optional<std::uint32_t> sdev; ///< device of the inode's file system, as the kernel's dev_t: major << 20 | minor; since 4.13

    friend constexpr bool operator==(epoll_target const&, epoll_target const&) noexcept = default;
};

/// `tfd:        5 events:       19 data:                5  pos:0 ino:61 sdev:7`, the last three missing on older kernels.
constexpr void read_value(text::cursor& in, epoll_target& out) noexcept
{
    out = {};
    auto const next = [&in](std::string_view key) {
        in.skip_spaces();
        in.expect(key);
        in.skip_spaces();
    };
    next("tfd:");
    out.tfd = in.decimal<std::int32_t>();
    next("events:");
    out.events = in.hex<std::uint32_t>();
    next("data:");
    out.data = in.hex<std::uint64_t>();
    in.skip_spaces();
    if (in.at_end()) return;
    next("pos:");
    out.pos = in.decimal<std::int64_t>();
    next("ino:");
    out.ino = in.hex<std::uint64_t>();
    next("sdev:");
    out.sdev = in.hex<std::uint32_t>();
}

/// Passes over one line of the list, which `fdinfo::parse` reads as a whole.
constexpr void read_value(text::cursor& in, text::lines<epoll_target>&) noexcept
{
    std::string_view line;
    read_value(in, line);
}

/// What every descriptor has (fs/proc/fd.c, seq_show), and what eventfd(2) and epoll(7) add; the keys that other kinds add are
/// skipped. What is not there is `nullopt`.
/// A text cut between two lines is not known from one of an older kernel.
/// Errors: truncated (no newline at the end), malformed.
/// Lifetime: `epoll_targets` is a view into the text.
struct fdinfo {
    static constexpr kernel_file file = kernel_file::fdinfo; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes; an epoll instance with 50 descriptors
    static constexpr bool is_entry = true;            ///< one of many: `read_entry<fdinfo>(descriptor, memory)`

    std::optional<std::int64_t> pos;              ///< `pos`: file offset
    std::optional<open_flags> flags;              ///< `flags`
    std::optional<std::int32_t> mnt_id;           ///< `mnt_id`: the mount, as in `mountinfo`; since 3.15
    std::optional<std::uint64_t> ino;             ///< `ino`: inode; since 5.14
    std::optional<eventfd_counter> eventfd_count; ///< `eventfd-count`: since 3.8
    std::optional<std::int32_t> eventfd_id;       ///< `eventfd-id`: since 5.2
    std::optional<bool> eventfd_semaphore;        ///< `eventfd-semaphore`: EFD_SEMAPHORE; since 6.5
    text::lines<epoll_target> epoll_targets;      ///< `tfd`: one line for each descriptor watched

    /// Calls `visit(key, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Fdinfo, class Visitor>
    static constexpr void each_field(Fdinfo& f, Visitor&& visit) noexcept
    {
        visit("pos", f.pos);
        visit("flags", f.flags);
        visit("mnt_id", f.mnt_id);
        visit("ino", f.ino);
        visit("eventfd-count", f.eventfd_count);
        visit("eventfd-id", f.eventfd_id);
        visit("eventfd-semaphore", f.eventfd_semaphore);
        visit("tfd", f.epoll_targets);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<fdinfo> parse(std::string_view text) noexcept
    {
        fdinfo f;
        auto in = text::read_fields(text::cursor{text}, f);
        if (!in.ok()) return in.failure(file);
        in = text::cursor{text};
        text::read_lines(in, f.epoll_targets);
        if (!in.ok()) return in.failure(file);
        return f;
    }
};

} // namespace taskpeek::procfs
