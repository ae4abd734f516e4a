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
inline void complain(std::string_view what)
{
    std::fflush(stdout); // a complaint stands where it belongs when both go to one place
    fmt::print(stderr, "{}\n", what);
}
inline void complain(tp::error const& why)
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

/// For CLI11, which finds it by the type: reads a `target`, or says that the text is none.
inline bool lexical_cast(std::string const& text, target& out)
{
    auto const found = target::from(text);
    if (found) out = *found;
    return found.has_value();
}

/// Reads the command line into \p options and runs \p body, which returns an `exit_status`.
template <class Body>
[[nodiscard]] int run(CLI::App& options, int argc, char** argv, Body body)
{
    // `| head` closes the pipe early and means no failure: go quietly, even where a parent had the signal ignored.
    std::signal(SIGPIPE, SIG_DFL);
    options.set_version_flag("--version", "taskpeek " EXAMPLES_VERSION);
    options.get_formatter()->column_width(26);
    try {
        options.parse(argc, argv);
    } catch (CLI::ParseError const& stop) { // --help and --version too
        return options.exit(stop) == 0 ? all_told : wrong_usage;
    }
    try {
        int const status = body();
        if (std::fflush(stdout) == 0) return status;
        complain("the output could not be written");
    } catch (std::exception const& problem) { // a full disk, say
        complain(problem.what());
    }
    return something_unread;
}

} // namespace examples
