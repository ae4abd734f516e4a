// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Handles on one process and on one thread: everything is read through an open directory, so that a number that is used again
/// never answers in the dead one's name.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/dirents.hpp>
#include <taskpeek/procfs/children.hpp>
#include <taskpeek/procfs/link.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/procfs/smaps.hpp>
#include <taskpeek/task/live_records.hpp>
#include <taskpeek/task/read_record.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/task/walk.hpp>
#include <taskpeek/text/lending.hpp>

#include <cstdint>

namespace taskpeek {

/// What a process and a thread handle have in common: an open task directory, and reading through it.
class task_handle {
public:
    /// The ids that it was opened by.
    [[nodiscard]] task_id id() const noexcept { return id_; }

    /// The descriptor of the open task directory; it stays the handle's.
    [[nodiscard]] int directory() const noexcept { return directory_.get(); }

    /// Reads and decodes \p File. Errors: vanished, zombie and kernel_thread (no address space to tell of), denied, unsupported,
    /// truncated (\p memory is too small: `File::typical_size` mostly does), malformed, os.
    /// Lifetime: the record's views are views into \p memory.
    template <kernel_record File>
    [[nodiscard]] result<File> read(lent_buffer memory) const noexcept
    {
        std::size_t used = 0;
        return detail::read_record<File>(directory(), {}, id_, memory, used);
    }

    /// Reads and decodes a \p File whose record holds no views.
    template <kernel_record File>
        requires(requires { requires File::holds_no_views; })
    [[nodiscard]] result<File> read() const noexcept
    {
        buffer<File::typical_size> memory;
        return read<File>(memory);
    }

    /// Reads and decodes the entry \p name of a directory: `read_entry<pf::ns>("mnt", memory)`. Errors: as `read`; unsupported: the
    /// task is there, but has no such entry; invalid: \p name is no name. Lifetime: the record's views are views into \p memory.
    template <kernel_entry File>
    [[nodiscard]] result<File> read_entry(std::string_view name, lent_buffer memory) const noexcept
    {
        return detail::read_entry<File>(directory(), name, id_, memory);
    }

    /// Reads and decodes what belongs to one descriptor: `read_entry<pf::fdinfo>(fd, memory)`. Errors and lifetime: as above;
    /// unsupported: the descriptor is not open.
    template <kernel_entry File>
    [[nodiscard]] result<File> read_entry(std::int32_t descriptor, lent_buffer memory) const noexcept
    {
        if (descriptor < 0) return error{errc::invalid, File::file, 0, id_, 0};
        return read_entry<File>((io::short_path{} / descriptor).c_str(), memory);
    }

    /// Is it still there? Errors: vanished. A zombie is still there.
    [[nodiscard]] result<void> check() const noexcept
    {
        buffer<procfs::stat::typical_size> memory;
        auto const stat = read<procfs::stat>(memory);
        if (!stat) return stat.error();
        return success();
    }

    /// A lending range over its vmas in ascending order. `status()` tells vanished, zombie, kernel_thread and denied apart.
    /// A line longer than the memory (8 KiB, or \p memory: 192 bytes at least) comes with its path truncated. Lifetime: borrows the handle.
    [[nodiscard]] live_records<procfs::vma> maps(lent_buffer memory = {}) const& noexcept { return records_of<procfs::vma>(memory); }
    [[nodiscard]] live_records<procfs::vma> maps(lent_buffer = {}) const&& = delete;

    /// A lending range over its vmas with their numbers; see `maps`.
    [[nodiscard]] live_records<procfs::smap> smaps(lent_buffer memory = {}) const& noexcept { return records_of<procfs::smap>(memory); }
    [[nodiscard]] live_records<procfs::smap> smaps(lent_buffer = {}) const&& = delete;

protected:
    task_handle(task_id id, io::descriptor directory) noexcept : id_{id}, directory_{static_cast<io::descriptor&&>(directory)} {}

private:
    template <class Record>
    [[nodiscard]] live_records<Record> records_of(lent_buffer memory) const noexcept
    {
        return live_records<Record>{live_file<Record>{directory(), id(), memory}};
    }

    task_id id_;
    io::descriptor directory_;
};

/// One thread, by its directory `/proc/<tgid>/task/<tid>`.
class thread : public task_handle {
public:
    /// Errors: vanished (no such thread), denied (hidden), os (no descriptor left).
    [[nodiscard]] static result<thread> open(task_id id, proc_root const& root = {}) noexcept
    {
        auto base = root.open();
        if (!base) return base.error();
        io::short_path path;
        path / id.tgid.value / "task" / id.tid.value;
        return below(base.value().get(), path, id);
    }

private:
    friend class process;
    using task_handle::task_handle;

    [[nodiscard]] static result<thread> below(int directory, io::short_path const& path, task_id id) noexcept
    {
        auto opened = io::open(directory, path.c_str(), O_RDONLY | O_DIRECTORY, kernel_file::process, id);
        if (!opened) return opened.error();
        return thread{id, static_cast<io::descriptor&&>(opened.value())};
    }
};

/// One open descriptor of a process: its number, and what it stands for.
struct open_file {
    std::int32_t number = -1;
    result<procfs::fd_target> target = error{};
};

class child_walk;
class fd_walk;

/// One process, by its directory `/proc/<tgid>`.
class process : public task_handle {
public:
    /// The kernel opens `/proc/<number>` for the id of any thread, though it lists processes only: the answers are then those of the
    /// thread's process, and `id()` is not its id.
    /// Errors: vanished (no such process), denied (hidden), os (no descriptor left).
    [[nodiscard]] static result<process> open(tgid id, proc_root const& root = {}) noexcept
    {
        auto base = root.open();
        if (!base) return base.error();
        io::short_path path;
        path / id.value;
        auto opened = io::open(base.value().get(), path.c_str(), O_RDONLY | O_DIRECTORY, kernel_file::process, leader_of(id));
        if (!opened) return opened.error();
        return process{leader_of(id), static_cast<io::descriptor&&>(opened.value())};
    }

    /// The calling process, as \p root numbers it. Errors: as `open`.
    [[nodiscard]] static result<process> self(proc_root const& root = {}) noexcept
    {
        auto base = root.open();
        if (!base) return base.error();
        char name[16];
        auto const link = io::read_link(base.value().get(), "self", name, kernel_file::proc);
        if (!link) return link.error();
        auto const number = io::number_in(link.value());
        if (number < 0) return error{errc::malformed, kernel_file::proc, 0, {}, 0};
        return open(tgid{number}, root);
    }

    /// A handle on one of its threads. Errors: as `thread::open`.
    [[nodiscard]] result<taskpeek::thread> thread(tid id) const noexcept
    {
        io::short_path path;
        path / "task" / id.value;
        return taskpeek::thread::below(directory(), path, {this->id().tgid, id});
    }

    /// A lending range over its threads, reading \p Files of each; see `tp::threads`. Lifetime: borrows the handle.
    template <kernel_record... Files>
    [[nodiscard]] thread_walk<Files...> threads(walk_options const& options = {}) const& noexcept
    {
        return thread_walk<Files...>{id().tgid, directory(), options};
    }
    template <kernel_record... Files>
    thread_walk<Files...> threads(walk_options const& = {}) const&& = delete; // borrows the handle: keep it

    /// A lending range over the children of all its threads. Lifetime: borrows the handle.
    [[nodiscard]] child_walk children() const& noexcept;
    [[nodiscard]] child_walk children() const&& = delete;

    /// A lending range over its open descriptors; `status()` tells a zombie, which has none, from a process without any.
    /// Lifetime: borrows the handle.
    [[nodiscard]] fd_walk fds() const& noexcept;
    [[nodiscard]] fd_walk fds() const&& = delete;

private:
    using task_handle::task_handle;
};

/// Lending range over the children of all threads of a process (`task/<tid>/children`, fs/proc/array.c, since 3.5, with
/// CONFIG_PROC_CHILDREN). The kernel's list is exact only while the children hold still: one that exits during the walk may hide another.
class child_walk : public lending_range<child_walk, tgid> {
    using base = lending_range<child_walk, tgid>;

public:
    child_walk() noexcept = default;
    child_walk(tgid process, int directory) noexcept : process_{process}, directory_{directory} {}
    child_walk(child_walk const& other) noexcept : base{}, process_{other.process_}, directory_{other.directory_} {}
    child_walk& operator=(child_walk const& other) noexcept
    {
        assign_fresh(*this, other);
        return *this;
    }
    ~child_walk() = default;

    /// Success, or why the range ended early. Errors: vanished, denied, unsupported (no CONFIG_PROC_CHILDREN), malformed.
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }

private:
    friend base;

    bool fetch() noexcept
    {
        if (failure_.file != kernel_file::none) return false;
        if (!begun_) {
            begun_ = true;
            auto opened = io::open(directory_, "task", O_RDONLY | O_DIRECTORY, kernel_file::task, leader_of(process_));
            if (!opened) { failure_ = detail::explain(directory_, {}, opened.error(), false); return false; }
            tasks_ = static_cast<io::descriptor&&>(opened.value());
            threads_ = {tasks_.get(), thread_entries_, io::listing_order::by_place};
        }
        for (;;) {
            if (children_.is_open()) {
                if (next_child()) return true;
                if (failure_.file != kernel_file::none) return false;
                children_.reset();
            }
            if (!next_thread()) return false;
        }
    }

    bool next_thread() noexcept
    {
        for (std::int32_t number; (number = threads_.next()) >= 0;) {
            io::short_path prefix;
            prefix / number;
            auto path = prefix;
            path / "children";
            task_id const id{process_, tid{number}};
            auto opened = io::open(tasks_.get(), path.c_str(), O_RDONLY, kernel_file::children, id);
            if (opened) {
                children_ = static_cast<io::descriptor&&>(opened.value());
                text_ = {};
                return true;
            }
            auto const why = opened.error().code == errc::vanished ? detail::explain(tasks_.get(), prefix, opened.error(), false)
                                                                   : opened.error();
            if (why.code != errc::vanished && why.code != errc::zombie) { failure_ = why; return false; }
        }
        if (threads_.error() != 0) failure_ = os_failure(threads_.error(), kernel_file::task, leader_of(process_));
        return false;
    }

    /// Takes the next number off `12 13 `. It ends in a space: without one it may be the beginning of a longer number.
    bool next_child() noexcept
    {
        auto space = text_.find(' ');
        for (; space == std::string_view::npos; space = text_.find(' '))
            if (!read_on()) return false;
        auto const number = io::number_in(text_.substr(0, space));
        if (number < 0) { failure_ = {errc::malformed, kernel_file::children, 0, leader_of(process_), 0}; return false; }
        text_.remove_prefix(space + 1);
        child_ = tgid{number};
        return true;
    }

    bool read_on() noexcept
    {
        if (!text_.empty()) __builtin_memmove(children_text_.data(), text_.data(), text_.size());
        auto const got = io::read(children_.get(), children_text_.data() + text_.size(), children_text_.size() - text_.size());
        if (!got.ok()) {
            // ESRCH: this thread has gone.
            if (got.error() != 3) failure_ = os_failure(got.error(), kernel_file::children, leader_of(process_));
            return false;
        }
        if (got.value() == 0) {
            if (!text_.empty())
                failure_ = {errc::truncated, kernel_file::children, 0, leader_of(process_), static_cast<std::uint32_t>(text_.size())};
            return false;
        }
        text_ = {children_text_.data(), text_.size() + got.count()};
        return true;
    }

    [[nodiscard]] tgid const& current() const noexcept { return child_; }

    tgid process_;
    int directory_ = -1;
    bool begun_ = false;
    io::descriptor tasks_;
    io::descriptor children_;
    io::numbered_entries threads_;
    std::string_view text_;
    error failure_;
    tgid child_;
    buffer<2048> thread_entries_;
    buffer<1024> children_text_;
};

/// Lending range over the open descriptors of a process (`fd/<n>`, fs/proc/fd.c). A descriptor opened or closed during the walk may
/// be missed or handed out with an error. Reading another user's needs ptrace rights (PTRACE_MODE_READ).
class fd_walk : public lending_range<fd_walk, open_file> {
    using base = lending_range<fd_walk, open_file>;

public:
    fd_walk() noexcept = default;
    fd_walk(tgid process, int directory) noexcept : process_{process}, directory_{directory} {}
    fd_walk(fd_walk const& other) noexcept : base{}, process_{other.process_}, directory_{other.directory_} {}
    fd_walk& operator=(fd_walk const& other) noexcept
    {
        assign_fresh(*this, other);
        return *this;
    }
    ~fd_walk() = default;

    /// Success, or why the range ended early. Errors: vanished, denied, os.
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }

private:
    friend base;

    bool fetch() noexcept
    {
        if (failure_.file != kernel_file::none) return false;
        auto const id = leader_of(process_);
        if (!begun_) {
            begun_ = true;
            auto opened = io::open(directory_, "fd", O_RDONLY | O_DIRECTORY, kernel_file::fd, id);
            if (!opened) { failure_ = detail::explain(directory_, {}, opened.error(), false); return false; }
            fds_ = static_cast<io::descriptor&&>(opened.value());
            numbers_ = {fds_.get(), entries_};
        }
        for (std::int32_t number; (number = numbers_.next()) >= 0;) {
            io::short_path name;
            name / number;
            auto const link = io::read_link(fds_.get(), name.c_str(), target_, kernel_file::fd);
            if (!link && link.error().code == errc::vanished) continue; // closed meanwhile
            row_.number = number;
            if (link) row_.target = procfs::fd_target::parse(link.value());
            else row_.target = link.error();
            if (!row_.target) row_.target.error().task = id;
            some_ = true;
            return true;
        }
        if (numbers_.error() != 0) {
            failure_ = os_failure(numbers_.error(), kernel_file::fd, id);
        } else if (!some_) { // no descriptors, or no process any more that could have some
            auto const why = detail::explain(directory_, {}, {errc::os, kernel_file::fd, 0, id, 0}, false);
            if (why.code != errc::os) failure_ = why;
        }
        return false;
    }

    [[nodiscard]] open_file const& current() const noexcept { return row_; }

    tgid process_;
    int directory_ = -1;
    bool begun_ = false;
    bool some_ = false;
    io::descriptor fds_;
    io::numbered_entries numbers_;
    error failure_;
    open_file row_;
    buffer<1024> entries_;
    buffer<4096> target_; // PATH_MAX: what d_path can give
};

inline child_walk process::children() const& noexcept { return {id().tgid, directory()}; }
inline fd_walk process::fds() const& noexcept { return {id().tgid, directory()}; }

} // namespace taskpeek
