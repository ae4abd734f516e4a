// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Walks over the processes and threads of a machine, or over the threads of one process.

#include <taskpeek/io/dirents.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/task/row.hpp>
#include <taskpeek/text/lending.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace taskpeek {

/// What a walk may be given. All of it is optional: `tp::threads<pf::stat>({.listing = memory})`.
struct walk_options {
    proc_root root = {};
    lent_buffer listing = {}; ///< for the thread ids of one process: 32 bytes for each make the listing complete whatever dies
    lent_buffer text = {};    ///< for the files of one task, where the walk's own memory (the files' `typical_size`) is too small
};

/// What a walk has seen so far.
struct walk_report {
    std::uint64_t tasks = 0;                ///< handed out
    std::uint64_t vanished = 0;             ///< listed, but gone before they were read
    std::uint64_t possibly_incomplete = 0;  ///< processes whose threads were listed in several steps: see row::possibly_incomplete()
};

namespace detail {

/// Where the text of one task's files goes: the caller's memory, or the walk's own.
template <class... Files>
class text_memory {
public:
    [[nodiscard]] lent_buffer choose(lent_buffer lent) noexcept { return lent.empty() ? lent_buffer{own_} : lent; }

private:
    buffer<(Files::typical_size + ... + 1)> own_;
};

} // namespace detail

/// Lending range over processes; see `processes`.
template <class... Files>
class process_walk : public lending_range<process_walk<Files...>, row<Files...>> {
    using base = lending_range<process_walk, row<Files...>>;

public:
    process_walk() noexcept = default;
    explicit process_walk(walk_options const& options) noexcept : options_{options} {}
    process_walk(process_walk const& other) noexcept : base{}, options_{other.options_} {}
    process_walk& operator=(process_walk const& other) noexcept
    {
        assign_fresh(*this, other);
        return *this;
    }
    ~process_walk() = default;

    /// Success, or why the task list could not be read (to its end).
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }
    [[nodiscard]] walk_report const& report() const noexcept { return report_; }

private:
    friend base;

    [[gnu::always_inline]] bool fetch() noexcept
    {
        if (!root_.is_open()) {
            if (failure_.file != kernel_file::none) return false;
            auto opened = options_.root.open();
            if (!opened) { failure_ = opened.error(); return false; }
            root_ = static_cast<io::descriptor&&>(opened.value());
            processes_ = {root_.get(), entries_};
        }
        for (std::int32_t number; (number = processes_.next()) >= 0;) {
            io::short_path prefix;
            prefix / number;
            if (row_.fill(leader_of(tgid{number}), root_.get(), prefix, text_.choose(options_.text))) {
                ++report_.tasks;
                return true;
            }
            ++report_.vanished;
        }
        if (processes_.error() != 0) failure_ = os_failure(processes_.error(), kernel_file::proc);
        return false;
    }

    [[nodiscard]] row<Files...> const& current() const noexcept { return row_; }

    walk_options options_;
    io::descriptor root_;
    io::numbered_entries processes_;
    walk_report report_;
    error failure_;
    row<Files...> row_;
    buffer<2048> entries_;
    detail::text_memory<Files...> text_;
};

/// Lending range over threads; see `threads`.
template <class... Files>
class thread_walk : public lending_range<thread_walk<Files...>, row<Files...>> {
    using base = lending_range<thread_walk, row<Files...>>;

public:
    thread_walk() noexcept = default;
    explicit thread_walk(walk_options const& options) noexcept : options_{options} {}

    /// Over the threads of the process whose directory is open as \p process_directory.
    thread_walk(tgid process, int process_directory, walk_options const& options) noexcept
        : options_{options}, only_{process}, only_directory_{process_directory} {}

    thread_walk(thread_walk const& other) noexcept
        : base{}, options_{other.options_}, only_{other.only_}, only_directory_{other.only_directory_} {}
    thread_walk& operator=(thread_walk const& other) noexcept
    {
        assign_fresh(*this, other);
        return *this;
    }
    ~thread_walk() = default;

    /// Success, or why the list could not be read (to its end).
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }
    [[nodiscard]] walk_report const& report() const noexcept { return report_; }

private:
    friend base;

    [[nodiscard]] bool of_one_process() const noexcept { return only_directory_ >= 0; }

    [[gnu::always_inline]] bool fetch() noexcept
    {
        if (!begun_ && !start()) return false;
        for (;;) {
            if (tasks_.is_open() && next_thread()) return true;
            if (of_one_process() || !next_process()) return false;
            if (!tasks_.is_open()) return true; // a process that may not be looked into: a row of its own says so
        }
    }

    bool start() noexcept
    {
        if (failure_.file != kernel_file::none) return false;
        begun_ = true;
        if (of_one_process()) {
            auto opened = io::open(only_directory_, "task", O_RDONLY | O_DIRECTORY, kernel_file::task, leader_of(only_));
            if (!opened) { failure_ = detail::explain(only_directory_, {}, opened.error(), false); return false; }
            enter(only_, static_cast<io::descriptor&&>(opened.value()));
            return true;
        }
        auto opened = options_.root.open();
        if (!opened) { failure_ = opened.error(); return false; }
        root_ = static_cast<io::descriptor&&>(opened.value());
        processes_ = {root_.get(), process_entries_};
        return true;
    }

    [[gnu::always_inline]] bool next_thread() noexcept
    {
        for (std::int32_t number; (number = threads_.next()) >= 0;) {
            if (threads_.takes_several_batches() && !row_.possibly_incomplete_) {
                row_.possibly_incomplete_ = true;
                ++report_.possibly_incomplete;
            }
            io::short_path prefix;
            prefix / number;
            if (row_.fill({process_, tid{number}}, tasks_.get(), prefix, text_.choose(options_.text))) {
                ++report_.tasks;
                return true;
            }
            ++report_.vanished;
        }
        if (auto const number = threads_.error(); number != 0) {
            auto const failure = os_failure(number, kernel_file::task, leader_of(process_));
            if (of_one_process() || failure.code != errc::vanished) failure_ = failure;
            else ++report_.vanished; // reaped meanwhile: the process, not the walk, is at its end
        }
        tasks_.reset();
        return false;
    }

    [[gnu::always_inline]] bool next_process() noexcept
    {
        for (std::int32_t number; (number = processes_.next()) >= 0;) {
            io::short_path path;
            path / number / "task";
            auto opened = io::open(root_.get(), path.c_str(), O_RDONLY | O_DIRECTORY, kernel_file::task);
            if (opened) {
                enter(tgid{number}, static_cast<io::descriptor&&>(opened.value()));
                return true;
            }
            if (auto const why = explain_absence(number, opened.error()); why.code != errc::vanished) {
                row_.refuse(leader_of(tgid{number}), why);
                ++report_.tasks;
                return true;
            }
            ++report_.vanished;
        }
        if (processes_.error() != 0) failure_ = os_failure(processes_.error(), kernel_file::proc);
        return false;
    }

    /// A process of which a recording has not kept `task` is there all the same.
    [[nodiscard, gnu::noinline, gnu::cold]] error explain_absence(std::int32_t number, error why) const noexcept
    {
        io::short_path prefix;
        if (why.os_error == 2 && detail::has_directory(root_.get(), prefix / number)) why.code = errc::unsupported;
        return why;
    }

    [[gnu::always_inline]] void enter(tgid process, io::descriptor task_directory) noexcept
    {
        process_ = process;
        tasks_ = static_cast<io::descriptor&&>(task_directory);
        threads_ = {tasks_.get(), options_.listing.empty() ? lent_buffer{thread_entries_} : options_.listing, io::listing_order::by_place};
        row_.possibly_incomplete_ = false;
    }

    [[nodiscard]] row<Files...> const& current() const noexcept { return row_; }

    walk_options options_;
    tgid only_;
    int only_directory_ = -1;
    tgid process_;
    io::descriptor root_;
    io::descriptor tasks_;
    io::numbered_entries processes_;
    io::numbered_entries threads_;
    walk_report report_;
    error failure_;
    bool begun_ = false;
    row<Files...> row_;
    buffer<2048> process_entries_;
    buffer<4096> thread_entries_;
    detail::text_memory<Files...> text_;
};

/// Every process of the machine (or of \p options.root): a lending range of rows. For each, reads the kernel \p Files of
/// `/proc/<tgid>`, one open, read and close a file; without any, the ids alone.
/// \code for (auto const& [id, status] : tp::processes<pf::status>()) … \endcode
/// A process that vanishes meanwhile is skipped and counted in `report()`; one that cannot be read or decoded comes with its ids and
/// the error. `status()` says whether the list itself could be read.
template <kernel_record... Files>
[[nodiscard]] process_walk<Files...> processes(walk_options const& options = {}) noexcept
{
    return process_walk<Files...>{options};
}

/// The same below another root: `tp::processes<pf::status>("/host/proc")`.
template <kernel_record... Files, std::convertible_to<proc_root> Root>
[[nodiscard]] process_walk<Files...> processes(Root&& root) noexcept
{
    return process_walk<Files...>{{.root = root}};
}

/// Every thread of every process: a lending range of rows. Reads the kernel \p Files of `/proc/<tgid>/task/<tid>`.
/// \code for (auto const& [id, stat] : tp::threads<pf::stat>()) … \endcode
/// See `processes`. A process that the reader may not look into comes as one row, with the error.
template <kernel_record... Files>
[[nodiscard]] thread_walk<Files...> threads(walk_options const& options = {}) noexcept
{
    return thread_walk<Files...>{options};
}

/// The same below another root: `tp::threads<pf::stat>("/host/proc")`.
template <kernel_record... Files, std::convertible_to<proc_root> Root>
[[nodiscard]] thread_walk<Files...> threads(Root&& root) noexcept
{
    return thread_walk<Files...>{{.root = root}};
}

} // namespace taskpeek
