// SPDX-License-Identifier: BSL-1.0
// Where in the kernel are the threads of this process? Its kernel stacks, innermost call first.

#include "common/json.hpp"
#include "common/program.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace examples;

/// Why there are no frames although the file could be read; empty where there are some.
std::string_view absence(pf::stack const& stack, tp::result<pf::stat> const& stat)
{
    if (!stack.frames.empty()) return {};
    if (!stat) return "no frames";
    auto const state = stat.value().state;
    if (state == pf::task_state::running) return "on a CPU: the kernel walks no stack that is in use";
    if (state == pf::task_state::zombie || state == pf::task_state::dead) return "has exited: its stack is gone";
    return "no frames: it was on a CPU, and has left it since";
}

/// Why a stack could not be read. Few know that not even one's own threads may be looked at (fs/proc/base.c, proc_pid_stack).
std::string reason(tp::error const& why)
{
    if (why.code == tp::errc::denied)
        return fmt::format("denied ({}): kernel stacks need CAP_SYS_ADMIN", tp::errno_name(why.os_error));
    auto const message = why.message();
    return std::string{message.view()};
}

std::string frame_line(pf::kernel_frame const& frame)
{
    std::string line = frame.reliable ? "    " : "  ? ";
    if (frame.symbol.empty()) line += fmt::format("{:#x}", frame.pc.raw());
    else line += fmt::format("{}+{:#x}/{:#x}", harmless(frame.symbol), frame.offset.count, frame.size.count);
    if (!frame.module.empty()) line += fmt::format(" [{}]", harmless(frame.module));
    if (!frame.reliable) line += "  (unreliable: may be of an earlier call)";
    return line;
}

/// Shows the threads one by one, on paper or as JSON.
class report {
public:
    explicit report(bool as_json) : as_json_{as_json} {}

    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] json take_threads() { return std::move(threads_); }

    void add(tp::task_id id, tp::result<pf::stat> const& stat, tp::result<pf::stack> const& stack)
    {
        complete_ &= stack.has_value();
        if (as_json_) add_json(id, stat, stack);
        else print(id, stat, stack);
    }

private:
    void add_json(tp::task_id id, tp::result<pf::stat> const& stat, tp::result<pf::stack> const& stack)
    {
        json one = {{"tid", id.tid.value}};
        if (stat) {
            one["comm"] = json_of(stat.value().comm);
            one["state"] = json_of(stat.value().state);
        }
        if (stack) {
            one["frames"] = json_of(stack.value().frames);
            if (auto const why = absence(stack.value(), stat); !why.empty()) one["absence"] = why;
        } else {
            one.update(json_of(stack.error()));
        }
        threads_.push_back(std::move(one));
    }

    static void print(tp::task_id id, tp::result<pf::stat> const& stat, tp::result<pf::stack> const& stack)
    {
        auto const width = terminal_width();
        auto title = fmt::format("thread {}", id.tid.value);
        if (stat) {
            auto const& [comm, state] = std::pair{stat.value().comm, stat.value().state};
            title += fmt::format(" {}  {} {}", harmless(comm), harmless({&state.letter, 1}), state.name());
        }
        fmt::print("{}\n", fitted(title, width));
        if (!stack) {
            fmt::print("    ({})\n", reason(stack.error()));
            return;
        }
        for (auto const frame : stack.value().frames) fmt::print("{}\n", fitted(frame_line(frame), width));
        if (auto const why = absence(stack.value(), stat); !why.empty()) fmt::print("    ({})\n", why);
    }

    bool as_json_;
    bool complete_ = true;
    json threads_ = json::array();
};

int kernel_stacks(CLI::App& options, command_line const& arguments)
{
    target who;
    std::string root = "/proc";
    bool as_json = false;

    options.description("Shows the kernel stacks of the threads of a process. Needs CAP_SYS_ADMIN.");
    options.add_option("TASK", who, "PID, or PID/TID for one thread")->required()->type_name("");
    options.add_option("--root", root, "a recorded tree, or a container's /proc")->type_name("DIR");
    options.add_flag("--json", as_json, "print JSON");
    options.footer("A ? marks a frame that the kernel found on the stack without being sure that it\n"
                   "is part of the present call.");
    arguments.read();

    report all{as_json};
    json out = {{"tgid", who.process.value}};
    bool complete = true;
    auto const fail = [&](tp::error const& why) {
        complete = false;
        if (as_json) out.update(json_of(why));
        else complain(why);
    };

    // `stat` comes second: if it then says that a task waits whose stack was empty, it was on a CPU at the first look.
    auto const look_at_thread = [&](tp::thread const& thread) {
        tp::buffer<pf::stack::typical_size> stack_text;
        tp::buffer<pf::stat::typical_size> stat_text;
        auto const stack = thread.read<pf::stack>(stack_text);
        if (!stack && stack.error().code == tp::errc::vanished) fail(stack.error());
        else all.add(thread.id(), thread.read<pf::stat>(stat_text), stack);
    };
    auto const look_at_all = [&](tp::process const& process) {
        std::vector<char> ids(std::size_t{1} << 20); // the listing of 32,768 threads in one step
        auto walk = process.threads<pf::stack, pf::stat>({.listing = ids});
        for (auto const& [id, stack, stat] : walk) all.add(id, stat, stack);
        if (auto const status = walk.status(); !status) fail(status.error());
        auto const vanished = walk.report().vanished;
        if (as_json) out["vanished"] = vanished;
        else if (vanished > 0) complain(fmt::format("{} threads ended before they could be looked at", vanished));
    };

    if (auto const process = tp::process::open(who.process, root.c_str()); !process) {
        fail(process.error());
    } else if (!who.thread) {
        look_at_all(process.value());
    } else if (auto const thread = process.value().thread(*who.thread); !thread) {
        fail(thread.error());
    } else {
        look_at_thread(thread.value());
    }
    if (as_json) {
        out["threads"] = all.take_threads();
        print_json(out, 4);
    }
    return complete && all.complete() ? all_told : something_unread;
}

} // namespace

int main(int argc, char** argv) { return run(kernel_stacks, "kernel_stacks", argc, argv); }
