// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Captures kept in a file, to be unwound later or on another machine that has the same ELF files: each is told by a number, so that
/// other code in their place is not taken for them. The vdso's code is kept along.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/capture.hpp>
#include <taskpeek/stack/cfi.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <fcntl.h>

namespace taskpeek::stack {

namespace detail {

inline constexpr std::string_view saved_mark{"taskpeek stacks 2\n", 18};
inline constexpr std::size_t saved_vdso_limit = std::size_t{64} * 1024;

/// Writes numbers and texts, a buffer at a time.
class saved_writer {
public:
    explicit saved_writer(int fd) noexcept : fd_{fd} {}
    void bytes(std::string_view s) noexcept
    {
        while (!s.empty() && error_ == 0) {
            if (used_ == sizeof buffer_) flush();
            auto const part = s.substr(0, sizeof buffer_ - used_);
            __builtin_memcpy(buffer_ + used_, part.data(), part.size());
            used_ += part.size();
            s.remove_prefix(part.size());
        }
    }
    void number(std::uint64_t n) noexcept
    {
        char eight[8];
        for (std::size_t i = 0; i < 8; ++i) eight[i] = static_cast<char>(n >> 8 * i & 0xff);
        bytes({eight, sizeof eight});
    }
    void text(std::string_view s) noexcept
    {
        number(s.size());
        bytes(s);
    }
    /// What of a process's memory can be read of so many bytes at \p at, in front of which stands how many those are.
    void memory(tgid of, std::uint64_t at, std::uint64_t size) noexcept
    {
        auto const from = byte_source::memory(of);
        char page[4096];
        std::uint64_t whole = 0;
        while (whole < size && from.read_whole(at + whole, page, sizeof page)) whole += sizeof page;
        number(whole);
        for (std::uint64_t done = 0; done < whole; done += sizeof page) {
            if (!from.read_whole(at + done, page, sizeof page)) __builtin_memset(page, 0, sizeof page);
            bytes({page, sizeof page});
        }
    }
    [[nodiscard]] int finish() noexcept
    {
        flush();
        return error_;
    }

private:
    void flush() noexcept
    {
        for (std::size_t at = 0; at < used_ && error_ == 0;) {
            auto const put = io::system_call(SYS_write, fd_, io::as_argument(buffer_ + at), static_cast<long>(used_ - at));
            if (put.error() == 4) continue; // EINTR
            if (put.ok()) at += put.count();
            else error_ = put.error();
        }
        used_ = 0;
    }
    int fd_;
    int error_ = 0;
    std::size_t used_ = 0;
    char buffer_[4096];
};

} // namespace detail

/// Writes captures of the process that \p code unwinds to the new file \p path below \p directory. It gets mode 0600, for stacks
/// hold secrets; a file or link that is there already is not touched.
/// Errors: os (EEXIST, ENOSPC, …), denied, vanished (no such directory). What was begun is then removed.
[[nodiscard]] inline result<void> save(int directory, char const* path, unwinder& code, std::span<thread_capture const> threads) noexcept
{
    auto const& maps = code.maps();
    auto const process = code.opener().process();
    auto const fd = io::system_call(SYS_openat, directory, io::as_argument(path),
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (!fd.ok()) return os_failure(fd.error(), kernel_file::none);
    io::descriptor const file{static_cast<int>(fd.value())};
    detail::saved_writer out{file.get()};
    out.bytes(detail::saved_mark);
    out.number(static_cast<std::uint64_t>(native_machine));
    out.number(static_cast<std::uint64_t>(process.value));
    out.number(maps.all().size());
    mapping const* vdso = nullptr;
    for (auto const& m : maps.all()) {
        if (maps.path(m) == "[vdso]") vdso = &m;
        auto const* const code_file = m.perms.execute && m.inode != 0 ? code.module_at(m.start) : nullptr;
        out.number(m.start.value);
        out.number(m.end.value);
        out.number(m.offset.count);
        out.number(m.inode);
        out.number(std::uint64_t{m.dev.major} << 32 | m.dev.minor);
        out.number((m.perms.read ? 1u : 0) | (m.perms.write ? 2u : 0) | (m.perms.execute ? 4u : 0) | (m.perms.shared ? 8u : 0));
        out.number(code_file != nullptr && code_file->usable ? code_file->elf.fingerprint() : m.fingerprint);
        out.text(maps.path(m));
    }
    if (vdso != nullptr && code.opener().is_live() && vdso->end.value - vdso->start.value <= detail::saved_vdso_limit)
        out.memory(process, vdso->start.value, vdso->end.value - vdso->start.value);
    else
        out.number(0);
    out.number(threads.size());
    for (auto const& t : threads) {
        out.number(static_cast<std::uint64_t>(t.id.tid.value));
        out.number(static_cast<std::uint64_t>(t.mode));
        out.number(static_cast<std::uint64_t>(t.outcome));
        out.number((t.in_syscall ? 1u : 0) | (t.was_stopped ? 2u : 0) | (t.copy_is_whole ? 4u : 0));
        out.number(static_cast<std::uint64_t>(t.syscall_nr));
        for (auto const v : t.syscall_args.values) out.number(v);
        std::uint64_t known = 0;
        for (register_number r = 0; r < register_count; ++r) known |= std::uint64_t{t.regs.has(r)} << r;
        out.number(known);
        for (register_number r = 0; r < register_count; ++r)
            if (t.regs.has(r)) out.number(t.regs[r]);
        out.number(static_cast<std::uint64_t>(t.tracer.value));
        out.number(t.pause.count);
        out.number(std::uint64_t{static_cast<std::uint8_t>(t.why.code)} | std::uint64_t{static_cast<std::uint8_t>(t.refused)} << 8 |
                   std::uint64_t{static_cast<std::uint16_t>(t.why.os_error)} << 16);
        out.number(t.stack_start.value);
        out.text(t.stack);
        out.number(t.other_start.value);
        out.text(t.other);
    }
    if (auto const number = out.finish(); number != 0) {
        (void)io::system_call(SYS_unlinkat, directory, io::as_argument(path), 0);
        return os_failure(number, kernel_file::none);
    }
    return success();
}

/// A saved file's bytes, read back: first the vmas, then the threads one by one.
/// Lifetime: views into the bytes.
class saved_captures {
public:
    /// Errors of `status()`: malformed with the offset; unsupported (another machine's).
    explicit saved_captures(std::string_view bytes) noexcept : in_{bytes}
    {
        if (in_.take(detail::saved_mark.size()) != detail::saved_mark) in_.fail();
        foreign_ = in_.u64() != static_cast<std::uint64_t>(native_machine);
        process_ = tgid{static_cast<std::int32_t>(in_.u64())};
    }

    [[nodiscard]] tgid process() const noexcept { return process_; }

    /// The image of the vdso, for `unwinder::lend_vdso`; there once the vmas were taken. Lifetime: a view into the bytes.
    [[nodiscard]] std::string_view vdso() const noexcept { return vdso_; }

    /// The vmas; take them once, and before the threads. Errors: truncated (\p memory is too small), malformed, unsupported.
    [[nodiscard]] result<mapping_table> maps(lent_buffer memory) noexcept
    {
        mapping_table::builder to{memory};
        std::uint64_t last_end = 0;
        for (auto left = in_.u64(); left > 0 && in_.ok(); --left) {
            mapping m;
            m.start.value = in_.u64();
            m.end.value = in_.u64();
            m.offset.count = in_.u64();
            m.inode = in_.u64();
            auto const dev = in_.u64();
            m.dev = {static_cast<std::uint32_t>(dev >> 32), static_cast<std::uint32_t>(dev)};
            auto const perms = in_.u64();
            m.perms = {(perms & 1) != 0, (perms & 2) != 0, (perms & 4) != 0, (perms & 8) != 0};
            m.fingerprint = in_.u64();
            auto const path = in_.take(in_.u64());
            if (!in_.ok() || m.start.value < last_end || m.end < m.start) { in_.fail(); break; } // the search relies on the order
            last_end = m.end.value;
            auto const size = static_cast<std::uint32_t>(memory.size());
            if (!to.add(m, path)) return error{errc::truncated, kernel_file::maps, 0, leader_of(process_), size};
        }
        vdso_ = in_.take(in_.u64());
        threads_left_ = in_.u64();
        if (auto const s = status(); !s) return s.error();
        return to.take();
    }

    /// The next thread. False at the end, or where the bytes make no sense: see `status()`.
    [[nodiscard]] bool next(thread_capture& out) noexcept
    {
        if (threads_left_ == 0 || !in_.ok()) return false;
        --threads_left_;
        out = thread_capture{};
        out.id = {process_, tid{static_cast<std::int32_t>(in_.u64())}};
        auto const mode = in_.u64();
        auto const outcome = in_.u64();
        auto const flags = in_.u64();
        if (mode > 1 || outcome > static_cast<std::uint64_t>(capture_outcome::failed)) in_.fail();
        out.mode = static_cast<capture_mode>(mode);
        out.outcome = static_cast<capture_outcome>(outcome);
        out.in_syscall = (flags & 1) != 0;
        out.was_stopped = (flags & 2) != 0;
        out.copy_is_whole = (flags & 4) != 0;
        out.syscall_nr = static_cast<std::int64_t>(in_.u64());
        for (auto& v : out.syscall_args.values) v = in_.u64();
        auto const known = in_.u64();
        for (register_number r = 0; r < register_count; ++r)
            if ((known >> r & 1) != 0) out.regs.set(r, in_.u64());
        out.tracer = tid{static_cast<std::int32_t>(in_.u64())};
        out.pause.count = in_.u64();
        auto const why = in_.u64();
        auto const code = why & 0xff;
        auto const refused = why >> 8 & 0xff;
        if (code > static_cast<std::uint64_t>(errc::os) || refused > static_cast<std::uint64_t>(refusal::seccomp)) in_.fail();
        out.why = {static_cast<errc>(code), out.mode == capture_mode::no_stop ? kernel_file::syscall : kernel_file::ptrace,
                   static_cast<std::int16_t>(why >> 16), out.id, 0};
        out.refused = static_cast<refusal>(refused);
        out.stack_start.value = in_.u64();
        out.stack = in_.take(in_.u64());
        out.other_start.value = in_.u64();
        out.other = in_.take(in_.u64());
        return in_.ok();
    }

    /// Success, or why there is no more.
    [[nodiscard]] result<void> status() const noexcept
    {
        if (!in_.ok()) return error{errc::malformed, kernel_file::none, 0, {}, static_cast<std::uint32_t>(in_.position())};
        if (foreign_) return error{errc::unsupported, kernel_file::elf, 0, {}, 0};
        return success();
    }

private:
    byte_cursor in_;
    std::string_view vdso_;
    tgid process_;
    std::uint64_t threads_left_ = 0;
    bool foreign_ = false;
};

} // namespace taskpeek::stack
