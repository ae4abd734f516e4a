// SPDX-License-Identifier: BSL-1.0
// What is every thread of this process executing? Its stacks, from the kernel's frames down to main, without stopping it.

#include "common/flame_graph.hpp"
#include "common/json.hpp"
#include "common/program.hpp"

#include <taskpeek/stack/kernel_side.hpp>
#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#if EXAMPLES_LIBDW
#include <taskpeek/stack/debuginfo.hpp>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
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
    bool inlines = false;
    bool merge = false;
    bool as_json = false;
    bool folded = false;
    unsigned samples = 1;
    unsigned interval = 10; // ms
    std::string flame_graph;

    [[nodiscard]] bool is_counted() const { return folded || !flame_graph.empty(); }
};

// Thousands of frames are printed, few are different: what is common to them is made once, and the rest without a formatter.
void append_hex(std::string& out, std::uint64_t n, unsigned least_digits = 1)
{
    unsigned digits = least_digits;
    while (digits < 16 && n >> 4 * digits != 0) ++digits;
    while (digits-- > 0) out += "0123456789abcdef"[n >> 4 * digits & 15];
}

/// A call of the source, in words.
struct place {
    std::string name;         ///< harmless, for folded stacks; empty where it is not known
    std::string text;         ///< `f+0x1 at f.c:12 from /lib/x`, harmless
    std::string fields;       ///< of JSON: `"symbol":…,"offset":…,"module":…`
    bool inlined = false;     ///< into the next one
};

/// The calls at one pc, innermost first: inlined ones, and the function that was called.
using places = std::vector<place>;

/// One frame, ready to be shown.
struct shown_frame {
    std::uint64_t pc = 0;
    std::shared_ptr<places const> at;
    bool kernel = false;
    st::frame_quality quality = st::frame_quality::exact;
    bool signal_frame = false;

    /// Without what differs from thread to thread.
    friend bool operator==(shown_frame const& a, shown_frame const& b)
    {
        return a.pc == b.pc && (a.at == b.at || a.at->back().text == b.at->back().text) && a.kernel == b.kernel && a.quality == b.quality;
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
    bool vanished = false;
    std::uint64_t pause = 0;  ///< ns
    std::vector<shown_frame> frames;

    [[nodiscard]] bool is_told() const
    {
        return outcome == st::capture_outcome::captured || outcome == st::capture_outcome::running ||
               outcome == st::capture_outcome::kernel_thread;
    }

    /// Do two threads stand at the same place?
    [[nodiscard]] bool stands_with(shown_thread const& o) const
    {
        return frames == o.frames && outcome == o.outcome && end == o.end && note == o.note;
    }
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

/// A thread's kernel side, and the text that it is of.
struct kernel_part {
    tp::buffer<pf::stack::typical_size> memory;
    st::kernel_side side;
};

/// Everything that is kept from one thread to the next.
class looker {
public:
    looker(tp::process const& process, wish const& w) : process_{process}, wish_{w}
    {
        if (auto const abi = st::abi_of(process)) abi_ = abi.value();
    }

    /// Before a look: has the process mapped other files since the last one?
    [[nodiscard]] tp::result<void> refresh_maps()
    {
        for (auto const key : fleeting_) places_.erase(key);
        fleeting_.clear();
        auto maps = st::mapping_table::read(process_, spare_memory_);
        while (!maps && maps.error().code == tp::errc::truncated && spare_memory_.size() < std::size_t{1} << 30) {
            spare_memory_ = lent_bytes{spare_memory_.size() * 4};
            maps = st::mapping_table::read(process_, spare_memory_);
        }
        if (!maps && maps.error().code == tp::errc::kernel_thread) maps = st::mapping_table{};
        if (!maps) return maps.error();
        if (unwinder_ && are_equal(maps.value(), maps_)) return tp::success();
        names_.reset();
        places_.clear();
#if EXAMPLES_LIBDW
        lines_.reset();
#endif
        unwinder_.reset();
        std::swap(maps_memory_, spare_memory_);
        maps_ = maps.value();
        unwinder_ = std::make_unique<st::unwinder>(maps_, process_.id().tgid, process_.directory(), unwind_memory_);
        names_ = std::make_unique<st::symbolizer>(*unwinder_, process_);
#if EXAMPLES_LIBDW
        if (wish_.inlines) lines_ = std::make_unique<st::debug_info>(*unwinder_);
#endif
        return tp::success();
    }

    [[nodiscard]] st::mapping_table const& maps() const { return maps_; }

    /// Has code been mapped or unmapped since? Then a frame may have been taken for what was there before.
    [[nodiscard]] bool code_has_changed() const
    {
        auto const current = maps_.is_current(process_);
        return current && !current.value();
    }

    [[nodiscard]] shown_thread look(tp::thread const& thread)
    {
        auto const kernel = kernel_of(thread);
        return show(thread, wish_.stop ? st::brief_stop(thread, maps_, stack_memory_) : st::no_stop(thread, maps_, stack_memory_), kernel);
    }

    /// The kernel's side, if it is asked for. It is read before a stop: afterwards a thread is on its way back.
    [[nodiscard]] std::unique_ptr<kernel_part> kernel_of(tp::thread const& thread) const
    {
        if (!wish_.kernel) return nullptr;
        auto part = std::make_unique<kernel_part>();
        part->side = st::read_kernel_side(thread, part->memory);
        return part;
    }

    [[nodiscard]] shown_thread show(tp::thread const& thread, st::thread_capture const& capture, std::unique_ptr<kernel_part> const& kernel)
    {
        shown_thread out;
        out.id = thread.id();
        tp::buffer<pf::stat::typical_size> stat_memory;
        if (auto const stat = thread.read<pf::stat>(stat_memory)) {
            out.comm = std::string{stat.value().comm};
            out.state = stat.value().state.letter;
        }
        out.outcome = capture.outcome;
        out.vanished = capture.outcome == st::capture_outcome::failed && capture.why.code == tp::errc::vanished;
        out.pause = capture.pause.count;
        if (kernel) add_kernel_side(out, kernel->side);
        if (capture.in_syscall) add_syscall(out, capture);
        auto unwound = unwinder_->unwind(capture, frames_);
        while (unwound.end == st::stack_end::too_many_frames && frames_.size() < most_frames) {
            frames_.resize(frames_.size() * 8);
            unwound = unwinder_->unwind(capture, frames_);
        }
        out.end = unwound.end;
        out.frames.reserve(out.frames.size() + unwound.frames.size());
        for (auto const& f : unwound.frames) out.frames.push_back({f.pc.value, places_of(f), false, f.quality, f.signal_frame});
        if (capture.outcome == st::capture_outcome::failed) {
            auto const message = capture.why.message();
            add_note(out, message.view());
            if (capture.refused != st::refusal::none) add_note(out, st::describe(capture.refused));
        } else if (capture.outcome == st::capture_outcome::traced) {
            add_note(out, fmt::format("task {} traces it already", capture.tracer.value));
        }
        if (capture.was_stopped) add_note(out, "a signal had stopped it, and it still is");
        return out;
    }

private:
    static constexpr std::size_t most_frames = 1u << 18;

    [[nodiscard]] static bool are_equal(st::mapping_table const& a, st::mapping_table const& b)
    {
        return std::ranges::equal(a.all(), b.all(), [&](st::mapping const& x, st::mapping const& y) {
            return x.start == y.start && x.end == y.end && x.offset == y.offset && x.inode == y.inode && x.dev == y.dev &&
                   x.perms == y.perms && a.path(x) == b.path(y);
        });
    }

    [[nodiscard]] std::shared_ptr<places const> places_of(st::frame const& f)
    {
        auto const key = f.pc.value << 1 | (f.is_return ? 1u : 0u);
        auto& known = places_[key];
        if (known) return known;
        auto const symbol = names_->find(f);
        if (symbol.module_offset == 0) fleeting_.push_back(key); // a JIT's: it may be another's at the next look
        places all;
#if EXAMPLES_LIBDW
        if (lines_) {
            auto calls = lines_->find(f.lookup_pc());
            // The symbol table knows the whole name of what was called, debug information those of what was inlined.
            if (calls.empty() || calls.back().inlined) calls.emplace_back();
            for (auto const& call : calls) {
                bool const last = &call == &calls.back();
                auto const& name = last && !symbol.name.empty() ? symbol.name : call.function;
                bool const has_offset = last && !symbol.name.empty();
                all.push_back(make_place(name, has_offset ? &symbol.offset : nullptr, symbol.module, "from", call.file, call.line,
                                         call.column, call.inlined));
            }
            return known = std::make_shared<places const>(std::move(all));
        }
#endif
        all.push_back(make_place(symbol.name, &symbol.offset, symbol.module, "from"));
        return known = std::make_shared<places const>(std::move(all));
    }

    [[nodiscard]] static place make_place(std::string_view name, std::uint64_t const* offset, std::string_view module,
                                          std::string_view preposition, std::string_view file = {}, unsigned line = 0,
                                          unsigned column = 0, bool inlined = false)
    {
        place p{harmless(name), "??", {}, inlined};
        if (!name.empty()) {
            p.text = p.name;
            if (offset != nullptr) { p.text += "+0x"; append_hex(p.text, *offset); }
        }
        if (line != 0) p.text += fmt::format(" at {}:{}", harmless(file), line);
        if (!module.empty()) p.text += fmt::format(" {} {}", preposition, harmless(module));
        if (inlined) p.text += "  (inlined)";
        auto const text_or_null = [](std::string_view text) { return text.empty() ? std::string{"null"} : json_of(text).dump(); };
        p.fields = fmt::format(R"("symbol":{},"offset":{},"module":{})", text_or_null(name),
                               name.empty() || offset == nullptr ? "null" : std::to_string(*offset), text_or_null(module));
        if (line != 0) p.fields += fmt::format(R"(,"file":{},"line":{},"column":{})", text_or_null(file), line, column);
        if (inlined) p.fields += R"(,"inlined":true)";
        return p;
    }

    static void add_note(shown_thread& out, std::string_view note)
    {
        if (!out.note.empty()) out.note += "; ";
        out.note += note;
    }

    static void add_kernel_side(shown_thread& out, st::kernel_side const& kernel)
    {
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
            out.frames.push_back({f.pc.raw(), std::make_shared<places const>(1, make_place(f.base_name(), &f.offset.count, f.module, "in")),
                                  true, f.reliable ? st::frame_quality::exact : st::frame_quality::inferred, false});
    }

    void add_syscall(shown_thread& out, st::thread_capture const& capture) const
    {
        auto const name = abi_ ? st::syscall_name(*abi_, capture.syscall_nr) : std::string_view{};
        out.syscall = name.empty() ? "system call " + std::to_string(capture.syscall_nr) : std::string{name};
        for (std::size_t i = 0; i < 6; ++i) {
            out.syscall += i == 0 ? "(0x" : ", 0x";
            append_hex(out.syscall, capture.syscall_args[i]);
        }
        out.syscall += ')';
    }

    tp::process const& process_;
    wish const& wish_;
    std::optional<st::syscall_abi> abi_;
    st::mapping_table maps_;
    lent_bytes maps_memory_{1u << 20};
    lent_bytes spare_memory_{1u << 20};
    lent_bytes unwind_memory_{st::unwinder::typical_memory};
    lent_bytes stack_memory_{8u << 20};
    std::vector<st::frame> frames_ = std::vector<st::frame>(512);
    std::unique_ptr<st::unwinder> unwinder_;
    std::unique_ptr<st::symbolizer> names_;
#if EXAMPLES_LIBDW
    std::unique_ptr<st::debug_info> lines_;
#endif
    std::unordered_map<std::uint64_t, std::shared_ptr<places const>> places_;
    std::vector<std::uint64_t> fleeting_;
};

/// What is shown, as text, as JSON or counted; each thread at once, so that a long profile takes no more memory than its stacks differ.
class report {
public:
    explicit report(wish const& w) : wish_{w}
    {
        text_.reserve(flushed_at + 4096);
        if (w.as_json) text_ = fmt::format("{{\n  \"tgid\": {},\n  \"threads\": [", w.who.process.value);
    }

    [[nodiscard]] bool complete() const { return complete_ && threads_ > 0; }
    void fail() { complete_ = false; }
    void fail(tp::error const& why)
    {
        complete_ = false;
        if (wish_.as_json) error_ = why;
        else complain(why);
    }

    /// Says once that code came or went during a look.
    void doubt()
    {
        if (!doubted_) complain("code was mapped or unmapped meanwhile: frames in it may be told by what was there before");
        doubted_ = true;
    }

    void add(shown_thread&& t)
    {
        if (t.vanished && !wish_.who.thread) return; // it is no thread of the process any more
        ++threads_;
        complete_ &= t.is_told();
        if (wish_.is_counted()) count(t);
        if (wish_.as_json) print_json_of(t);
        else if (wish_.is_counted()) return;
        else if (wish_.merge) merge(std::move(t));
        else print(t, {});
    }

    void close()
    {
        for (auto const& m : merged_) print(m.stack, m.ids);
        if (wish_.as_json) {
            text_ += threads_ == 0 ? "]" : "\n  ]";
            if (error_) text_ += ",\n  " + json_of(*error_).dump().substr(1, std::string::npos);
            else text_ += "\n}";
            text_ += '\n';
        } else if (wish_.folded) {
            for (auto const& [line, n] : counts_) text_ += fmt::format("{} {}\n", line, n);
        }
        flush();
        if (!wish_.flame_graph.empty() && !write_flame_graph()) {
            complain(fmt::format("{} could not be written", wish_.flame_graph));
            complete_ = false;
        }
    }

private:
    static constexpr std::size_t flushed_at = 64u << 10;

    struct merged {
        shown_thread stack;
        std::vector<std::string> ids;
    };

    void flush()
    {
        if (std::fwrite(text_.data(), 1, text_.size(), stdout) != text_.size()) throw std::runtime_error{"the output could not be written"};
        text_.clear();
    }

    static std::string title_of(shown_thread const& t) { return std::to_string(t.id.tid.value) + " \"" + harmless(t.comm) + '"'; }

    void merge(shown_thread&& t)
    {
        auto id = title_of(t);
        for (auto& m : merged_) {
            if (!m.stack.stands_with(t)) continue;
            m.ids.push_back(std::move(id));
            return;
        }
        merged_.push_back({std::move(t), {std::move(id)}});
    }

    void print(shown_thread const& t, std::vector<std::string> const& ids)
    {
        if (printed_++ > 0) text_ += '\n';
        text_ += "Thread ";
        if (ids.size() > 1) {
            for (auto const& id : ids) (text_ += id) += &id == &ids.back() ? "" : ", ";
            text_ += fmt::format(" ({} threads)\n", ids.size());
        } else {
            (((text_ += title_of(t)) += " (") += harmless({&t.state, 1})) += ")\n";
        }
        std::size_t n = 0;
        bool syscall_told = t.syscall.empty();
        auto const tell_syscall = [&] {
            if (!syscall_told) ((text_ += "    ") += t.syscall) += '\n';
            syscall_told = true;
        };
        for (auto const& f : t.frames) {
            if (!f.kernel) tell_syscall();
            for (auto const& p : *f.at) print_frame(n++, f, p);
        }
        tell_syscall();
        if (t.outcome != st::capture_outcome::captured) text_ += fmt::format("    ({})\n", st::name_of(t.outcome));
        else if (t.end != st::stack_end::complete) text_ += fmt::format("    (truncated: {})\n", st::name_of(t.end));
        if (!t.note.empty()) text_ += fmt::format("    ({})\n", harmless(t.note));
        if (text_.size() > flushed_at) flush();
    }

    void print_frame(std::size_t n, shown_frame const& f, place const& p)
    {
        auto const number = std::to_string(n);
        ((text_ += '#') += number).append(number.size() < 4 ? 4 - number.size() : 1, ' ');
        if (f.kernel) {
            text_ += "[kernel] ";
            if (p.name.empty()) { text_ += "0x"; append_hex(text_, f.pc); }
            else text_ += p.text;
        } else {
            text_ += "0x";
            append_hex(text_, f.pc, 16);
            (text_ += " in ") += p.text;
        }
        if (f.signal_frame) text_ += "  <signal handler called>";
        if (f.quality != st::frame_quality::exact) ((text_ += "  (") += st::name_of(f.quality)) += ')';
        text_ += '\n';
    }

    void print_json_of(shown_thread const& t)
    {
        text_ += threads_ == 1 ? "\n" : ",\n";
        json rest = {{"comm", json_of(std::string_view{t.comm})}, {"state", json_of(std::string_view{&t.state, 1})},
                     {"outcome", std::string{st::name_of(t.outcome)}}, {"end", std::string{st::name_of(t.end)}}};
        if (!t.syscall.empty()) rest["syscall"] = t.syscall;
        if (!t.note.empty()) rest["note"] = json_of(std::string_view{t.note});
        if (wish_.stop) rest["pause_ns"] = t.pause;
        auto const fields = rest.dump();
        text_ += fmt::format(R"(    {{"tid":{},{},"frames":[)", t.id.tid.value, std::string_view{fields}.substr(1, fields.size() - 2));
        bool first = true;
        for (auto const& f : t.frames) {
            for (auto const& p : *f.at) {
                text_ += first ? "\n      {\"pc\":" : ",\n      {\"pc\":";
                first = false;
                if (f.kernel && f.pc == 0) text_ += "null"; // since 4.15 the kernel keeps its addresses back
                else { text_ += "\"0x"; append_hex(text_, f.pc); text_ += '"'; }
                (text_ += ',') += p.fields;
                text_ += f.kernel ? R"(,"kind":"kernel","quality":")" : R"(,"kind":"user","quality":")";
                (text_ += st::name_of(f.quality)) += '"';
                if (f.signal_frame) text_ += R"(,"signal_frame":true)";
                text_ += '}';
            }
        }
        text_ += "]}";
        if (text_.size() > flushed_at) flush();
    }

    /// The calls of a stack, outermost first, as flame graphs want them.
    [[nodiscard]] static std::vector<std::string> calls_of(shown_thread const& t)
    {
        std::vector<std::string> calls{harmless(t.comm)};
        if (t.outcome == st::capture_outcome::captured && t.end != st::stack_end::complete)
            calls.push_back(fmt::format("[truncated: {}]", st::name_of(t.end)));
        // NOLINTNEXTLINE(modernize-loop-convert): outermost first
        for (auto f = t.frames.rbegin(); f != t.frames.rend(); ++f) {
            // NOLINTNEXTLINE(modernize-loop-convert)
            for (auto p = f->at->rbegin(); p != f->at->rend(); ++p) {
                calls.push_back(p->name);
                if (p->name.empty()) { calls.back() = "0x"; append_hex(calls.back(), f->pc); }
                if (f->kernel) calls.back() += "_[k]";
                else if (p->inlined) calls.back() += "_[i]";
            }
        }
        if (t.outcome == st::capture_outcome::running || t.outcome == st::capture_outcome::moved) calls.emplace_back("[running]");
        else if (t.outcome != st::capture_outcome::captured) calls.push_back(fmt::format("[{}]", st::name_of(t.outcome)));
        return calls;
    }

    /// `;` divides the calls of a folded stack, and a newline the stacks.
    [[nodiscard]] static std::string folded(std::vector<std::string> const& calls)
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

    void count(shown_thread const& t)
    {
        auto const calls = calls_of(t);
        if (wish_.folded) ++counts_[folded(calls)];
        if (!wish_.flame_graph.empty()) tree_.add(calls, 1);
    }

    [[nodiscard]] bool write_flame_graph() const
    {
        auto title = fmt::format("Process {}: {} stacks", wish_.who.process.value, threads_);
        if (wish_.samples > 1) title += fmt::format(", {} looks every {} ms", wish_.samples, wish_.interval);
        auto const page = flame_graph_page(tree_, title);
        std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file{std::fopen(wish_.flame_graph.c_str(), "w"), &std::fclose};
        return file && std::fwrite(page.data(), 1, page.size(), file.get()) == page.size() && std::fflush(file.get()) == 0;
    }

    wish const& wish_;
    std::string text_;
    std::size_t threads_ = 0;
    std::size_t printed_ = 0;
    bool doubted_ = false;
    bool complete_ = true;
    std::optional<tp::error> error_;
    std::vector<merged> merged_;
    std::map<std::string, std::uint64_t> counts_;
    call_tree tree_;
};

/// Stops all threads at once; the memory grows with the threads' stacks.
void look_at_all_together(looker& look, std::vector<tp::thread>& threads, report& into)
{
    lent_bytes const stacks{std::min<std::size_t>(std::size_t{1} << 30, (std::size_t{8} << 20) + threads.size() * (64u << 10))};
    std::vector<std::unique_ptr<kernel_part>> kernel;
    kernel.reserve(threads.size());
    for (auto const& thread : threads) kernel.push_back(look.kernel_of(thread));
    std::vector<st::held_thread> held(threads.size());
    st::brief_stop_together(threads, look.maps(), held, {stacks.data(), stacks.size()});
    for (std::size_t i = 0; i < threads.size(); ++i) into.add(look.show(threads[i], held[i].capture, kernel[i]));
}

/// One look at all threads that are asked for. False if there will be none to look at again.
bool look_once(tp::process const& process, wish const& w, looker& look, lent_bytes const& ids, report& into)
{
    if (auto const maps = look.refresh_maps(); !maps) { into.fail(maps.error()); return false; }
    std::vector<tp::thread> together;
    auto const look_at = [&](tp::tid id) {
        auto thread = process.thread(id);
        if (!thread) {
            if (thread.error().code != tp::errc::vanished || w.who.thread) into.fail(thread.error());
        } else if (w.stop && w.together) {
            together.push_back(std::move(thread.value()));
        } else {
            into.add(look.look(thread.value()));
        }
        return thread.has_value();
    };
    if (w.who.thread) {
        if (!look_at(*w.who.thread)) return false;
    } else {
        auto walk = process.threads<>({.listing = {ids.data(), ids.size()}});
        for (auto const& row : walk) (void)look_at(row.id().tid);
        if (auto const status = walk.status(); !status) { into.fail(status.error()); return false; }
    }
    if (!together.empty()) look_at_all_together(look, together, into);
    if (look.code_has_changed()) into.doubt();
    return true;
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
    options.add_flag("--inlines", w.inlines, "inlined calls and source lines, from debug information");
    options.add_flag("--merge", w.merge, "put identical stacks together");
    auto* const json_option = options.add_flag("--json", w.as_json, "print JSON");
    options.add_flag("--folded", w.folded, "print a line for each stack, for flamegraph.pl")->excludes(json_option);
    options.add_option("--samples", w.samples, "look so often: a profile of wall-clock time")->check(CLI::Range(1u, 1'000'000u))->type_name("N");
    options.add_option("--interval", w.interval, "ms between two looks (10)")->check(CLI::Range(1u, 60'000u))->type_name("MS");
    options.add_option("--flamegraph", w.flame_graph, "write a page to look at in a browser")->type_name("FILE");
    options.footer("(inferred) marks a frame that was found by searching the stack, (frame_pointer)\none found by frame pointers. A stack that is not whole says (truncated).");

    line.read();
#if !EXAMPLES_LIBDW
    if (w.inlines) { complain("--inlines is not there: this program was built without libdw"); return wrong_usage; }
#endif

    report into{w};
    auto const process = tp::process::open(w.who.process);
    if (!process) {
        into.fail(process.error());
    } else {
        // A descriptor for each file, and for each thread when all are stopped together.
        rlimit files{};
        if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
            files.rlim_cur = files.rlim_max;
            (void)::setrlimit(RLIMIT_NOFILE, &files);
        }
        auto const other = seen_by_living_thread(process.value());
        looker look{other ? *other : process.value(), w};
        lent_bytes const ids{std::size_t{1} << 20}; // the listing of 32,768 threads in one step
        for (unsigned sample = 0; sample < w.samples; ++sample) {
            timespec next{};
            ::clock_gettime(CLOCK_MONOTONIC, &next);
            if (!look_once(process.value(), w, look, ids, into)) break;
            if (sample + 1 < w.samples) {
                next.tv_nsec += static_cast<long>(w.interval % 1000) * 1'000'000;
                next.tv_sec += static_cast<time_t>(w.interval / 1000) + next.tv_nsec / 1'000'000'000;
                next.tv_nsec %= 1'000'000'000;
                while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr) != 0) {}
            }
        }
    }
    into.close();
    return into.complete() ? all_told : something_unread;
}

} // namespace

int main(int argc, char** argv) { return run(user_stacks, "user_stacks", argc, argv); }
