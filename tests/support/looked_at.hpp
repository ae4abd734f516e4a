// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A process and all that is lent to look at its stacks.

#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

namespace taskpeek::tests {

namespace st = taskpeek::stack;

struct looked_at {
    std::vector<char> memory = std::vector<char>(1u << 20);
    std::vector<char> stack = std::vector<char>(1u << 20);
    std::vector<char> rows = std::vector<char>(st::unwinder::typical_memory);
    std::vector<st::frame> frames = std::vector<st::frame>(512);
    result<taskpeek::process> process;
    st::mapping_table maps;
    std::unique_ptr<st::unwinder> unwinder;

    explicit looked_at(tgid id) : process{taskpeek::process::open(id)}
    {
        if (!process) return;
        auto const read = st::mapping_table::read(process.value(), memory);
        if (read) maps = read.value();
        unwinder = std::make_unique<st::unwinder>(maps, id, process.value().directory(), rows);
    }
    [[nodiscard]] tid main_tid() const { return tid{process.value().id().tgid.value}; }
    [[nodiscard]] st::thread_capture capture(tid tid, bool stop)
    {
        auto const thread = process.value().thread(tid);
        if (!thread) return {};
        return stop ? st::brief_stop(thread.value(), maps, stack) : st::no_stop(thread.value(), maps, stack);
    }
    [[nodiscard]] st::unwound unwind(tid tid, bool stop) { return unwinder->unwind(capture(tid, stop), frames); }
    [[nodiscard]] st::thread_capture capture_main(bool stop) { return capture(main_tid(), stop); }
    [[nodiscard]] st::unwound unwind_main(bool stop) { return unwind(main_tid(), stop); }
    [[nodiscard]] std::vector<std::string> names(st::unwound const& of)
    {
        st::symbolizer symbols{*unwinder, process.value()};
        std::vector<std::string> out;
        for (auto const& f : of.frames) out.push_back(symbols.find(f).name);
        return out;
    }

    /// Waits until its first thread is blocked.
    [[nodiscard]] bool blocks()
    {
        for (int i = 0; i < 5000; ++i, usleep(1000))
            if (capture_main(false).outcome == st::capture_outcome::captured) return true;
        return false;
    }
};

[[nodiscard]] inline bool contains_in_order(std::vector<std::string> const& names, std::vector<std::string> const& wanted)
{
    auto at = names.begin();
    for (auto const& w : wanted) {
        at = std::find_if(at, names.end(), [&](std::string const& n) { return n.find(w) != std::string::npos; });
        if (at == names.end()) return false;
        ++at;
    }
    return true;
}

} // namespace taskpeek::tests
