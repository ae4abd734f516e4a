// SPDX-License-Identifier: BSL-1.0
// What is every thread of this process executing? Its stacks, from the kernel's frames down to main, without stopping it.

#include "common/flame_graph.hpp"
#include "common/json.hpp"
#include "common/program.hpp"

#include <taskpeek/stack/kernel_side.hpp>
#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <time.h> // NOLINT(modernize-deprecated-headers): nanosleep(2) is of POSIX

namespace {

using namespace examples;
namespace st = taskpeek::stack;

struct wish {
    target who;
    bool stop = false;
    bool together = false;
    bool kernel = false;
    bool merge = false;
    bool as_json = false;
    bool folded = false;
    unsigned samples = 1;
    unsigned interval = 10; // ms
    std::string flame_graph;
};

/// Where a call is, in words. Many frames share one.
struct place {
    std::string symbol;
    std::string module;
    std::uint64_t offset = 0;
    std::string text;         ///< `f+0x1 from /lib/x`, harmless to a terminal
};

/// One call, ready to be shown.
struct shown_frame {
    std::uint64_t pc = 0;
    std::shared_ptr<place const> at;
    bool kernel = false;
    st::frame_quality quality = st::frame_quality::exact;
    bool signal_frame = false;

    /// Without what differs from thread to thread.
    friend bool operator==(shown_frame const& a, shown_frame const& b)
    {
        return a.pc == b.pc && a.at->symbol == b.at->symbol && a.at->offset == b.at->offset && a.kernel == b.kernel &&
               a.quality == b.quality;
    }
};

/// One thread, ready to be shown.
struct shown_thread {
    tp::task_id id;
    std::string comm;
    char state = '?';
    st::capture_outcome outcome = st::capture_outcome::failed;
    st::stack_end end = st::stack_end::not_captured;
    std::string syscall;      ///< `read(0x3, …)`
    std::string note;         ///< why something is not shown
    std::vector<shown_frame> frames;

    [[nodiscard]] bool is_told() const
    {
        return outcome == st::capture_outcome::captured || outcome == st::capture_outcome::running ||
               outcome == st::capture_outcome::kernel_thread;
    }

    /// Do two threads stand at the same place?
    [[nodiscard]] bool stands_with(shown_thread const& o) const { return frames == o.frames && outcome == o.outcome && end == o.end; }
};

/// Memory to lend, as it comes: pages that are never used cost nothing.
class lent_bytes {
public:
    explicit lent_bytes(std::size_t size) : size_{size}, bytes_{new char[size]} {}
    [[nodiscard]] char* data() const { return bytes_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

/// Everything that is kept from one thread to the next.
class looker {
public:
    looker(tp::process const& process, wish const& w) : process_{process}, wish_{w}
    {
        if (auto const abi = st::abi_of(process)) abi_ = abi.value();
    }

    [[nodiscard]] tp::result<void> refresh_maps()
    {
        names_.reset();
        places_.clear();
        unwinder_.reset();
        for (std::size_t size = maps_memory_.size();; size *= 4) {
            if (size != maps_memory_.size()) maps_memory_ = lent_bytes{size};
            auto maps = st::mapping_table::read(process_, maps_memory_);
            if (!maps && maps.error().code == tp::errc::truncated && size < std::size_t{1} << 30) continue;
            if (!maps) return maps.error();
            maps_ = maps.value();
            break;
        }
        unwinder_ = std::make_unique<st::unwinder>(maps_, process_.id().tgid, process_.directory(), unwind_memory_);
        names_ = std::make_unique<st::symbolizer>(*unwinder_, process_);
        return tp::success();
    }

    [[nodiscard]] st::mapping_table const& maps() const { return maps_; }

    [[nodiscard]] shown_thread look(tp::thread const& thread)
    {
        tp::buffer<pf::stack::typical_size> kernel_memory;
        st::kernel_side kernel;
        if (wish_.kernel) kernel = st::read_kernel_side(thread, kernel_memory);
        auto const capture = wish_.stop ? st::brief_stop(thread, maps_, stack_memory_) : st::no_stop(thread, maps_, stack_memory_);
        return show(thread, capture, kernel);
    }

    [[nodiscard]] shown_thread show(tp::thread const& thread, st::thread_capture const& capture, st::kernel_side const& kernel)
    {
        shown_thread out;
        out.id = thread.id();
        tp::buffer<pf::stat::typical_size> stat_memory;
        if (auto const stat = thread.read<pf::stat>(stat_memory)) {
            out.comm = std::string{stat.value().comm};
            out.state = stat.value().state.letter;
        }
        out.outcome = capture.outcome;
        add_kernel_side(out, kernel);
        if (capture.in_syscall) add_syscall(out, capture);
        auto const unwound = unwinder_->unwind(capture, frames_);
        out.end = unwound.end;
        for (auto const& f : unwound.frames) {
            auto& at = places_[f.pc.value << 1 | (f.is_return ? 1u : 0u)];
            if (!at) {
                auto const symbol = names_->find(f);
                at = make_place(symbol.name, symbol.offset, symbol.module, "from");
            }
            out.frames.push_back({f.pc.value, at, false, f.quality, f.signal_frame});
        }
        if (capture.outcome == st::capture_outcome::failed) {
            auto const message = capture.why.message();
            add_note(out, message.view());
        } else if (capture.outcome == st::capture_outcome::traced) {
            add_note(out, fmt::format("task {} traces it already", capture.tracer.value));
        }
        if (capture.was_stopped) add_note(out, "a signal had stopped it, and it still is");
        return out;
    }

private:
    [[nodiscard]] static std::shared_ptr<place const> make_place(std::string_view symbol, std::uint64_t offset, std::string_view module,
                                                                 std::string_view preposition)
    {
        place p{std::string{symbol}, std::string{module}, offset, "??"};
        if (!symbol.empty()) p.text = fmt::format("{}+{:#x}", harmless(symbol), offset);
        if (!module.empty()) p.text += fmt::format(" {} {}", preposition, harmless(module));
        return std::make_shared<place const>(std::move(p));
    }

    static void add_note(shown_thread& out, std::string_view note)
    {
        if (!out.note.empty()) out.note += "; ";
        out.note += note;
    }

    void add_kernel_side(shown_thread& out, st::kernel_side const& kernel) const
    {
        if (!wish_.kernel) return;
        if (!kernel.frames) {
            if (kernel.hidden != st::kernel_stack_rule::not_hidden) {
                add_note(out, fmt::format("kernel frames are hidden: {}", st::describe(kernel.hidden)));
            } else {
                auto const message = kernel.frames.error().message();
                add_note(out, message.view());
            }
            return;
        }
        for (auto const f : kernel.frames.value().frames)
            out.frames.push_back({f.pc.raw(), make_place(f.base_name(), f.offset.count, f.module, "in"), true,
                                  f.reliable ? st::frame_quality::exact : st::frame_quality::inferred, false});
    }

    void add_syscall(shown_thread& out, st::thread_capture const& capture) const
    {
        auto const name = abi_ ? st::syscall_name(*abi_, capture.syscall_nr) : std::string_view{};
        out.syscall = name.empty() ? fmt::format("system call {}", capture.syscall_nr) : std::string{name};
        out.syscall += '(';
        for (std::size_t i = 0; i < 6; ++i) out.syscall += fmt::format("{}{:#x}", i == 0 ? "" : ", ", capture.syscall_args[i]);
        out.syscall += ')';
    }

    tp::process const& process_;
    wish const& wish_;
    std::optional<st::syscall_abi> abi_;
    st::mapping_table maps_;
    lent_bytes maps_memory_{1u << 20};
    lent_bytes unwind_memory_{st::unwinder::typical_memory};
    lent_bytes stack_memory_{8u << 20};
    std::vector<st::frame> frames_ = std::vector<st::frame>(4096);
    std::unique_ptr<st::unwinder> unwinder_;
    std::unique_ptr<st::symbolizer> names_;
    std::unordered_map<std::uint64_t, std::shared_ptr<place const>> places_;
};

std::string name_of(shown_frame const& f)
{
    if (!f.at->symbol.empty()) return harmless(f.at->symbol);
    return fmt::format("{:#x}", f.pc);
}

void print_frames(shown_thread const& t)
{
    std::size_t n = 0;
    bool syscall_told = t.syscall.empty();
    for (auto const& f : t.frames) {
        if (!f.kernel && !syscall_told) {
            fmt::print("    {}\n", t.syscall);
            syscall_told = true;
        }
        auto line = f.kernel ? fmt::format("#{:<3} [kernel] {}", n, f.at->symbol.empty() ? name_of(f) : f.at->text)
                             : fmt::format("#{:<3} 0x{:016x} in {}", n, f.pc, f.at->text);
        if (f.signal_frame) line += "  <signal handler called>";
        if (f.quality != st::frame_quality::exact) line += fmt::format("  ({})", st::name_of(f.quality));
        fmt::print("{}\n", line);
        ++n;
    }
    if (!syscall_told) fmt::print("    {}\n", t.syscall);
    if (t.outcome != st::capture_outcome::captured) fmt::print("    ({})\n", st::name_of(t.outcome));
    else if (t.end != st::stack_end::complete) fmt::print("    (truncated: {})\n", st::name_of(t.end));
    if (!t.note.empty()) fmt::print("    ({})\n", harmless(t.note));
}

void print_text(std::vector<shown_thread> const& threads, bool merge)
{
    std::vector<bool> done(threads.size());
    for (std::size_t i = 0; i < threads.size(); ++i) {
        if (done[i]) continue;
        std::string ids = fmt::format("{} \"{}\"", threads[i].id.tid.value, harmless(threads[i].comm));
        std::size_t count = 1;
        for (std::size_t k = i + 1; merge && k < threads.size(); ++k) {
            if (done[k] || !threads[k].stands_with(threads[i])) continue;
            done[k] = true;
            ++count;
            ids += fmt::format(", {} \"{}\"", threads[k].id.tid.value, harmless(threads[k].comm));
        }
        fmt::print("{}Thread {} {}\n", i == 0 ? "" : "\n", ids, count > 1 ? fmt::format("({} threads)", count) : fmt::format("({})", threads[i].state));
        print_frames(threads[i]);
    }
}

json json_of_thread(shown_thread const& t)
{
    auto frames = json::array();
    for (auto const& f : t.frames) {
        json one = {{"pc", fmt::format("{:#x}", f.pc)}, {"kind", f.kernel ? "kernel" : "user"}, {"quality", std::string{st::name_of(f.quality)}}};
        one["symbol"] = f.at->symbol.empty() ? json() : json_of(std::string_view{f.at->symbol});
        one["offset"] = f.at->symbol.empty() ? json() : json(f.at->offset);
        one["module"] = f.at->module.empty() ? json() : json_of(std::string_view{f.at->module});
        if (f.signal_frame) one["signal_frame"] = true;
        frames.push_back(std::move(one));
    }
    json out = {{"tid", t.id.tid.value}, {"comm", json_of(std::string_view{t.comm})}, {"state", std::string(1, t.state)},
                {"outcome", std::string{st::name_of(t.outcome)}}, {"end", std::string{st::name_of(t.end)}}, {"frames", std::move(frames)}};
    if (!t.syscall.empty()) out["syscall"] = t.syscall;
    if (!t.note.empty()) out["note"] = json_of(std::string_view{t.note});
    return out;
}

/// The calls of a stack, outermost first, as flame graphs want them.
std::vector<std::string> calls_of(shown_thread const& t)
{
    std::vector<std::string> calls{harmless(t.comm)};
    if (t.outcome == st::capture_outcome::captured && t.end != st::stack_end::complete)
        calls.push_back(fmt::format("[truncated: {}]", st::name_of(t.end)));
    // NOLINTNEXTLINE(modernize-loop-convert): outermost first
    for (auto f = t.frames.rbegin(); f != t.frames.rend(); ++f) calls.push_back(name_of(*f) + (f->kernel ? "_[k]" : ""));
    if (t.outcome == st::capture_outcome::running || t.outcome == st::capture_outcome::moved) calls.emplace_back("[running]");
    else if (t.outcome != st::capture_outcome::captured) calls.push_back(fmt::format("[{}]", st::name_of(t.outcome)));
    return calls;
}

/// `;` divides the calls of a folded stack, and a newline the stacks.
std::string folded(std::vector<std::string> const& calls)
{
    std::string line;
    for (auto const& call : calls) {
        if (!line.empty()) line += ';';
        for (char const c : call) {
            if (c == ';') line += "\\x3b";
            else line += c;
        }
    }
    return line;
}

void print_folded(std::vector<shown_thread> const& threads)
{
    std::map<std::string, std::uint64_t> counts;
    for (auto const& t : threads) ++counts[folded(calls_of(t))];
    for (auto const& [line, count] : counts) fmt::print("{} {}\n", line, count);
}

bool write_flame_graph(std::vector<shown_thread> const& threads, wish const& w)
{
    call_tree tree;
    for (auto const& t : threads) tree.add(calls_of(t), 1);
    auto const page = flame_graph_page(tree, fmt::format("Process {}: {} stacks", w.who.process.value, threads.size()));
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file{std::fopen(w.flame_graph.c_str(), "w"), &std::fclose};
    return file && std::fwrite(page.data(), 1, page.size(), file.get()) == page.size() && std::fflush(file.get()) == 0;
}

/// Stops all threads at once; the memory grows with the threads' stacks.
void look_at_all_together(looker& look, std::vector<tp::thread>& threads, std::vector<shown_thread>& into)
{
    lent_bytes stacks{std::min<std::size_t>(std::size_t{1} << 30, (std::size_t{8} << 20) + threads.size() * (64u << 10))};
    std::vector<st::held_thread> held(threads.size());
    st::brief_stop_together(threads, look.maps(), held, stacks);
    for (std::size_t i = 0; i < threads.size(); ++i) into.push_back(look.show(threads[i], held[i].capture, {}));
}

int user_stacks(CLI::App& options, command_line const& line)
{
    wish w;
    options.description("Shows the stacks of the threads of a process, without stopping it.");
    options.add_option("TASK", w.who, "PID, or PID/TID for one thread")->required()->type_name("");
    options.add_flag("--stop", w.stop, "stop each thread briefly: running ones too. Some calls\n"
                                       "of it, as epoll_wait, then return EINTR: signal(7)");
    options.add_flag("--together", w.together, "with --stop: all threads at once");
    options.add_flag("--kernel", w.kernel, "the kernel's frames too; needs CAP_SYS_ADMIN");
    options.add_flag("--merge", w.merge, "put identical stacks together");
    options.add_flag("--json", w.as_json, "print JSON");
    options.add_flag("--folded", w.folded, "print a line for each stack, for flamegraph.pl");
    options.add_option("--samples", w.samples, "look so often: a profile of wall-clock time")->check(CLI::Range(1u, 1'000'000u))->type_name("N");
    options.add_option("--interval", w.interval, "ms between two looks (10)")->check(CLI::Range(1u, 60'000u))->type_name("MS");
    options.add_option("--flamegraph", w.flame_graph, "write a page to look at in a browser")->type_name("FILE");
    options.footer("(inferred) marks a frame that was found by searching the stack, (frame_pointer)\none found by frame pointers. A stack that is not whole says (truncated).");

    line.read();

    auto const process = tp::process::open(w.who.process);
    if (!process) { complain(process.error()); return something_unread; }
    // A descriptor for each file, and for each thread when all are stopped together.
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)::setrlimit(RLIMIT_NOFILE, &files);
    }
    looker look{process.value(), w};
    bool complete = true;
    std::vector<shown_thread> seen;
    lent_bytes ids{std::size_t{1} << 20}; // the listing of 32,768 threads in one step
    for (unsigned sample = 0; sample < w.samples; ++sample) {
        timespec next{};
        ::clock_gettime(CLOCK_MONOTONIC, &next);
        if (auto const maps = look.refresh_maps(); !maps) { complain(maps.error()); return something_unread; }
        std::vector<tp::thread> together;
        auto const look_at = [&](tp::tid id) {
            auto thread = process.value().thread(id);
            if (!thread) {
                if (thread.error().code != tp::errc::vanished) { complain(thread.error()); complete = false; }
            } else if (w.stop && w.together) {
                together.push_back(std::move(thread.value()));
            } else {
                seen.push_back(look.look(thread.value()));
            }
        };
        if (w.who.thread) {
            look_at(*w.who.thread);
        } else {
            auto walk = process.value().threads<>({.listing = ids});
            for (auto const& row : walk) look_at(row.id().tid);
            if (auto const status = walk.status(); !status) {
                complain(status.error());
                complete = false;
                break;
            }
        }
        if (!together.empty()) look_at_all_together(look, together, seen);
        if (sample + 1 < w.samples) {
            next.tv_nsec += static_cast<long>(w.interval % 1000) * 1'000'000;
            next.tv_sec += static_cast<time_t>(w.interval / 1000) + next.tv_nsec / 1'000'000'000;
            next.tv_nsec %= 1'000'000'000;
            while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr) != 0) {}
        }
    }
    if (seen.empty()) complete = false;
    for (auto const& t : seen) complete &= t.is_told();
    if (!w.flame_graph.empty() && !write_flame_graph(seen, w)) {
        complain(fmt::format("{} could not be written", w.flame_graph));
        complete = false;
    }
    if (w.as_json) {
        auto threads = json::array();
        for (auto const& t : seen) threads.push_back(json_of_thread(t));
        print_json({{"tgid", w.who.process.value}, {"threads", std::move(threads)}}, 4);
    } else if (w.folded) {
        print_folded(seen);
    } else if (w.flame_graph.empty()) {
        print_text(seen, w.merge);
    }
    return complete ? all_told : something_unread;
}

} // namespace

int main(int argc, char** argv) { return run(user_stacks, "user_stacks", argc, argv); }
