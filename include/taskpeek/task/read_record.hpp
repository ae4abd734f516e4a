// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A kernel file of a task, read and decoded; and what its absence or emptiness means.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/file.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/result.hpp>

#include <concepts>
#include <string_view>

namespace taskpeek {

/// A record of one kernel file of a task: it knows which file and how to decode the whole of it. A vma is none: it is one record
/// of many, see `process::maps`.
template <class File>
concept kernel_record = requires(std::string_view text) {
    { File::file } -> std::convertible_to<kernel_file>;
    { File::typical_size } -> std::convertible_to<std::size_t>;
    { File::parse(text) } -> std::same_as<result<File>>;
} && !requires(File one_of_many) { one_of_many.mark_truncated(); } && !requires { requires File::is_entry; };

/// A record of one entry of a directory of a task: `fd/<n>`, `fdinfo/<n>`, `ns/<name>`. See `task_handle::read_entry`.
template <class File>
concept kernel_entry = requires(std::string_view text) {
    { File::parse(text) } -> std::same_as<result<File>>;
    requires File::is_entry;
};

namespace detail {

template <class File>
inline constexpr bool needs_address_space = requires { requires bool{File::needs_address_space}; };

/// Is it a symbolic link, to be read with readlink(2)?
template <class File>
inline constexpr bool is_link = requires { requires File::is_link; };

template <class File>
inline constexpr io::read_mode read_mode_of =
    requires { requires File::many_reads; } ? io::read_mode::to_the_end : io::read_mode::at_once;

/// Is a task's directory there, though its `stat` is not? A recording may have kept other files only; of a task that has gone, the
/// kernel lists nothing (fs/proc/base.c, proc_pident_readdir).
[[nodiscard, gnu::noinline, gnu::cold]] inline bool has_directory(int directory, io::short_path prefix) noexcept
{
    auto const opened = io::open(directory, (prefix / ".").c_str(), O_RDONLY | O_DIRECTORY, kernel_file::process);
    buffer<512> entries; // of one name at least: NAME_MAX and a header
    return opened && io::read_directory(opened.value().get(), entries.data(), entries.size()).ok();
}

/// What the task whose directory is \p prefix below \p directory has become, as its `stat` tells: neither an empty file nor
/// ENOENT, ESRCH or EACCES on another one proves anything.
/// \return the reason why \p failed could not be read; `found` itself when `stat` explains nothing.
[[nodiscard, gnu::noinline, gnu::cold]] inline error explain(int directory, io::short_path prefix, error found,
                                                             bool wants_address_space) noexcept
{
    buffer<procfs::stat::typical_size> memory;
    auto path = prefix;
    auto const text = io::read_file(directory, (path / "stat").c_str(), memory, io::read_mode::at_once, kernel_file::stat);
    if (!text) {
        if (text.error().code != errc::vanished) return found;
        if (text.error().os_error != 2 || !has_directory(directory, prefix)) found.code = errc::vanished;
        else if (found.os_error == 2) found.code = errc::unsupported;
        return found;
    }
    auto const stat = procfs::stat::parse(text.value());
    if (!stat) {
        if (text.value().empty()) found.code = errc::vanished;
        else if (found.os_error == 2) found.code = errc::unsupported;
        return found;
    }
    auto const& s = stat.value();
    bool const refused = found.code == errc::denied;
    if (wants_address_space && s.is_kernel_thread()) found.code = errc::kernel_thread;
    else if ((wants_address_space || !refused) && (s.state == procfs::task_state::zombie || s.state == procfs::task_state::dead))
        found.code = errc::zombie;
    else if (!refused && s.flags.has(procfs::task_flag::exiting)) found.code = errc::vanished;
    else if (found.os_error == 2) found.code = errc::unsupported; // ENOENT, and the task is well
    else if (found.os_error == 3) found.code = errc::os;          // ESRCH, and the task is well: nobody knows why
    return found;
}

/// The text of the \p File that is \p path below \p directory.
template <class File>
[[nodiscard, gnu::always_inline]] inline result<std::string_view> read_text(int directory, io::short_path const& path,
                                                                            lent_buffer into) noexcept
{
    if constexpr (is_link<File>) return io::read_link(directory, path.c_str(), into, File::file);
    else return io::read_file(directory, path.c_str(), into, read_mode_of<File>, File::file);
}

/// The text of \p File of the task \p id, whose directory is \p prefix below \p directory; or why there is none.
template <kernel_record File>
[[nodiscard, gnu::always_inline]] inline result<std::string_view> read_explained(int directory, io::short_path const& prefix, task_id id,
                                                                                 lent_buffer into) noexcept
{
    auto path = prefix;
    constexpr auto name = name_of(File::file);
    auto const text = read_text<File>(directory, path / name, into);
    if (!text) [[unlikely]] {
        auto failure = text.error();
        failure.task = id;
        bool const gone = failure.code == errc::vanished;
        if (gone || (failure.code == errc::denied && needs_address_space<File>))
            failure = explain(directory, prefix, failure, needs_address_space<File>);
        return failure;
    }
    if (text.value().empty()) [[unlikely]] {
        if constexpr (needs_address_space<File>) {
            auto const failure = explain(directory, prefix, {errc::os, File::file, 0, id, 0}, true);
            if (failure.code != errc::os) return failure;
        }
    }
    return text;
}

/// Reads and decodes \p File of the task \p id, whose directory is \p prefix below \p directory.
template <kernel_record File>
[[nodiscard, gnu::always_inline]] inline result<File> read_record(int directory, io::short_path const& prefix, task_id id, lent_buffer into,
                                                                  std::size_t& used) noexcept
{
    auto const text = read_explained<File>(directory, prefix, id, into);
    used = text ? text.value().size() : 0;
    auto record = text ? File::parse(text.value()) : result<File>{text.error()}; // a large record is so made where it is wanted
    if (!record) [[unlikely]] record.error().task = id;
    return record;
}

/// Reads and decodes the entry \p name of a directory of the task \p id, whose own directory is \p directory.
template <kernel_entry File>
[[nodiscard]] inline result<File> read_entry(int directory, std::string_view name, task_id id, lent_buffer into) noexcept
{
    if (name.empty() || name.size() > 40 || name.front() == '.' || name.find('/') != name.npos)
        return error{errc::invalid, File::file, 0, id, 0};
    io::short_path path;
    auto const text = read_text<File>(directory, path / name_of(File::file) / name, into);
    if (!text) {
        auto failure = text.error();
        failure.task = id;
        return failure.code == errc::vanished ? explain(directory, {}, failure, false) : failure;
    }
    auto entry = File::parse(text.value());
    if (!entry) entry.error().task = id;
    return entry;
}

} // namespace detail
} // namespace taskpeek
