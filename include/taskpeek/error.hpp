// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Why something could not be told: a small value that prints itself in one sentence.

#include <taskpeek/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek {

/// What kept an answer back.
enum class errc : std::uint8_t {
    vanished = 1,   ///< the task ended before or while it was read
    denied,         ///< the kernel refused this reader (EACCES, EPERM)
    unsupported,    ///< this kernel, or this recorded tree, has no such file
    truncated,      ///< the text ends too early, or outgrew the buffer: `offset` bytes were there
    malformed,      ///< the text is not what the kernel prints; `offset` is the first byte that does not fit
    zombie,         ///< the task has exited and waits to be reaped: it has no address space to tell of
    kernel_thread,  ///< the task never had an address space of its own
    invalid,        ///< the caller asked for what cannot be (EINVAL)
    os              ///< any other answer of the kernel: see `os_error`
};

/// The kernel's source of an answer: a file below `/proc/<tgid>` or `/proc/<tgid>/task/<tid>`, a system-wide file, or a system call.
enum class kernel_file : std::uint8_t {
    none,
    // directories
    proc, process, task, fd, ns, map_files,
    // files of a task
    auxv, cgroup, children, cmdline, comm, cwd, environ, exe, fdinfo, io, limits, maps, mem, oom_score, oom_score_adj, pagemap,
    root, schedstat, smaps, smaps_rollup, stack, stat, statm, status, syscall, wchan,
    // files of the system
    system_stat,
    // system calls
    prlimit, ioctl, process_vm_readv, ptrace,
    // other people's files
    elf, perf_map
};

/// The name as the kernel spells it: `"smaps_rollup"`.
[[nodiscard]] constexpr std::string_view name_of(kernel_file file) noexcept
{
    switch (file) {
    case kernel_file::none: return "";
    case kernel_file::proc: return "task list";
    case kernel_file::process: return "directory";
    case kernel_file::task: return "task";
    case kernel_file::fd: return "fd";
    case kernel_file::ns: return "ns";
    case kernel_file::map_files: return "map_files";
    case kernel_file::auxv: return "auxv";
    case kernel_file::cgroup: return "cgroup";
    case kernel_file::children: return "children";
    case kernel_file::cmdline: return "cmdline";
    case kernel_file::comm: return "comm";
    case kernel_file::cwd: return "cwd";
    case kernel_file::environ: return "environ";
    case kernel_file::exe: return "exe";
    case kernel_file::fdinfo: return "fdinfo";
    case kernel_file::io: return "io";
    case kernel_file::limits: return "limits";
    case kernel_file::maps: return "maps";
    case kernel_file::mem: return "mem";
    case kernel_file::oom_score: return "oom_score";
    case kernel_file::oom_score_adj: return "oom_score_adj";
    case kernel_file::pagemap: return "pagemap";
    case kernel_file::root: return "root";
    case kernel_file::schedstat: return "schedstat";
    case kernel_file::smaps: return "smaps";
    case kernel_file::smaps_rollup: return "smaps_rollup";
    case kernel_file::stack: return "stack";
    case kernel_file::stat: return "stat";
    case kernel_file::statm: return "statm";
    case kernel_file::status: return "status";
    case kernel_file::syscall: return "syscall";
    case kernel_file::wchan: return "wchan";
    case kernel_file::system_stat: return "/proc/stat";
    case kernel_file::prlimit: return "prlimit";
    case kernel_file::ioctl: return "ioctl";
    case kernel_file::process_vm_readv: return "process_vm_readv";
    case kernel_file::ptrace: return "ptrace";
    case kernel_file::elf: return "ELF file";
    case kernel_file::perf_map: return "perf map";
    }
    return "";
}

/// The word for scripts: `"denied"`.
[[nodiscard]] constexpr std::string_view name_of(errc code) noexcept
{
    switch (code) {
    case errc::vanished: return "vanished";
    case errc::denied: return "denied";
    case errc::unsupported: return "unsupported";
    case errc::truncated: return "truncated";
    case errc::malformed: return "malformed";
    case errc::zombie: return "zombie";
    case errc::kernel_thread: return "kernel_thread";
    case errc::invalid: return "invalid";
    case errc::os: return "os";
    }
    return "";
}

/// The symbol of an errno value that Linux gives for reads of `/proc` and its system calls, empty for others: `"EACCES"`.
/// The numbers are those of include/uapi/asm-generic/errno-base.h, alike on every architecture.
[[nodiscard]] constexpr std::string_view errno_name(int number) noexcept
{
    switch (number) {
    case 1: return "EPERM";
    case 2: return "ENOENT";
    case 3: return "ESRCH";
    case 4: return "EINTR";
    case 5: return "EIO";
    case 6: return "ENXIO";
    case 7: return "E2BIG";
    case 9: return "EBADF";
    case 11: return "EAGAIN";
    case 12: return "ENOMEM";
    case 13: return "EACCES";
    case 14: return "EFAULT";
    case 16: return "EBUSY";
    case 17: return "EEXIST";
    case 18: return "EXDEV";
    case 19: return "ENODEV";
    case 20: return "ENOTDIR";
    case 21: return "EISDIR";
    case 22: return "EINVAL";
    case 23: return "ENFILE";
    case 24: return "EMFILE";
    case 25: return "ENOTTY";
    default: return "";
    }
}

/// A sentence in a buffer of its own; reads as a `std::string_view` while it lives.
class error_text {
public:
    [[nodiscard]] constexpr std::string_view view() const& noexcept { return {text_, size_}; }
    [[nodiscard]] std::string_view view() const&& = delete; // would dangle: keep the error_text
    [[nodiscard]] constexpr operator std::string_view() const& noexcept { return view(); }
    operator std::string_view() const&& = delete;

    constexpr error_text& operator<<(std::string_view s) noexcept
    {
        for (char const c : s)
            if (size_ < sizeof text_) text_[size_++] = c;
        return *this;
    }

    constexpr error_text& operator<<(std::int64_t n) noexcept
    {
        if (n < 0) *this << "-";
        char digits[20]{};
        std::size_t count = 0;
        auto rest = n < 0 ? 0 - static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n);
        do digits[count++] = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        while (count > 0) *this << std::string_view{&digits[--count], 1};
        return *this;
    }

private:
    char text_[160]{};
    std::size_t size_ = 0;
};

/// Why there is no answer: what happened, to which task, in which kernel file, where.
/// Trivially copyable, 16 bytes. A decoder leaves `task` empty: it knows no task; whoever read the text fills it in.
struct error {
    errc code = errc::os;
    kernel_file file = kernel_file::none;
    std::int16_t os_error = 0;   ///< errno of the failed system call, 0 when none failed
    task_id task = {};           ///< {0, 0} when no task is meant
    std::uint32_t offset = 0;    ///< bytes before the fault, for `truncated` and `malformed`

    /// One sentence that names the task, the file and the reason.
    [[nodiscard]] constexpr error_text message() const noexcept;

    friend constexpr bool operator==(error const&, error const&) noexcept = default;

    /// Prints `message()` to a std::ostream, or to anything else that takes a std::string_view.
    template <class Stream>
        requires requires(Stream& stream, std::string_view text) { stream << text; }
    friend Stream& operator<<(Stream& stream, error const& e)
    {
        auto const text = e.message();
        stream << text.view();
        return stream;
    }
};

/// What a failed system call on \p file means: ENOENT and ESRCH are taken for a task that has gone; who can look closer should
/// (see `task/process.hpp`). \p number is a positive errno.
[[nodiscard]] constexpr error os_failure(int number, kernel_file file, task_id task = {}) noexcept
{
    auto const code = [number] {
        switch (number) {
        case 1: case 13: return errc::denied;    // EPERM, EACCES
        case 2: case 3: return errc::vanished;   // ENOENT, ESRCH
        case 22: return errc::invalid;           // EINVAL
        default: return errc::os;
        }
    }();
    return {code, file, static_cast<std::int16_t>(number), task, 0};
}

constexpr error_text error::message() const noexcept
{
    error_text out;
    auto const who = [&]() -> error_text& {
        if (task.tgid.value == 0 && task.tid.value == 0) return out << "no particular task";
        if (task.is_leader() || task.tid.value == 0) return out << "process " << task.tgid.value;
        return out << "thread " << task.tid.value << " of process " << task.tgid.value;
    };
    auto const of_whom = [&]() {
        if (task != task_id{}) { out << " of "; who(); }
    };
    auto const what = file == kernel_file::none ? std::string_view{"the text"} : name_of(file);
    auto const reason = [&] {
        if (os_error == 0) return;
        out << " (";
        if (auto const symbol = errno_name(os_error); !symbol.empty()) out << symbol;
        else out << "errno " << os_error;
        out << ")";
    };

    if (file == kernel_file::prlimit && (code == errc::denied || code == errc::invalid || code == errc::unsupported)) {
        out << (code == errc::invalid ? "setting the limit" : "access to the limit");
        of_whom();
        out << (code == errc::denied    ? " was denied: a raised hard limit, or another user's process, needs CAP_SYS_RESOURCE"
                : code == errc::invalid ? " is not possible: the soft limit would be above the hard one"
                                        : " is not possible: it is not of this /proc, or recorded");
        reason();
        return out;
    }
    switch (code) {
    case errc::vanished:
        if (task == task_id{}) out << what << " is not there";
        else if (file == kernel_file::process) { out << "there is no "; who(); }
        else { who() << " has gone; its " << what << " could not be read"; }
        break;
    case errc::denied: out << "reading " << what; of_whom(); out << " was denied"; break;
    case errc::unsupported:
        if (file == kernel_file::fd || file == kernel_file::fdinfo || file == kernel_file::ns) {
            out << what; of_whom(); out << " has no such entry";
            break;
        }
        out << "there is no " << what; of_whom(); out << " on this kernel";
        break;
    case errc::truncated: out << what; of_whom(); out << " is truncated after " << static_cast<std::int64_t>(offset) << " bytes"; break;
    case errc::malformed: out << what; of_whom(); out << " is malformed at byte " << static_cast<std::int64_t>(offset); break;
    case errc::zombie: who() << " is a zombie: it has no " << what; break;
    case errc::kernel_thread: who() << " is a kernel thread: it has no " << what; break;
    case errc::invalid: out << what; of_whom(); out << " cannot be what was asked for"; break;
    case errc::os: out << "reading " << what; of_whom(); out << " failed"; break;
    }
    reason();
    return out;
}

} // namespace taskpeek
