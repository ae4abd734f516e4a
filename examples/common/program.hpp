// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What the example programs have in common as programs: their options, their complaints, how they end.

#include "text.hpp"

#include <taskpeek/taskpeek.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#ifndef EXAMPLES_VERSION // the build tells it
#define EXAMPLES_VERSION "(unknown version)"
#endif

namespace examples {

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

/// What a program tells its caller.
enum exit_status : int {
    all_told = 0,
    something_unread = 1, ///< a task, a file or a limit that was asked for could not be read or set
    wrong_usage = 2
};

/// Says on standard error what went wrong; the program goes on.
inline void complain(std::string_view what) noexcept
{
    std::fflush(stdout); // a complaint stands where it belongs when both go to one place
    std::fwrite(what.data(), 1, what.size(), stderr);
    std::fputc('\n', stderr);
}
inline void complain(tp::error const& why) noexcept
{
    auto const message = why.message();
    complain(message.view());
}

/// A process, or one of its threads, as a user names it: `1234` or `1234/1240`.
struct target {
    tp::tgid process;
    std::optional<tp::tid> thread;

    [[nodiscard]] static std::optional<target> from(std::string_view text)
    {
        auto const slash = text.find('/');
        auto const process = tp::io::number_in(text.substr(0, slash));
        if (process <= 0) return std::nullopt;
        if (slash == text.npos) return target{tp::tgid{process}, std::nullopt};
        auto const thread = tp::io::number_in(text.substr(slash + 1));
        if (thread <= 0) return std::nullopt;
        return target{tp::tgid{process}, tp::tid{thread}};
    }

    [[nodiscard]] tp::task_id id() const { return thread ? tp::task_id{process, *thread} : tp::leader_of(process); }
};

/// Where the first thread of a process has exited while others live (pthread_exit(3) in main), `/proc/<tgid>` is a zombie's, without an
/// address space: then the process as one of the others shows it, for the kernel has a `/proc/<tid>` of each thread, though it lists none
/// (proc(5)). Else nothing, and also where no thread lives.
[[nodiscard]] inline std::optional<tp::process> seen_by_living_thread(tp::process const& of)
{
    auto const is_zombie = [](tp::result<pf::stat> const& stat) { return stat && stat.value().state == pf::task_state::zombie; };
    tp::buffer<pf::stat::typical_size> text;
    if (!is_zombie(of.read<pf::stat>(text))) return std::nullopt;
    for (auto const& [id, stat] : of.threads<pf::stat>()) {
        if (!stat || is_zombie(stat)) continue;
        auto other = tp::process::open(tp::tgid{id.tid.value});
        if (!other) continue;
        tp::buffer<pf::status::typical_size> more; // the number may be another task's by now
        auto const status = other.value().read<pf::status>(more);
        if (status && status.value().tgid == id.tgid) return std::move(other.value());
    }
    return std::nullopt;
}

/// For CLI11, which finds it by the type: reads a `target`, or says that the text is none.
inline bool lexical_cast(std::string const& text, target& out)
{
    auto const found = target::from(text);
    if (found) out = *found;
    return found.has_value();
}

/// The command line, once the options are declared that it is read into.
class command_line {
public:
    command_line(CLI::App& options, int argc, char** argv) : options_{options}, argc_{argc}, argv_{argv} {}
    void read() const { options_.parse(argc_, argv_); }

private:
    CLI::App& options_;
    int argc_;
    char** argv_;
};

/// What main does: \p program declares its options, reads the command line, and returns an `exit_status`. \p failed is what is returned
/// where the output cannot be written, or memory runs out.
[[nodiscard]] inline int run(int (*program)(CLI::App&, command_line const&), char const* name, int argc, char** argv,
                             int failed = something_unread) noexcept
{
    // `| head` closes the pipe early and means no failure: go quietly, even where a parent had the signal ignored.
    std::signal(SIGPIPE, SIG_DFL);
    try {
        CLI::App options{"", name};
        options.set_version_flag("--version", "taskpeek " EXAMPLES_VERSION);
        options.get_formatter()->column_width(26);
        try {
            int const status = program(options, {options, argc, argv});
            if (std::fflush(stdout) == 0) return status;
            complain("the output could not be written");
        } catch (CLI::ParseError const& stop) { // --help and --version too
            return options.exit(stop) == 0 ? all_told : wrong_usage;
        }
    } catch (std::exception const& problem) { // a full disk, say
        complain(problem.what());
    }
    return failed;
}

} // namespace examples
