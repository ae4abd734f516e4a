// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Resource limits: the one type that `/proc/<tgid>/limits` and prlimit(2) share, and the file.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/values.hpp>
#include <taskpeek/units.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace taskpeek {

/// What a limit limits: `RLIMIT_*`, by the numbers of include/uapi/asm-generic/resource.h, which x86, arm64, RISC-V and most
/// others use. alpha, mips and sparc number nproc, nofile, memlock, as (mips: rss too) differently.
enum class resource : std::uint8_t {
    cpu = 0,         ///< seconds of CPU time
    fsize = 1,       ///< bytes of a file written
    data = 2,        ///< bytes of data segment, heap and, since 4.7, private writable mappings
    stack = 3,       ///< bytes of the main thread's stack; also what pthread_create(3) gives by default
    core = 4,        ///< bytes of a core file
    rss = 5,         ///< resident bytes; no effect since 2.4.30
    nproc = 6,       ///< processes (in truth tasks) of the real user id
    nofile = 7,      ///< descriptors: one more than the largest number
    memlock = 8,     ///< locked bytes
    as = 9,          ///< bytes of address space
    locks = 10,      ///< file locks; no effect since 2.4.25
    sigpending = 11, ///< signals queued for the real user id
    msgqueue = 12,   ///< bytes of POSIX message queues of the real user id
    nice = 13,       ///< the nice value may be lowered to 20 minus this
    rtprio = 14,     ///< highest real-time priority
    rttime = 15      ///< microseconds of CPU time without a blocking call, for real-time policies
};

/// How many there are; the count has stood since 2.6.25.
inline constexpr std::size_t resource_count = 16;

namespace detail {

template <resource R>
[[nodiscard]] constexpr auto unit_of() noexcept
{
    if constexpr (R == resource::cpu) return seconds{};
    else if constexpr (R == resource::nproc) return process_count{};
    else if constexpr (R == resource::nofile) return file_count{};
    else if constexpr (R == resource::locks) return lock_count{};
    else if constexpr (R == resource::sigpending) return signal_count{};
    else if constexpr (R == resource::nice || R == resource::rtprio) return std::uint64_t{};
    else if constexpr (R == resource::rttime) return microseconds{};
    else return bytes{};
}

/// How fs/proc/base.c (lnames) and getrlimit(2) call a resource, and the unit that the former prints.
struct resource_names {
    std::string_view key, macro, unit;
};

inline constexpr resource_names resource_table[resource_count] = {
    {"Max cpu time", "RLIMIT_CPU", "seconds"},
    {"Max file size", "RLIMIT_FSIZE", "bytes"},
    {"Max data size", "RLIMIT_DATA", "bytes"},
    {"Max stack size", "RLIMIT_STACK", "bytes"},
    {"Max core file size", "RLIMIT_CORE", "bytes"},
    {"Max resident set", "RLIMIT_RSS", "bytes"},
    {"Max processes", "RLIMIT_NPROC", "processes"},
    {"Max open files", "RLIMIT_NOFILE", "files"},
    {"Max locked memory", "RLIMIT_MEMLOCK", "bytes"},
    {"Max address space", "RLIMIT_AS", "bytes"},
    {"Max file locks", "RLIMIT_LOCKS", "locks"},
    {"Max pending signals", "RLIMIT_SIGPENDING", "signals"},
    {"Max msgqueue size", "RLIMIT_MSGQUEUE", "bytes"},
    {"Max nice priority", "RLIMIT_NICE", ""},
    {"Max realtime priority", "RLIMIT_RTPRIO", ""},
    {"Max realtime timeout", "RLIMIT_RTTIME", "us"},
};

inline constexpr std::string_view resource_words[resource_count] = {
    "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile",
    "memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};

[[nodiscard]] constexpr resource_names const& names_of(resource r) noexcept { return resource_table[static_cast<std::size_t>(r)]; }

} // namespace detail

/// What a limit on \p R counts: seconds, bytes, …, or a plain number for nice and rtprio.
template <resource R>
using rlimit_unit = decltype(detail::unit_of<R>());

/// The key in `limits`: `"Max stack size"`.
[[nodiscard]] constexpr std::string_view kernel_key(resource r) noexcept { return detail::names_of(r).key; }

/// The name in getrlimit(2): `"RLIMIT_STACK"`.
[[nodiscard]] constexpr std::string_view rlimit_name(resource r) noexcept { return detail::names_of(r).macro; }

/// The word for people and scripts, as prlimit(1) has it: `"stack"`.
[[nodiscard]] constexpr std::string_view name_of(resource r) noexcept { return detail::resource_words[static_cast<std::size_t>(r)]; }

/// The unit that `limits` prints: `"bytes"`, `"us"`; empty for nice and rtprio.
[[nodiscard]] constexpr std::string_view unit_name(resource r) noexcept { return detail::names_of(r).unit; }

/// The resource that one of its three names names: `"stack"`, `"RLIMIT_STACK"` or `"Max stack size"`.
[[nodiscard]] constexpr std::optional<resource> find_resource(std::string_view name) noexcept
{
    for (std::size_t i = 0; i < resource_count; ++i) {
        auto const r = static_cast<resource>(i);
        if (name == name_of(r) || name == rlimit_name(r) || name == kernel_key(r)) return r;
    }
    return std::nullopt;
}

/// The number that prlimit(2) takes for a limit: RLIM64_INFINITY, 2^64-1, for unlimited.
template <class Unit>
[[nodiscard]] constexpr std::uint64_t to_rlim(limit_value<Unit> limit) noexcept
{
    if (limit.is_unlimited()) return UINT64_MAX;
    if constexpr (std::same_as<Unit, std::uint64_t>) return *limit.value();
    else return limit.value()->count;
}

/// The limit that a number of prlimit(2) stands for.
template <class Unit>
[[nodiscard]] constexpr limit_value<Unit> from_rlim(std::uint64_t number) noexcept
{
    return number == UINT64_MAX ? limit_value<Unit>::unlimited() : limit_value<Unit>{Unit{number}};
}

/// The limits on one resource: the kernel enforces `soft`; its owner may raise that up to `hard`.
template <resource R>
struct rlimit {
    using unit = rlimit_unit<R>;
    static constexpr resource what = R;

    limit_value<unit> soft; ///< in force
    limit_value<unit> hard; ///< how high an unprivileged process may set `soft`; it may lower this, but not raise it

    friend constexpr bool operator==(rlimit const&, rlimit const&) noexcept = default;
};

namespace procfs {

/// The resource limits of a process (fs/proc/base.c, proc_pid_limits): a header and a row each of 16.
/// All threads share them. A row that is not there is `nullopt`; a row that is not known is skipped.
/// A text cut between two rows is not known from one of a kernel with fewer.
/// Errors: vanished (an empty text: the kernel prints nothing when the task has just been reaped), truncated (no newline at the end),
/// malformed.
struct limits {
    static constexpr kernel_file file = kernel_file::limits; ///< what it decodes
    static constexpr std::size_t typical_size = 2048; ///< bytes; all rows make 1.3 KiB
    static constexpr bool holds_no_views = true; ///< may outlive the text

    std::optional<rlimit<resource::cpu>> max_cpu_time;
    std::optional<rlimit<resource::fsize>> max_file_size;
    std::optional<rlimit<resource::data>> max_data_size;
    std::optional<rlimit<resource::stack>> max_stack_size;
    std::optional<rlimit<resource::core>> max_core_file_size;
    std::optional<rlimit<resource::rss>> max_resident_set;
    std::optional<rlimit<resource::nproc>> max_processes;
    std::optional<rlimit<resource::nofile>> max_open_files;
    std::optional<rlimit<resource::memlock>> max_locked_memory;
    std::optional<rlimit<resource::as>> max_address_space;
    std::optional<rlimit<resource::locks>> max_file_locks;
    std::optional<rlimit<resource::sigpending>> max_pending_signals;
    std::optional<rlimit<resource::msgqueue>> max_msgqueue_size;
    std::optional<rlimit<resource::nice>> max_nice_priority;
    std::optional<rlimit<resource::rtprio>> max_realtime_priority;
    std::optional<rlimit<resource::rttime>> max_realtime_timeout;

    /// The limits on \p R: `limits.get<resource::stack>()`.
    template <resource R>
    [[nodiscard]] constexpr std::optional<rlimit<R>> const& get() const noexcept
    {
        std::optional<rlimit<R>> const* found = nullptr;
        each_field(*this, [&found](auto const&, auto const& field) {
            if constexpr (std::same_as<decltype(field), std::optional<rlimit<R>> const&>) found = &field;
        });
        return *found;
    }

    /// Calls `visit(key, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Limits, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Limits& l, Visitor&& visit) noexcept
    {
        visit("Max cpu time", l.max_cpu_time);
        visit("Max file size", l.max_file_size);
        visit("Max data size", l.max_data_size);
        visit("Max stack size", l.max_stack_size);
        visit("Max core file size", l.max_core_file_size);
        visit("Max resident set", l.max_resident_set);
        visit("Max processes", l.max_processes);
        visit("Max open files", l.max_open_files);
        visit("Max locked memory", l.max_locked_memory);
        visit("Max address space", l.max_address_space);
        visit("Max file locks", l.max_file_locks);
        visit("Max pending signals", l.max_pending_signals);
        visit("Max msgqueue size", l.max_msgqueue_size);
        visit("Max nice priority", l.max_nice_priority);
        visit("Max realtime priority", l.max_realtime_priority);
        visit("Max realtime timeout", l.max_realtime_timeout);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<limits> parse(std::string_view text) noexcept;
};

namespace detail {

/// Reads one row of `limits` into the field whose key it begins with.
class limits_reader {
public:
    constexpr explicit limits_reader(text::cursor in) noexcept : in_{in} {}

    template <std::size_t N, resource R>
    constexpr void operator()(char const (&key)[N], std::optional<rlimit<R>>& field) noexcept
    {
        static_assert(N - 1 < key_width);
        if (!begins_with({key, N - 1})) return;
        in_.advance_to(in_.position() + key_width);
        auto& limit = field.emplace();
        in_.expect(' ');
        read(limit.soft);
        in_.expect(' ');
        in_.skip_spaces();
        read(limit.hard);
        in_.expect(' '); // the unit stands behind it, or its empty column
        in_.next_line();
        matched_ = true;
    }

    [[nodiscard]] constexpr bool matched() noexcept
    {
        auto const was = matched_;
        matched_ = false;
        return was;
    }

    [[nodiscard]] constexpr text::cursor& position() noexcept { return in_; }

private:
    static constexpr std::size_t key_width = 25; // the kernel pads with "%-25s "

    /// Does the key fill its column, up to the padding? A longer key of a kernel to come may begin alike.
    [[nodiscard]] constexpr bool begins_with(std::string_view key) const noexcept
    {
        auto const column = in_.rest().substr(0, key_width);
        return column.size() == key_width && column.starts_with(key) && column.find_first_not_of(' ', key.size()) == std::string_view::npos;
    }

    template <class Unit>
    constexpr void read(limit_value<Unit>& out) noexcept
    {
        if (in_.peek() != 'u') {
            out = from_rlim<Unit>(in_.decimal<std::uint64_t>());
        } else {
            in_.expect("unlimited");
            out = limit_value<Unit>::unlimited();
        }
    }

    text::cursor in_;
    bool matched_ = false;
};

} // namespace detail

constexpr result<limits> limits::parse(std::string_view text) noexcept
{
    if (text.empty()) return error{errc::vanished, file, 0, {}, 0};
    limits l;
    detail::limits_reader read{text::cursor{text}};
    while (!read.position().at_end()) {
        each_field(l, read);
        if (!read.matched() && !read.position().at_end()) read.position().next_line(); // the header, or a row of a kernel to come
    }
    if (!read.position().ok()) return read.position().failure(file);
    return l;
}

} // namespace procfs
} // namespace taskpeek
