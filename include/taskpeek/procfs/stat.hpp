// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/stat` and `/proc/<tgid>/task/<tid>/stat`: the one-line account of a task.

#include <taskpeek/procfs/scheduling.hpp>
#include <taskpeek/procfs/task_flags.hpp>
#include <taskpeek/procfs/task_state.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/columns.hpp>
#include <taskpeek/text/values.hpp>
#include <taskpeek/units.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// One task's line of `stat` (fs/proc/array.c, do_task_stat): 52 fields since Linux 3.5, named as in proc(5).
/// Of a process (`/proc/<tgid>/stat`) times, faults and counts are sums over its threads, and reading it costs time in proportion to
/// them; of a thread (`task/<tid>/stat`) they are its own.
/// Who may not ptrace the task is told 0 or 1 for its addresses, and 0 for `exit_code`.
/// Errors: truncated (no newline at the end), malformed (fewer than 52 fields, or one of another form).
/// Lifetime: `comm` is a view into the text.
struct stat {
    static constexpr kernel_file file = kernel_file::stat; ///< what it decodes
    static constexpr std::size_t typical_size = 1536; ///< bytes; 52 fields of 20 digits and a name of 64 bytes

    taskpeek::tid pid;                  ///< (1) the task's id: the thread's in `task/<tid>/stat`
    std::string_view comm;              ///< (2) raw bytes: may hold spaces, parentheses, newlines, or nothing; see comm.hpp
    task_state state;                   ///< (3)
    tgid ppid;                          ///< (4) the parent process, 0 for none that the reader can see
    pgid pgrp;                          ///< (5)
    sid session;                        ///< (6)
    std::int32_t tty_nr = 0;            ///< (7) device number of the controlling terminal, 0 for none
    pgid tpgid;                         ///< (8) foreground process group of the terminal, -1 for none
    task_flags flags;                   ///< (9) PF_*
    std::uint64_t minflt = 0;           ///< (10) faults that needed no disk
    std::uint64_t cminflt = 0;          ///< (11) the same of reaped children
    std::uint64_t majflt = 0;           ///< (12) faults that needed the disk
    std::uint64_t cmajflt = 0;          ///< (13) the same of reaped children
    clock_ticks utime;                  ///< (14) in user mode
    clock_ticks stime;                  ///< (15) in kernel mode
    signed_clock_ticks cutime;          ///< (16) user mode of reaped children; the kernel prints it signed
    signed_clock_ticks cstime;          ///< (17) kernel mode of reaped children
    std::int64_t priority = 0;          ///< (18) nice + 20, or -1 - rt_priority for real-time policies
    std::int64_t nice = 0;              ///< (19) -20 … 19
    std::int64_t num_threads = 0;       ///< (20) of the process; 0 of a task that has exited
    std::int64_t itrealvalue = 0;       ///< (21) always 0 since 2.6.17
    clock_ticks starttime;              ///< (22) since boot
    bytes vsize;                        ///< (23)
    pages rss;                          ///< (24) inexact; seen as 2^64-1 when counters race
    limit_value<bytes> rsslim;          ///< (25) soft RLIMIT_RSS; of a 32-bit kernel ask limit_of
    optional_address startcode;         ///< (26)
    optional_address endcode;           ///< (27)
    optional_address startstack;        ///< (28)
    optional_address kstkesp;           ///< (29) user stack pointer; since 4.9 0, but (since 4.14) of a task that dumps core
    optional_address kstkeip;           ///< (30) user instruction pointer, as kstkesp
    std::uint64_t signal = 0;           ///< (31) the low 31 bits of the pending set: see `status` for the whole
    std::uint64_t blocked = 0;          ///< (32)
    std::uint64_t sigignore = 0;        ///< (33)
    std::uint64_t sigcatch = 0;         ///< (34)
    std::uint64_t wchan = 0;            ///< (35) 1 if the task waits in the kernel, 0 if not (an address before 4.4)
    std::uint64_t nswap = 0;            ///< (36) always 0
    std::uint64_t cnswap = 0;           ///< (37) always 0
    std::int32_t exit_signal = 0;       ///< (38) sent to the parent at the end
    std::int32_t processor = 0;         ///< (39) the CPU it ran on last
    std::uint32_t rt_priority = 0;      ///< (40) 1 … 99, 0 for other policies
    scheduling_policy policy;           ///< (41)
    clock_ticks delayacct_blkio_ticks;  ///< (42) waited for block I/O
    clock_ticks guest_time;             ///< (43) ran a virtual CPU
    signed_clock_ticks cguest_time;     ///< (44) the same of reaped children
    optional_address start_data;        ///< (45) since 3.3
    optional_address end_data;          ///< (46) since 3.3
    optional_address start_brk;         ///< (47) since 3.3
    optional_address arg_start;         ///< (48) since 3.5
    optional_address arg_end;           ///< (49) since 3.5
    optional_address env_start;         ///< (50) since 3.5
    optional_address env_end;           ///< (51) since 3.5
    std::int32_t exit_code = 0;         ///< (52) since 3.5; in waitpid(2)'s form

    /// Is it a task of the kernel's own, without a user address space?
    [[nodiscard]] constexpr bool is_kernel_thread() const noexcept { return flags.has(task_flag::kthread); }

    /// Calls `visit(name, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Stat, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Stat& s, Visitor&& visit) noexcept
    {
        visit("pid", s.pid);
        visit("comm", s.comm);
        visit("state", s.state);
        visit("ppid", s.ppid);
        visit("pgrp", s.pgrp);
        visit("session", s.session);
        visit("tty_nr", s.tty_nr);
        visit("tpgid", s.tpgid);
        visit("flags", s.flags);
        visit("minflt", s.minflt);
        visit("cminflt", s.cminflt);
        visit("majflt", s.majflt);
        visit("cmajflt", s.cmajflt);
        visit("utime", s.utime);
        visit("stime", s.stime);
        visit("cutime", s.cutime);
        visit("cstime", s.cstime);
        visit("priority", s.priority);
        visit("nice", s.nice);
        visit("num_threads", s.num_threads);
        visit("itrealvalue", s.itrealvalue);
        visit("starttime", s.starttime);
        visit("vsize", s.vsize);
        visit("rss", s.rss);
        visit("rsslim", s.rsslim);
        visit("startcode", s.startcode);
        visit("endcode", s.endcode);
        visit("startstack", s.startstack);
        visit("kstkesp", s.kstkesp);
        visit("kstkeip", s.kstkeip);
        visit("signal", s.signal);
        visit("blocked", s.blocked);
        visit("sigignore", s.sigignore);
        visit("sigcatch", s.sigcatch);
        visit("wchan", s.wchan);
        visit("nswap", s.nswap);
        visit("cnswap", s.cnswap);
        visit("exit_signal", s.exit_signal);
        visit("processor", s.processor);
        visit("rt_priority", s.rt_priority);
        visit("policy", s.policy);
        visit("delayacct_blkio_ticks", s.delayacct_blkio_ticks);
        visit("guest_time", s.guest_time);
        visit("cguest_time", s.cguest_time);
        visit("start_data", s.start_data);
        visit("end_data", s.end_data);
        visit("start_brk", s.start_brk);
        visit("arg_start", s.arg_start);
        visit("arg_end", s.arg_end);
        visit("env_start", s.env_start);
        visit("env_end", s.env_end);
        visit("exit_code", s.exit_code);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<stat> parse(std::string_view text) noexcept;
};

namespace detail {

/// comm, the one text: everything between the first parenthesis and the *last*, for it may hold any.
constexpr void read_comm(text::cursor& in, std::string_view& comm) noexcept
{
    in.expect('(');
    auto const* const from = in.position();
    auto const* const end = from + in.rest().size();
    char const* last = nullptr;
    for (auto const* p = text::find_byte(from, end, ')'); p != end; p = text::find_byte(p + 1, end, ')')) last = p;
    if (last == nullptr) { in.fail_at(end); return; }
    comm = {from, static_cast<std::size_t>(last - from)};
    in.advance_to(last + 1);
}

/// Reads a field and, unless it is the first, the space before it. One function for each type of field, not inlined: see
/// text::read_line_value.
template <class Field>
[[nodiscard, gnu::noinline]] constexpr text::reached read_next_field(char const* from, char const* end, Field& field) noexcept
{
    text::cursor in{{from, static_cast<std::size_t>(end - from)}};
    if constexpr (!std::same_as<Field, tid>) in.expect(' ');
    if constexpr (std::same_as<Field, std::string_view>) read_comm(in, field);
    else read_value(in, field);
    return in.reached();
}

/// Reads the fields of `stat` one after the other.
class stat_reader {
public:
    constexpr stat_reader(char const* from, char const* end) noexcept : came_{from, true}, end_{end} {}

    template <class Field>
    [[gnu::always_inline]] constexpr void operator()(char const*, Field& field) noexcept
    {
        if (came_.ok) [[likely]] came_ = read_next_field(came_.at, end_, field);
    }

    [[nodiscard]] constexpr text::reached reached() const noexcept { return came_; }

private:
    text::reached came_;
    char const* end_;
};

/// Reads any line of `stat`, field by field, and tells what is wrong with it. \p decoded holds a stat.
[[gnu::noinline]] constexpr void read_carefully(std::string_view text, result<stat>& decoded) noexcept
{
    stat_reader read{text.data(), text.data() + text.size()};
    stat::each_field(decoded.assume_value(), read);
    text::cursor in{text};
    in.advance_to(read.reached());
    if (in.peek() != ' ' && in.peek() != '\n') in.fail(); // the last number may have been cut, or is none
    in.next_line();                                       // later kernels append fields
    if (!in.ok()) decoded = in.failure(stat::file);
}

/// Reads a usual line of `stat` much faster: one of 52 fields, with a single closing parenthesis. `ok()` says whether it was one.
class usual_stat_reader {
public:
    explicit usual_stat_reader(std::string_view text) noexcept : in_{text} {}

    [[gnu::always_inline]] void operator()(char const*, tid& pid) noexcept { read_value(in_, pid); }
    [[gnu::always_inline]] void operator()(char const*, std::string_view& comm) noexcept
    {
        in_.expect(" (");
        auto const* const from = in_.position();
        auto const* at = from;
        for (auto const* const end = from + in_.rest().size(); at != end && *at != ')';) ++at;
        comm = {from, static_cast<std::size_t>(at - from)};
        in_.advance_to(at);
    }
    [[gnu::always_inline]] void operator()(char const*, task_state& state) noexcept
    {
        in_.expect(") ");
        read_value(in_, state);
        in_.expect(' ');
        auto const rest = in_.rest();
        scanned_ = in_.ok() && state.letter != ')' && rest.size() > 64 && rest.back() == '\n' &&
                   numbers_.scan(rest.data(), rest.data() + rest.size() - 1);
        if (!scanned_) [[unlikely]] numbers_.clear();
    }
    template <class Field>
    [[gnu::always_inline]] void operator()(char const*, Field& field) noexcept { read_value(numbers_, field); }

    [[nodiscard]] bool ok() const noexcept { return scanned_ && numbers_.ok(); }

private:
    text::cursor in_;
    text::numbers<49> numbers_;
    bool scanned_ = false;
};

/// \return false: it is no usual line, and a careful look has to tell what it is
[[nodiscard, gnu::always_inline]] inline bool read_usual(std::string_view text, stat& out) noexcept
{
    usual_stat_reader read{text};
    stat::each_field(out, read);
    return read.ok();
}

} // namespace detail

constexpr result<stat> stat::parse(std::string_view text) noexcept
{
    result<stat> decoded{in_place<stat>};
    if (text::detail::takes_many_bytes && !__builtin_is_constant_evaluated())
        if (detail::read_usual(text, decoded.assume_value())) [[likely]] return decoded;
    detail::read_carefully(text, decoded);
    return decoded;
}

} // namespace taskpeek::procfs
