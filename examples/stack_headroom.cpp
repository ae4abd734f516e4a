// SPDX-License-Identifier: BSL-1.0
// How close is each thread of this process to overflowing its stack?

#include "common/json.hpp"
#include "common/program.hpp"

#include <taskpeek/stack/headroom.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace examples;
namespace st = taskpeek::stack;

std::string kibibytes(std::optional<tp::bytes> n, std::string_view absent = "?")
{
    return n ? fmt::format("{}", (n->count + 1023) / 1024) : std::string{absent};
}

std::string_view name_of(st::stack_limit limit)
{
    switch (limit) {
    case st::stack_limit::rlimit: return "RLIMIT_STACK";
    case st::stack_limit::unlimited: return "unlimited";
    case st::stack_limit::mapping: return "mapping";
    }
    return "";
}

/// Its own statuses, for a health check must not take "cannot tell" for "past the line".
enum health : int { healthy = 0, past_the_line = 1, cannot_tell = 2 };

json json_of_headroom(st::headroom const& h, std::string const& comm)
{
    json out = {{"tid", h.id.tid.value}, {"comm", json_of(std::string_view{comm})}, {"on_own_stack", h.sp ? json(h.on_own_stack) : json()}};
    out["sp"] = h.sp ? json_of(*h.sp) : json();
    out["start"] = h.vma != nullptr ? json_of(h.bottom) : json();
    out["top"] = h.vma != nullptr ? json_of(h.top) : json();
    out["guard"] = h.guard_size ? json(h.guard_size->count) : json();
    out["size"] = h.size ? json(h.size->count) : json();
    out["size_is_at_most"] = h.size_is_bound;
    out["limited_by"] = std::string{name_of(h.limited_by)};
    out["used_now"] = h.used_now ? json(h.used_now->count) : json();
    out["high_water"] = h.high_water ? json(h.high_water->count) : json();
    out["high_water_is_at_most"] = h.high_water_is_bound;
    out["resident"] = h.resident ? json(h.resident->count) : json();
    out["percent"] = h.percent() ? json(*h.percent()) : json();
    if (h.pagemap_error) out.update(json_of(*h.pagemap_error));
    return out;
}

int stack_headroom(CLI::App& options, command_line const& line)
{
    target who;
    bool as_json = false;
    unsigned warn = 80;
    options.description("Shows how much of its stack each thread of a process has used.");
    options.add_option("TASK", who, "PID, or PID/TID for one thread")->required()->type_name("");
    options.add_flag("--json", as_json, "print JSON");
    options.add_option("--warn", warn, "exit with 1 if a thread ever used so much (80)")->check(CLI::Range(0u, 100u))->type_name("PERCENT");
    options.footer("KiB. HIGH is the deepest page ever touched, from the top; ≤ says: or less. A\n"
                   "running thread has no USED; one on an alternate stack or in a coroutine says so.\n"
                   "Exit status: 0 well, 1 a thread is past the line, 2 not all could be told.");

    line.read();

    auto const process = tp::process::open(who.process);
    if (!process) { complain(process.error()); return cannot_tell; }
    auto const other = seen_by_living_thread(process.value());
    auto const& shown = other ? *other : process.value();
    std::vector<char> memory(std::size_t{1} << 20);
    auto maps = st::mapping_table::read(shown, memory);
    while (!maps && maps.error().code == tp::errc::truncated && memory.size() < std::size_t{1} << 30) {
        memory.resize(memory.size() * 4);
        maps = st::mapping_table::read(shown, memory);
    }
    if (!maps) { complain(maps.error()); return cannot_tell; }
    auto const system = tp::read_system_info();
    st::headroom_reader const reader{shown, maps.value(), system ? system.value().page_size : tp::bytes{4096}};

    bool complete = true;
    bool past = false;
    bool pagemap_told = false;
    auto threads = json::array();
    table rows{{{"TID", table::align::right}, {"SIZE", table::align::right}, {"USED", table::align::right}, {"HIGH", table::align::right},
                {"%", table::align::right}, {"GUARD", table::align::right}, {"LIMIT", table::align::left}, {"COMM", table::align::left}}};
    tp::bytes reserved, touched, resident;
    auto const look_at = [&](tp::tid id) {
        auto const thread = process.value().thread(id);
        if (!thread) {
            if (who.thread) { complain(thread.error()); complete = false; }
            return;
        }
        tp::buffer<pf::stat::typical_size> text;
        auto const stat = thread.value().read<pf::stat>(text);
        auto const comm = stat ? std::string{stat.value().comm} : std::string{};
        auto const read = reader.read(thread.value());
        if (!read) {
            auto const code = read.error().code;
            if ((code == tp::errc::vanished || code == tp::errc::zombie) && !who.thread) return; // its stack is gone
            complain(read.error());
            complete = false;
            return;
        }
        auto const& h = read.value();
        past |= h.percent().value_or(0) >= warn;
        if (h.pagemap_error && !pagemap_told) { complain(*h.pagemap_error); pagemap_told = true; }
        complete &= !h.pagemap_error;
        if (h.vma != nullptr) reserved += h.reserved();
        touched += h.high_water.value_or(tp::bytes{});
        resident += h.resident.value_or(tp::bytes{});
        if (as_json) {
            threads.push_back(json_of_headroom(h, comm));
            return;
        }
        auto const note = h.on_own_stack ? std::string{} : h.sp ? std::string{"  (not on its own stack)"} : std::string{"  (running)"};
        auto const size = kibibytes(h.size, h.limited_by == st::stack_limit::unlimited ? "∞" : "?");
        rows.add({fmt::format("{}", id.value), (h.size_is_bound ? "≤" : "") + size, kibibytes(h.used_now, "-"),
                  (h.high_water_is_bound ? "≤" : "") + kibibytes(h.high_water), h.percent() ? fmt::format("{}", *h.percent()) : "-",
                  kibibytes(h.guard_size, "none"), h.vma != nullptr ? std::string{name_of(h.limited_by)} : "?",
                  harmless(comm) + note});
    };
    if (who.thread) {
        look_at(*who.thread);
    } else {
        std::vector<char> ids(std::size_t{1} << 20);
        auto walk = process.value().threads<>({.listing = ids});
        for (auto const& row : walk) look_at(row.id().tid);
        if (auto const status = walk.status(); !status) { complain(status.error()); complete = false; }
    }
    auto const kernel = st::read_kernel_stack();
    if (as_json) {
        print_json({{"tgid", who.process.value}, {"reserved", reserved.count}, {"touched", touched.count}, {"resident", resident.count},
                    {"kernel_stack", {{"size", kernel.size.count}, {"derived_from", std::string{st::describe(kernel.from)}}}},
                    {"threads", std::move(threads)}}, 4);
    } else {
        rows.print();
        fmt::print("KiB of stack: {} reserved, {} ever touched, {} resident\n", kibibytes(reserved), kibibytes(touched), kibibytes(resident));
        fmt::print("KiB of kernel-mode stack: {} for each thread ({})\n", kibibytes(kernel.size), st::describe(kernel.from));
    }
    return past ? past_the_line : complete ? healthy : cannot_tell;
}

} // namespace

int main(int argc, char** argv) { return run(stack_headroom, "stack_headroom", argc, argv, cannot_tell); }
