// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Copies what unwinding a thread needs, and lets go: its registers, as far as they are told, and its stack.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/procfs/schedstat.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/procfs/status.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/machine.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/task/process.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <fcntl.h>
#include <sys/uio.h>
#include <time.h> // NOLINT(modernize-deprecated-headers): <ctime> brings no timespec of its own

namespace taskpeek::stack {

/// How a thread is captured. What is asked for is done or refused; nothing escalates by itself.
enum class capture_mode : std::uint8_t {
    no_stop,    ///< threads that are blocked, without touching them: only sp and pc are told
    brief_stop  ///< any thread, by ptrace(2): see `brief_stop`
};

/// What a capture found.
enum class capture_outcome : std::uint8_t {
    captured,
    running,         ///< runnable or on a CPU: nothing to copy that would hold still
    moved,           ///< it ran while it was copied, at every attempt
    kernel_thread,   ///< it has no user stack
    traced,          ///< somebody else traces it already: see `tracer`
    uninterruptible, ///< in an uninterruptible sleep: it could not be stopped; no_stop can look at it
    failed           ///< see `why`: vanished, zombie, denied, …
};

/// The word for people and scripts.
[[nodiscard]] constexpr std::string_view name_of(capture_outcome outcome) noexcept
{
    switch (outcome) {
    case capture_outcome::captured: return "captured";
    case capture_outcome::running: return "running";
    case capture_outcome::moved: return "moved";
    case capture_outcome::kernel_thread: return "kernel_thread";
    case capture_outcome::traced: return "traced";
    case capture_outcome::uninterruptible: return "uninterruptible";
    case capture_outcome::failed: return "failed";
    }
    return "";
}

/// Who did not let a thread be looked at, as far as we can tell.
enum class refusal : std::uint8_t {
    none,
    credentials,  ///< another user's, not dumpable, or it has capabilities that we lack: not even `maps` may be read
    yama,         ///< a security module that asks more of ptrace(2) than of reading: kernel.yama.ptrace_scope
    seccomp       ///< a filter of our own takes ptrace(2) from us
};

/// The rule in words.
[[nodiscard]] constexpr std::string_view describe(refusal rule) noexcept
{
    switch (rule) {
    case refusal::none: return "not refused";
    case refusal::credentials: return "the credentials do not suffice: another user's, or not dumpable, or with more capabilities";
    case refusal::yama: return "Yama (kernel.yama.ptrace_scope) or another security module refuses";
    case refusal::seccomp: return "a seccomp filter of our own keeps ptrace(2) from us";
    }
    return "";
}

/// One thread as it was at one moment.
/// Lifetime: `stack` and `other` are views into the memory that was lent to the capture.
struct thread_capture {
    task_id id;
    capture_mode mode = capture_mode::no_stop;
    capture_outcome outcome = capture_outcome::failed;
    bool in_syscall = false;
    bool was_stopped = false;      ///< by a signal, before we came; it still is
    bool copy_is_whole = true;     ///< false: the memory lent was too small for the stack
    std::int64_t syscall_nr = -1;  ///< by the target's ABI
    procfs::syscall_arguments syscall_args;
    registers regs;
    address stack_start;           ///< of the first byte of `stack`
    std::string_view stack;        ///< the bytes from there on
    address other_start;           ///< where a signal handler runs on an alternate stack, the one that it interrupted
    std::string_view other;
    tid tracer{};                  ///< of `traced`
    nanoseconds pause;             ///< how long brief_stop held it
    error why{};                   ///< of `failed`
    refusal refused = refusal::none; ///< of `failed` by `denied`

    /// The 8 bytes (or fewer) at \p at, if they were copied.
    [[nodiscard]] bool read(std::uint64_t at, std::size_t size, std::uint64_t& value) const noexcept
    {
        return read_from(stack, stack_start.value, at, size, value) || read_from(other, other_start.value, at, size, value);
    }

    /// Where the copy ends that \p at is in: the address behind its last byte; 0 if \p at was not copied.
    [[nodiscard]] std::uint64_t end_of_copy(std::uint64_t at) const noexcept
    {
        if (at >= stack_start.value && at - stack_start.value <= stack.size()) return stack_start.value + stack.size();
        if (at >= other_start.value && at - other_start.value <= other.size()) return other_start.value + other.size();
        return 0;
    }

    /// How much of the memory lent is in use.
    [[nodiscard]] std::size_t copied() const noexcept
    {
        return other.empty() ? stack.size() : static_cast<std::size_t>(other.data() + other.size() - stack.data());
    }

private:
    [[nodiscard]] static bool read_from(std::string_view copy, std::uint64_t start, std::uint64_t at, std::size_t size,
                                        std::uint64_t& value) noexcept
    {
        auto const from = at - start;
        if (at < start || from >= copy.size() || copy.size() - from < size || size > sizeof value) return false;
        value = 0;
        __builtin_memcpy(&value, copy.data() + from, size);
        return true;
    }
};

namespace detail {

/// Copies up to \p size bytes of a process: process_vm_readv(2), or `mem` where that is not to be had.
/// \return how many there were, or the failure.
[[nodiscard]] inline result<std::size_t> copy_memory(task_id id, int directory, std::uint64_t at, char* into, std::size_t size) noexcept
{
    iovec const to{into, size};
    iovec const from{reinterpret_cast<void*>(at), size}; // NOLINT(performance-no-int-to-ptr): an address of the other process
    auto const got = io::system_call(SYS_process_vm_readv, id.tid.value, io::as_argument(&to), 1, io::as_argument(&from), 1, 0);
    if (got.ok()) return got.count();
    bool const filtered = got.error() == 1 || got.error() == 38; // EPERM, ENOSYS
    if (!filtered) return os_failure(got.error(), kernel_file::process_vm_readv, id);
    auto const opened = io::open(directory, "mem", O_RDONLY, kernel_file::mem, id);
    if (!opened) return opened.error();
    auto const read = io::pread(opened.value().get(), into, size, at);
    if (!read.ok()) return os_failure(read.error(), kernel_file::mem, id);
    return read.count();
}

/// How often a thread got a CPU: equal before and after means that it did not run between.
struct run_count {
    enum class source : std::uint8_t { none, schedstat, status } from = source::none;
    std::uint64_t a = 0;
    std::uint64_t b = 0;

    friend bool operator==(run_count const&, run_count const&) noexcept = default;
};

/// A small file of a thread that is read twice: opened once.
class twice_read {
public:
    twice_read(int directory, char const* name) noexcept
    {
        auto const fd = io::open_at(directory, name, O_RDONLY);
        if (fd.ok()) file_ = io::descriptor{static_cast<int>(fd.value())};
        else error_ = fd.error();
    }
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] std::string_view read(lent_buffer into) noexcept
    {
        if (!file_.is_open()) return {};
        auto const got = io::pread(file_.get(), into.data(), into.size(), 0);
        error_ = got.error();
        return got.ok() ? std::string_view{into.data(), got.count()} : std::string_view{};
    }

private:
    io::descriptor file_;
    int error_ = 0;
};

class run_counter {
public:
    explicit run_counter(int directory) noexcept : directory_{directory}, schedstat_{directory, "schedstat"} {}

    [[nodiscard]] run_count read() noexcept
    {
        buffer<procfs::schedstat::typical_size> memory;
        if (auto const text = schedstat_.read(memory); !text.empty()) {
            auto const s = procfs::schedstat::parse(text);
            // Without the scheduler's accounting it is absent, or `0 0 0` (fs/proc/base.c, proc_pid_schedstat): no thread to be
            // looked at has never run. An accounting that was turned on late counts from then on, which serves.
            if (s && s.value().pcount && *s.value().pcount != 0)
                return {run_count::source::schedstat, *s.value().pcount, s.value().sum_exec_runtime->count};
        }
        buffer<procfs::status::typical_size> large; // then the counts of context switches
        auto const text = io::read_file(directory_, "status", large, io::read_mode::at_once, kernel_file::status);
        if (!text) return {};
        auto const s = procfs::status::parse(text.value());
        if (!s || !s.value().voluntary_ctxt_switches || !s.value().nonvoluntary_ctxt_switches) return {};
        return {run_count::source::status, *s.value().voluntary_ctxt_switches, *s.value().nonvoluntary_ctxt_switches};
    }

private:
    int directory_;
    twice_read schedstat_;
};

/// Copies from a little below \p sp (the red zone) to the end of its vma, as far as \p memory goes.
struct copied_range {
    address start;
    std::string_view bytes;
    bool is_whole = false;
};
[[nodiscard]] inline result<copied_range> copy_upwards(task_id id, std::uint64_t sp, int directory, mapping_table const& maps,
                                                       lent_buffer memory) noexcept
{
    constexpr std::uint64_t red_zone = 128;
    auto const* const vma = maps.find(address{sp});
    auto start = sp < red_zone ? 0 : sp - red_zone;
    if (vma != nullptr && start < vma->start.value) start = vma->start.value;
    start &= ~std::uint64_t{7};
    auto wanted = static_cast<std::uint64_t>(memory.size());
    copied_range out;
    out.is_whole = vma != nullptr && vma->end.value - start <= wanted;
    if (vma != nullptr && vma->end.value - start < wanted) wanted = vma->end.value - start;
    auto const got = copy_memory(id, directory, start, memory.data(), static_cast<std::size_t>(wanted));
    if (!got) return got.error();
    out.start = address{start};
    out.bytes = {memory.data(), got.value()};
    if (vma == nullptr) out.is_whole = got.value() < memory.size();
    return out;
}

/// A signal handler's alternate stack, and where the stack goes on that it interrupted.
struct interrupted_stack {
    std::uint64_t sp = 0;             ///< 0: there is none
    std::uint64_t alternate_end = 0;
};

/// Looks in a copied stack for the frame that the kernel makes on an alternate stack (struct rt_sigframe in
/// arch/{x86,arm64}/kernel/signal.c): it keeps the bounds of that stack, which lie about it, and registers that do not.
[[nodiscard]] inline interrupted_stack find_interrupted(copied_range const& copy, mapping_table const& maps) noexcept
{
    // Of struct ucontext: uc_flags, uc_link, uc_stack{ss_sp, ss_flags, ss_size}; then where sp and pc are kept.
    constexpr std::size_t sp_at = native_machine == machine::x86_64 ? 160 : 432;
    constexpr std::size_t size = sp_at + 16;
    auto const word = [&](std::size_t at) {
        std::uint64_t v = 0;
        __builtin_memcpy(&v, copy.bytes.data() + at, sizeof v);
        return v;
    };
    auto const is_data = [&](std::uint64_t at) {
        auto const* const vma = maps.find(address{at});
        return vma != nullptr && vma->perms.read && vma->perms.write;
    };
    constexpr std::uint64_t largest = std::uint64_t{1} << 30;
    for (std::size_t at = 0; at + size <= copy.bytes.size(); at += 8) {
        auto const here = copy.start.value + at;
        auto const start = word(at + 16);
        if (start > here || here - start >= largest) continue;
        auto const length = word(at + 32);
        if (length <= here - start || length > largest) continue;
        constexpr std::uint64_t ss_autodisarm = 0x80000000; // no other flag stands where the stack is entered
        if (word(at) > 0xff || word(at + 8) != 0 || (word(at + 24) & ~ss_autodisarm) != 0) continue;
        auto const sp = word(at + sp_at);
        auto const pc = word(at + sp_at + 8);
        if (sp - start < length || (pc >= 0x10000 && !maps.is_executable(address{pc}))) continue; // it may have jumped to nowhere
        if (is_data(sp) && is_data(start) && is_data(start + length - 1)) return {sp, start + length};
    }
    return {};
}

/// Copies what unwinding needs of the stack, and of another that a handler on an alternate stack interrupted.
[[nodiscard]] inline result<void> copy_stack(thread_capture& into, int directory, mapping_table const& maps, lent_buffer memory) noexcept
{
    into.other = {};
    auto first = copy_upwards(into.id, into.regs.sp().value, directory, maps, memory);
    if (!first) return first.error();
    auto& copy = first.value();
    if (auto const interrupted = find_interrupted(copy, maps); interrupted.sp != 0) {
        if (auto const length = interrupted.alternate_end - copy.start.value; length < copy.bytes.size()) {
            copy.bytes = copy.bytes.substr(0, static_cast<std::size_t>(length)); // what lies behind is no stack
            copy.is_whole = true;
        }
        auto const used = (copy.bytes.size() + 7) & ~std::size_t{7};
        if (used < memory.size()) {
            auto const second = copy_upwards(into.id, interrupted.sp, directory, maps, {memory.data() + used, memory.size() - used});
            if (second) { // else unwinding says which memory it lacks
                into.other_start = second.value().start;
                into.other = second.value().bytes;
                copy.is_whole = copy.is_whole && second.value().is_whole;
            }
        } else {
            copy.is_whole = false;
        }
    }
    into.stack_start = copy.start;
    into.stack = copy.bytes;
    into.copy_is_whole = copy.is_whole;
    return success();
}

/// Which rule it was that refused: reading asks less than attaching does, and a file less than the system call.
[[nodiscard]] inline refusal who_refused(int directory) noexcept
{
    char byte[8];
    auto const may = [&](char const* name) {
        auto const fd = io::open_at(directory, name, O_RDONLY);
        if (!fd.ok()) return false;
        io::descriptor const file{static_cast<int>(fd.value())};
        return io::pread(file.get(), byte, sizeof byte, 0).ok();
    };
    if (!may("auxv")) return refusal::credentials;
    if (!may("syscall")) return refusal::yama;
    constexpr long get_seccomp = 21; // PR_GET_SECCOMP
    auto const mode = io::system_call(SYS_prctl, get_seccomp, 0, 0, 0, 0);
    return mode.ok() && mode.count() == 0 ? refusal::none : refusal::seccomp;
}

inline void set_syscall_registers(thread_capture& c, bool with_arguments) noexcept
{
    constexpr register_number x86[] = {5, 4, 1, 10, 8, 9}; // rdi, rsi, rdx, r10, r8, r9
    for (std::size_t i = 0; with_arguments && i < 6; ++i)
        c.regs.set(native_machine == machine::x86_64 ? x86[i] : static_cast<register_number>(i), c.syscall_args[i]);
}

} // namespace detail

/// Captures a blocked thread without stopping it: its `syscall` and its count of runs are read, its stack is copied, both are read
/// again, and only if nothing changed is the copy taken (at most \p attempts times). Only sp, pc and the arguments of a system call
/// are told; what else a frame needs is for the unwinder to infer, or to say that it cannot.
/// Threads of a 32-bit process are captured, but not unwound.
/// Needs the right to attach with ptrace(2); makes about 9 system calls, none of which the target notices.
/// Lifetime: the copy lies in \p memory.
[[nodiscard]] inline thread_capture no_stop(thread const& of, mapping_table const& maps, lent_buffer memory, unsigned attempts = 3) noexcept
{
    thread_capture c;
    c.id = of.id();
    c.mode = capture_mode::no_stop;
    auto fail = [&](error why) {
        c.outcome = why.code == errc::kernel_thread ? capture_outcome::kernel_thread : capture_outcome::failed;
        c.why = why;
        if (why.code == errc::denied) c.refused = detail::who_refused(of.directory());
        return c;
    };
    detail::run_counter runs{of.directory()};
    detail::twice_read file{of.directory(), "syscall"};
    auto failure = [&](int number) {
        return taskpeek::detail::explain(of.directory(), {}, os_failure(number, kernel_file::syscall, c.id), true);
    };
    if (file.error() != 0) return fail(failure(file.error()));
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        buffer<procfs::syscall::typical_size> first;
        buffer<procfs::syscall::typical_size> second;
        auto const runs_before = runs.read();
        auto const before = file.read(first);
        if (file.error() != 0) return fail(failure(file.error()));
        auto const parsed = procfs::syscall::parse(before);
        if (!parsed) return fail(before.empty() ? failure(3) : parsed.error());
        auto const& s = parsed.value();
        if (s.kind == procfs::syscall::form::running) { c.outcome = capture_outcome::running; return c; }
        if (s.kind == procfs::syscall::form::no_user_registers)
            return fail(taskpeek::detail::explain(of.directory(), {}, {errc::vanished, kernel_file::syscall, 0, c.id, 0}, true));

        auto const traits = traits_of(native_machine);
        c.regs = registers{native_machine};
        c.regs.set(traits.sp, s.sp->value);
        c.regs.set(traits.pc, s.pc->value);
        c.in_syscall = s.kind == procfs::syscall::form::inside;
        if (c.in_syscall) {
            c.syscall_nr = *s.nr;
            c.syscall_args = *s.args;
        }
        detail::set_syscall_registers(c, c.in_syscall);
        auto const copied = detail::copy_stack(c, of.directory(), maps, memory);
        auto const after = file.read(second);
        auto const runs_after = runs.read();
        if (before == after && runs_before == runs_after && runs_before.from != detail::run_count::source::none) {
            if (!copied) return fail(copied.error());
            c.outcome = capture_outcome::captured;
            return c;
        }
    }
    c.stack = c.other = {};
    c.outcome = capture_outcome::moved;
    return c;
}

namespace detail {

// ptrace(2) requests, as linux/ptrace.h numbers them: its header and the C library's do not go together.
inline constexpr long ptrace_detach = 17;
inline constexpr long ptrace_getregset = 0x4204;
inline constexpr long ptrace_seize = 0x4206;
inline constexpr long ptrace_interrupt = 0x4207;
inline constexpr int ptrace_event_stop = 128;

[[nodiscard]] inline std::uint64_t now() noexcept
{
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

/// One thread that this thread has seized. Whatever happens, it is let go.
class seized_thread {
public:
    seized_thread() noexcept = default;
    seized_thread(seized_thread const&) = delete;
    seized_thread& operator=(seized_thread const&) = delete;
    ~seized_thread() { detach(); }

    /// Is it there, and is it neither traced, nor asleep so that it cannot be stopped? Then seizes it, which does not stop it yet.
    /// Whoever is seized must be interrupted, or detach() waits for ever.
    [[nodiscard]] bool seize(thread const& of, thread_capture& c) noexcept
    {
        buffer<procfs::status::typical_size> memory;
        auto const status = of.read<procfs::status>(memory);
        if (!status) { c.why = status.error(); return false; }
        auto const& s = status.value();
        if (s.tracer_pid && s.tracer_pid->value != 0) {
            c.outcome = capture_outcome::traced;
            c.tracer = tid{s.tracer_pid->value};
            return false;
        }
        if (s.state && *s.state == procfs::task_state::disk_sleep) { c.outcome = capture_outcome::uninterruptible; return false; }
        if (s.state && *s.state == procfs::task_state::zombie) { c.why = {errc::zombie, kernel_file::ptrace, 0, c.id, 0}; return false; }
        c.was_stopped = s.state && *s.state == procfs::task_state::stopped;
        auto const seized = io::system_call(SYS_ptrace, ptrace_seize, c.id.tid.value, 0, 0);
        if (!seized.ok()) {
            c.why = taskpeek::detail::explain(of.directory(), {}, os_failure(seized.error(), kernel_file::ptrace, c.id), true);
            if (c.why.code == errc::kernel_thread) c.outcome = capture_outcome::kernel_thread;
            if (c.why.code == errc::denied) c.refused = who_refused(of.directory());
            return false;
        }
        tid_ = c.id.tid;
        return true;
    }

    /// Asks it to stop.
    [[nodiscard]] bool interrupt(thread_capture& c) noexcept
    {
        began_ = now();
        auto const asked = io::system_call(SYS_ptrace, ptrace_interrupt, tid_.value, 0, 0);
        if (!asked.ok()) {
            c.why = os_failure(asked.error(), kernel_file::ptrace, c.id);
            return false; // it is exiting: wait() in detach sees its end
        }
        return true;
    }

    /// Waits until it has stopped. One that meanwhile fell into an uninterruptible sleep is waited for: a thread that was seized can
    /// only be let go while it is stopped.
    [[nodiscard]] bool wait() noexcept
    {
        constexpr long any_child = 0x40000000; // __WALL
        if (tid_.value == 0) return false;
        if (stopped_) return true;
        int status = 0;
        for (;;) {
            auto const got = io::system_call(SYS_wait4, tid_.value, io::as_argument(&status), any_child, 0);
            if (got.error() == 4) continue; // EINTR
            if (!got.ok()) { tid_ = {}; return false; }
            break;
        }
        if ((status & 0xff) != 0x7f) { tid_ = {}; return false; } // it ended
        stopped_ = true;
        // A signal that was on its way is handed over when it is let go.
        if (status >> 16 == 0) signal_ = status >> 8 & 0xff;
        in_group_stop_ = status >> 16 == ptrace_event_stop && (status >> 8 & 0xff) != 5; // SIGTRAP: our own PTRACE_INTERRUPT
        return true;
    }

    [[nodiscard]] bool in_group_stop() const noexcept { return in_group_stop_; }

    [[nodiscard]] result<void> registers_of(thread_capture& c) const noexcept
    {
        std::uint64_t raw[64]{};
        iovec to{raw, sizeof raw};
        auto const got = io::system_call(SYS_ptrace, ptrace_getregset, tid_.value, 1 /* NT_PRSTATUS */, io::as_argument(&to));
        if (!got.ok()) return os_failure(got.error(), kernel_file::ptrace, c.id);
        c.regs = registers{native_machine};
        if constexpr (native_machine == machine::x86_64) {
            if (to.iov_len != 27 * sizeof(std::uint64_t)) return error{errc::unsupported, kernel_file::ptrace, 0, c.id, 0}; // i386
            constexpr register_number order[] = {15, 14, 13, 12, 6, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5};
            for (std::size_t i = 0; i < 15; ++i) c.regs.set(order[i], raw[i]);
            c.regs.set(16, raw[16]);
            c.regs.set(7, raw[19]);
            c.syscall_nr = static_cast<std::int64_t>(raw[15]); // orig_rax
            constexpr std::size_t args[] = {14, 13, 12, 7, 9, 8};
            for (std::size_t i = 0; i < 6; ++i) c.syscall_args.values[i] = raw[args[i]];
            c.in_syscall = c.syscall_nr >= 0;
        } else {
            if (to.iov_len < 33 * sizeof(std::uint64_t)) return error{errc::unsupported, kernel_file::ptrace, 0, c.id, 0};
            for (register_number r = 0; r < 33; ++r) c.regs.set(r, raw[r]);
            std::int32_t number = -1;
            iovec call{&number, sizeof number};
            constexpr long nt_arm_system_call = 0x404;
            auto const told = io::system_call(SYS_ptrace, ptrace_getregset, tid_.value, nt_arm_system_call, io::as_argument(&call));
            if (told.ok()) c.syscall_nr = number;
            for (std::size_t i = 0; i < 6; ++i) c.syscall_args.values[i] = raw[i];
            c.in_syscall = c.syscall_nr >= 0;
        }
        return success();
    }

    /// \return how long it was held: from asking it to stop until it could go on.
    nanoseconds detach() noexcept
    {
        if (tid_.value == 0) return {};
        if (!stopped_ && !wait()) return {};
        (void)io::system_call(SYS_ptrace, ptrace_detach, tid_.value, 0, signal_);
        auto const held = now() - began_;
        tid_ = {};
        stopped_ = false;
        return nanoseconds{held};
    }

private:
    tid tid_{};
    bool stopped_ = false;
    bool in_group_stop_ = false;
    int signal_ = 0;
    std::uint64_t began_ = 0;
};

inline void capture_stopped(thread_capture& c, seized_thread& held, thread const& of, mapping_table const& maps,
                            lent_buffer memory) noexcept
{
    if (!held.wait()) {
        c.why = {errc::vanished, kernel_file::ptrace, 0, c.id, 0};
        return;
    }
    c.was_stopped = c.was_stopped || held.in_group_stop();
    if (auto const got = held.registers_of(c); !got) { c.why = got.error(); return; }
    if (auto const copied = copy_stack(c, of.directory(), maps, memory); !copied) { c.why = copied.error(); return; }
    if (auto const still = of.check(); !still) { c.why = still.error(); return; } // the number may have been another's
    c.outcome = capture_outcome::captured;
}

} // namespace detail

/// Captures a thread by stopping it for as long as the copy takes (PTRACE_SEIZE and PTRACE_INTERRUPT, since 3.4; some 20 to 100 µs),
/// with all its registers. It receives no signal; but a system call that it is blocked in is interrupted and begun again by the
/// kernel, except those which signal(7) lists as never restarted: epoll_wait, sigtimedwait, semop, io_getevents, a poll or a socket
/// call with a time-out … return EINTR to the target.
/// A thread that a signal had stopped stays stopped; one that is traced, or sleeps uninterruptibly, is left alone and reported.
/// If this process is killed, the kernel lets the thread go. No other child of the calling thread is waited for.
/// Errors (as the outcome `failed`): denied (credentials, Yama, seccomp: see `refused`), vanished, zombie, unsupported (a 32-bit process).
/// Lifetime: the copy lies in \p memory.
[[nodiscard]] inline thread_capture brief_stop(thread const& of, mapping_table const& maps, lent_buffer memory) noexcept
{
    thread_capture c;
    c.id = of.id();
    c.mode = capture_mode::brief_stop;
    detail::seized_thread held;
    if (held.seize(of, c) && held.interrupt(c)) detail::capture_stopped(c, held, of, maps, memory);
    c.pause = held.detach();
    return c;
}

/// A thread to stop together with others, and room for what that takes.
struct held_thread {
    thread_capture capture;
    detail::seized_thread seized;
    bool asked = false;
};

/// Stops the threads all at once, copies each, and lets all go: one consistent picture, the longest pause. \p memory is shared out as
/// the stacks need it. \p threads and \p held are as long as each other.
/// See `brief_stop` for what a stop does to the target.
inline void brief_stop_together(std::span<thread const> threads, mapping_table const& maps, std::span<held_thread> held,
                                lent_buffer memory) noexcept
{
    auto const count = threads.size() < held.size() ? threads.size() : held.size();
    for (std::size_t i = 0; i < count; ++i) {
        held[i].capture = thread_capture{};
        held[i].capture.id = threads[i].id();
        held[i].capture.mode = capture_mode::brief_stop;
        held[i].asked = held[i].seized.seize(threads[i], held[i].capture);
    }
    for (std::size_t i = 0; i < count; ++i) // what takes longer is done: the first is not held while the others are looked for
        held[i].asked = held[i].asked && held[i].seized.interrupt(held[i].capture);
    std::size_t used = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (!held[i].asked) continue;
        detail::capture_stopped(held[i].capture, held[i].seized, threads[i], maps, {memory.data() + used, memory.size() - used});
        used += (held[i].capture.copied() + 7) & ~std::size_t{7};
        if (used > memory.size()) used = memory.size();
    }
    for (std::size_t i = 0; i < count; ++i) held[i].capture.pause = held[i].seized.detach();
}

} // namespace taskpeek::stack
