// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What cannot be undercut: the system calls of a pass, with one reused buffer, and not a byte of what they give looked at (but
/// the names in directories, without which there is no pass).

#include <taskpeek/io/syscall.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bench {

namespace io = taskpeek::io;

/// Calls `use(name)` for each entry of the open directory \p fd that begins with a digit.
template <class Use>
void bare_entries(int fd, char* memory, std::size_t size, Use use)
{
    for (io::answer got{0}; (got = io::read_directory(fd, memory, size)).value() > 0;)
        for (std::size_t at = 0; at < got.count();) {
            std::uint16_t length;
            std::memcpy(&length, memory + at + 16, sizeof length);
            char const* const name = memory + at + 19;
            at += length;
            if (*name >= '0' && *name <= '9') use(name);
        }
}

/// One open, one read, one close.
inline bool bare_file(int directory, char const* name, char const* file, char* memory, std::size_t size)
{
    char path[64];
    ::stpcpy(::stpcpy(path, name), file);
    auto const fd = io::open_at(directory, path, O_RDONLY);
    if (!fd.ok()) return false;
    auto const got = io::read(static_cast<int>(fd.value()), memory, size);
    io::close(static_cast<int>(fd.value()));
    return got.value() > 0;
}

inline int bare_directory(int directory, char const* path)
{
    return static_cast<int>(io::open_at(directory, path, O_RDONLY | O_DIRECTORY).value());
}

/// `/proc/<tgid>/task/<tid>/stat` of every thread. \return how many there were
inline std::uint64_t bare_thread_stat()
{
    static char processes[2048], threads[4096], text[1537];
    std::uint64_t count = 0;
    auto const proc = bare_directory(AT_FDCWD, "/proc");
    bare_entries(proc, processes, sizeof processes, [&](char const* tgid) {
        char path[64];
        ::stpcpy(::stpcpy(path, tgid), "/task");
        auto const task = bare_directory(proc, path);
        if (task < 0) return;
        bare_entries(task, threads, sizeof threads, [&](char const* tid) { count += bare_file(task, tid, "/stat", text, sizeof text); });
        io::close(task);
    });
    io::close(proc);
    return count;
}

/// `/proc/<tgid>/status` of every process. \return how many there were
inline std::uint64_t bare_process_status()
{
    static char processes[2048], text[6145];
    std::uint64_t count = 0;
    auto const proc = bare_directory(AT_FDCWD, "/proc");
    bare_entries(proc, processes, sizeof processes, [&](char const* tgid) { count += bare_file(proc, tgid, "/status", text, sizeof text); });
    io::close(proc);
    return count;
}

/// A whole file of many records. \return its bytes
inline std::uint64_t bare_stream(char const* path)
{
    static char text[8192];
    std::uint64_t bytes = 0;
    auto const fd = static_cast<int>(io::open_at(AT_FDCWD, path, O_RDONLY).value());
    for (io::answer got{0}; (got = io::read(fd, text, sizeof text)).value() > 0;) bytes += got.count();
    io::close(fd);
    return bytes;
}

} // namespace bench
