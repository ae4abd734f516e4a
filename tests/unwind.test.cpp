// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/looked_at.hpp"
#include "support/sanitizers.hpp"
#include "support/targets.hpp"

#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <malloc.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;
using taskpeek::tests::contains_in_order;
using taskpeek::tests::looked_at;
using taskpeek::tests::skip;

namespace {

/// What gdb says: for each thread its program counters, innermost first; without frames that it makes up for inlined and tail calls.
std::map<int, std::vector<std::uint64_t>> ask_gdb(pid_t pid)
{
    std::string const script = "import gdb\n"
        "for t in gdb.selected_inferior().threads():\n"
        "  t.switch(); f = gdb.newest_frame(); pcs = []\n"
        "  while f:\n"
        "    if f.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME): pcs.append('%x' % f.pc())\n"
        "    f = f.older()\n"
        "  print('T', t.ptid[1], *pcs)\n";
    auto const command = "timeout 60 gdb -batch -nx -iex 'set debuginfod enabled off' -p " + std::to_string(pid) +
        " -ex 'set backtrace past-main on' -ex 'set backtrace limit 200' -ex \"python exec('''" + script + "''')\" 2>/dev/null";
    std::map<int, std::vector<std::uint64_t>> out;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const gdb{popen(command.c_str(), "r"), &pclose};
    char line[8192];
    while (gdb && std::fgets(line, sizeof line, gdb.get()) != nullptr) {
        std::istringstream in{line};
        std::string mark;
        int tid = 0;
        if (!(in >> mark >> tid) || mark != "T") continue;
        std::uint64_t pc = 0;
        while (in >> std::hex >> pc) out[tid].push_back(pc);
    }
    return out;
}

struct comparison { unsigned threads = 0, same = 0, complete = 0, wrong_though_exact = 0, inferred = 0; };

/// Compares with gdb; no_stop first, for gdb interrupts what is blocked.
void compare(std::string const& flavour, bool with_inference)
{
    CAPTURE(flavour);
    tp::tests::target_program target{"deep-" + flavour, {"100"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    REQUIRE(p.process);
    struct chain { std::vector<st::frame> frames; st::stack_end end; };
    std::map<int, chain> ours, stopped;
    auto walk = p.process.value().threads<>();
    for (auto const& row : walk) {
        auto const u = p.unwind(row.id().tid, false);
        ours[row.id().tid.value] = {{u.frames.begin(), u.frames.end()}, u.end};
    }
    REQUIRE(ours.size() == 101);
    auto const theirs = ask_gdb(target.pid());
    if (theirs.empty()) return skip("gdb is not here, or may not attach");

    // Threads that gdb has interrupted go on and end: what is still there is compared again, stopped.
    auto again = p.process.value().threads<>();
    for (auto const& row : again) {
        auto const u = p.unwind(row.id().tid, true);
        stopped[row.id().tid.value] = {{u.frames.begin(), u.frames.end()}, u.end};
    }
    auto const judge = [&](std::map<int, chain> const& chains) {
        comparison c;
        for (auto const& [tid, mine] : chains) {
            auto const found = theirs.find(tid);
            if (found == theirs.end()) continue;
            ++c.threads;
            bool same = mine.frames.size() == found->second.size();
            unsigned not_exact = 0;
            for (std::size_t i = 0; i < mine.frames.size(); ++i) {
                bool const right = i < found->second.size() && mine.frames[i].pc.value == found->second[i];
                same = same && right;
                not_exact += mine.frames[i].quality != st::frame_quality::exact;
                bool const trusted = mine.frames[i].quality == st::frame_quality::exact && mine.end == st::stack_end::complete;
                if (!right && trusted) ++c.wrong_though_exact;
            }
            c.same += same;
            c.complete += mine.end == st::stack_end::complete && not_exact <= 1;
            c.inferred += not_exact;
        }
        return c;
    };
    auto const quiet = judge(ours);
    CHECK(quiet.threads == 101);
    CHECK(quiet.same >= 99);       // of 101: 98 of 100
    CHECK(quiet.complete >= 91);
    CHECK(quiet.wrong_though_exact == 0);
    CHECK((quiet.inferred > 0) == with_inference);
    auto const brief = judge(stopped);
    CHECK(brief.threads >= 70);
    CHECK(brief.same == brief.threads);
    CHECK(brief.complete == brief.threads);
    CHECK(brief.inferred == 0);
    MESSAGE(flavour << ": no_stop " << quiet.same << " of " << quiet.threads << " as gdb, " << quiet.complete << " complete, " << quiet.inferred
                    << " frames inferred; brief_stop " << brief.same << " of " << brief.threads);
}

} // namespace

#if defined __x86_64__
TEST_CASE("unwind: 100 threads, -O2 without frame pointers: as gdb sees them") { compare("O2", false); }
TEST_CASE("unwind: 100 threads, -O0: as gdb sees them, frame pointers inferred") { compare("O0", true); }
TEST_CASE("unwind: 100 threads, with frame pointers: as gdb sees them") { compare("fp", true); }
TEST_CASE("unwind: 100 threads, with alloca: as gdb sees them") { compare("alloca", true); }
TEST_CASE("unwind: 100 threads, with arrays of variable length: as gdb sees them") { compare("vla", true); }
TEST_CASE("unwind: 100 threads, without -g: as gdb sees them") { compare("no-g", false); }
TEST_CASE("unwind: 100 threads, stripped: as gdb sees them") { compare("stripped", false); }
TEST_CASE("unwind: 100 threads, static: as gdb sees them") { compare("static", false); }
TEST_CASE("unwind: 100 threads, described in .debug_frame alone: as gdb sees them") { compare("debug-frame", false); }
TEST_CASE("unwind: 100 threads, by clang: as gdb sees them")
{
    if (::access(tp::tests::target_path("deep-clang").c_str(), X_OK) != 0) return skip("clang is not here to build the target");
    compare("clang", false);
}
#endif

TEST_CASE("unwind: a static program, by its known chain of calls")
{
    for (bool const stop : {false, true}) {
        tp::tests::target_program target{"deep-static", {"17"}};
        REQUIRE(target.is_ready());
        looked_at p{target.id()};
        REQUIRE(p.process);
        unsigned whole = 0, threads = 0;
        auto walk = p.process.value().threads<>();
        for (auto const& row : walk) {
            if (row.id().is_leader()) continue;
            ++threads;
            auto const u = p.unwind(row.id().tid, stop);
            auto const names = p.names(u);
            whole += u.is_complete() && std::count(names.begin(), names.end(), "deep_through_library") == 8 &&
                     contains_in_order(names, {"block", "thread_main", "start_thread", "clone"});
        }
        CHECK(threads == 17);
        CHECK(whole == 17);
    }
}

TEST_CASE("unwind: through a signal handler to what it interrupted")
{
    for (bool const stop : {false, true}) {
        CAPTURE(stop);
        tp::tests::target_program target{"odd", {"signal"}};
        REQUIRE(target.is_ready());
        looked_at p{target.id()};
        REQUIRE(p.blocks());
        auto const u = p.unwind_main(stop);
        CHECK(u.is_complete());
        CHECK(contains_in_order(p.names(u), {"read", "wait_here", "handler", "raise_it", "main"}));
        CHECK(std::count_if(u.frames.begin(), u.frames.end(), [](st::frame const& f) { return f.signal_frame; }) == 1);
    }
}

TEST_CASE("unwind: from a handler on an alternate stack to the stack that it interrupted")
{
    for (bool const stop : {false, true}) {
        CAPTURE(stop);
        tp::tests::target_program target{"odd", {"altstack"}};
        REQUIRE(target.is_ready());
        looked_at p{target.id()};
        REQUIRE(p.blocks());
        auto const whole = p.capture_main(stop);
        CHECK_FALSE(whole.other.empty());
        CHECK(whole.copy_is_whole);
        auto const u = p.unwinder->unwind(whole, p.frames);
        CHECK(u.is_complete());
        CHECK(contains_in_order(p.names(u), {"wait_here", "handler", "raise_it", "main"}));

        auto without = whole; // an older capture, say: it says which memory is lacking
        without.other = {};
        auto const cut = p.unwinder->unwind(without, p.frames);
        CHECK(cut.end == st::stack_end::unreadable);
        CHECK(cut.missing >= whole.other_start);
        CHECK(contains_in_order(p.names(cut), {"wait_here", "handler"}));
        p.stack.resize(whole.stack.size() + 512); // or too little room for both: of the second there is a piece
        auto const little = p.capture_main(stop);
        CHECK_FALSE(little.copy_is_whole);
        CHECK(little.copied() <= p.stack.size());
        CHECK_FALSE(p.unwinder->unwind(little, p.frames).is_complete());
        p.stack.resize(1u << 20);
    }
}

TEST_CASE("unwind: from a call through a null pointer, by way of the handler of its signal, and the doubt is marked")
{
    for (bool const stop : {false, true}) {
        tp::tests::target_program target{"odd", {"nowhere"}};
        REQUIRE(target.is_ready());
        looked_at p{target.id()};
        REQUIRE(p.blocks());
        auto const u = p.unwind_main(stop);
        CHECK(u.is_complete());
        CHECK(contains_in_order(p.names(u), {"wait_here", "handler", "calls_nowhere", "main"}));
        auto const at_null = std::find_if(u.frames.begin(), u.frames.end(), [](st::frame const& f) { return f.pc.value == 0; });
        REQUIRE(at_null != u.frames.end());
        CHECK((at_null + 1)->quality == st::frame_quality::inferred);
    }
}

TEST_CASE("unwind: while an exception is in flight, through the C++ run-time")
{
    tp::tests::target_program target{"odd", {"exception"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    REQUIRE(p.blocks());
    for (bool const stop : {false, true}) {
        auto const u = p.unwind_main(stop);
        CHECK(u.is_complete());
        CHECK(contains_in_order(p.names(u), {"wait_here", "throws", "main"}));
    }
}

#if defined __x86_64__
TEST_CASE("unwind: code without call frame information is passed by its frame pointer, and marked; its name is in the JIT's map")
{
    tp::tests::target_program target{"odd", {"jit"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    REQUIRE(p.blocks());
    auto const u = p.unwind_main(true);
    CHECK(u.is_complete());
    CHECK(contains_in_order(p.names(u), {"wait_here", "jitted;function", "call_jitted", "main"}));
    auto const by_frame_pointer = [](st::frame const& f) { return f.quality == st::frame_quality::frame_pointer; };
    CHECK(std::count_if(u.frames.begin(), u.frames.end(), by_frame_pointer) == 1);
}
#endif

TEST_CASE("unwind: in the vdso and in plain code, many times, a running thread's stack is complete")
{
    tp::tests::target_program target{"odd", {"spin"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    unsigned complete = 0, in_vdso = 0;
    for (int i = 0; i < 100; ++i) {
        auto const u = p.unwind_main(true);
        complete += u.is_complete();
        auto const* const m = u.frames.empty() ? nullptr : p.maps.find(u.frames.front().pc);
        if (m != nullptr && p.maps.path(*m) == "[vdso]") ++in_vdso;
        auto const names = p.names(u);
        CHECK(contains_in_order(names, {"spin", "main"}));
    }
    CHECK(complete == 100);
    CHECK(in_vdso > 0);
}

TEST_CASE("unwind: a stack that is cut anywhere is never shown as whole")
{
    tp::tests::target_program target{"deep-O2", {"1", "0"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    auto walk = p.process.value().threads<>();
    tp::tid tid{};
    for (auto const& row : walk)
        if (!row.id().is_leader()) tid = row.id().tid;
    auto whole = p.capture(tid, true);
    auto const u = p.unwinder->unwind(whole, p.frames);
    REQUIRE(u.is_complete());
    auto const root = u.frames.back().sp.value;
    auto const depth = u.frames.size();
    auto cut = whole;
    for (std::size_t size = 0; whole.stack_start.value + size < root; size += 8) {
        cut.stack = whole.stack.substr(0, size);
        cut.copy_is_whole = false;
        auto const v = p.unwinder->unwind(cut, p.frames);
        CHECK(v.end == st::stack_end::copy_too_short);
        CHECK(v.frames.size() < depth);
    }
    std::vector<st::frame> few(depth - 1);
    CHECK(p.unwinder->unwind(whole, few).end == st::stack_end::too_many_frames);
    CHECK(p.unwinder->unwind(whole, std::span<st::frame>{}).end == st::stack_end::too_many_frames);
}

TEST_CASE("unwind: capturing and unwinding allocate nothing, also with little memory")
{
    if (tp::tests::sanitized) return skip("a sanitizer has a malloc of its own");
    tp::tests::target_program target{"deep-O0", {"4"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    std::vector<char> little(st::unwinder::least_memory);
    std::vector<tp::thread> threads;
    auto walk = p.process.value().threads<>();
    for (auto const& row : walk) threads.push_back(static_cast<tp::thread&&>(p.process.value().thread(row.id().tid).value()));
    auto const before = mallinfo2().uordblks;
    unsigned complete = 0;
    {
        st::unwinder small{p.maps, target.id(), p.process.value().directory(), little};
        for (auto const& t : threads) {
            complete += small.unwind(st::no_stop(t, p.maps, p.stack), p.frames).is_complete();
            complete += p.unwinder->unwind(st::brief_stop(t, p.maps, p.stack), p.frames).is_complete();
        }
    }
    CHECK(mallinfo2().uordblks == before);
    CHECK(complete >= 2 * 5 - 1); // the first thread may not have blocked yet
}

TEST_CASE("unwind: any words for a stack end the walk, with a reason, in the time that its frames take")
{
    tp::tests::target_program target{"deep-O0", {"1", "0"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    auto walk = p.process.value().threads<>();
    tp::tid tid{};
    for (auto const& row : walk)
        if (!row.id().is_leader()) tid = row.id().tid;
    for (bool const stop : {false, true}) {
        auto const whole = p.capture(tid, stop);
        REQUIRE(whole.outcome == st::capture_outcome::captured);
        std::string bytes;
        std::uint32_t seed = 1;
        unsigned ended = 0;
        for (int round = 0; round < 300; ++round) {
            bytes.assign(whole.stack);
            for (int n = 0; n < 40; ++n) {
                seed = seed * 1664525 + 1013904223;
                bytes[(seed >> 8) % bytes.size()] = static_cast<char>(seed >> 3);
            }
            auto changed = whole;
            changed.stack = bytes;
            auto const u = p.unwinder->unwind(changed, p.frames);
            ended += u.end != st::stack_end::not_captured && u.frames.front().pc == whole.regs.pc();
        }
        CHECK(ended == 300);
    }
}
