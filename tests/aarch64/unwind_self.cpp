// SPDX-License-Identifier: BSL-1.0
// Unwinds its own stack on aarch64: with all registers, with nothing but sp and pc known, and as a signal interrupted it, in a leaf too;
// and compares with the chain of calls that it made. For an emulator: it reads its stack itself and asks nobody for other processes'
// memory.

#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

std::string maps_text;
std::uint64_t stack_top;
int volatile sink;
bool all_right = true;

/// What the chain of calls must look like where a leaf was interrupted, whose return address is in LR alone.
enum class at_leaf { no, one_call, two_calls };
at_leaf volatile expected = at_leaf::no;

/// Unwinds from the registers of \p from; \p all_registers as brief_stop has them, else as no_stop.
void look(ucontext_t const& from, bool all_registers)
{
    static std::vector<char> memory(1 << 20), rows(st::unwinder::typical_memory);
    static std::vector<st::frame> frames(200);
    auto const maps = st::mapping_table::parse(maps_text, memory);
    if (!maps) { all_right = false; return; }
    st::unwinder unwinder{maps.value(), tp::tgid{1}, -1, rows};
    st::symbolizer symbols{unwinder};
    st::thread_capture c;
    c.outcome = st::capture_outcome::captured;
    c.regs = st::registers{st::machine::aarch64};
    for (st::register_number r = 0; all_registers && r < 31; ++r) c.regs.set(r, from.uc_mcontext.regs[r]);
    c.regs.set(31, from.uc_mcontext.sp);
    c.regs.set(32, from.uc_mcontext.pc);
    c.stack_start = tp::address{from.uc_mcontext.sp};
    c.stack = {reinterpret_cast<char const*>(from.uc_mcontext.sp), static_cast<std::size_t>(stack_top - from.uc_mcontext.sp)};
    auto const u = unwinder.unwind(c, frames);
    unsigned deep = 0;
    bool thread = false;
    for (auto const& f : u.frames) {
        auto const name = symbols.find(f).name;
        deep += name.find("go_deeper") != std::string::npos;
        thread |= name.find("thread_main") != std::string::npos;
        std::printf("  %012llx %s %s%s\n", static_cast<unsigned long long>(f.pc.value), name.c_str(), st::name_of(f.quality).data(), f.signal_frame ? " <signal>" : "");
    }
    std::printf("%s: %s, %u of 8 calls\n", all_registers ? "all registers" : "sp and pc", st::name_of(u.end).data(), deep);
    auto const name_at = [&](std::size_t i) { return i < u.frames.size() ? symbols.find(u.frames[i]).name : std::string{}; };
    bool right = u.is_complete() && deep == 8 && thread;
    if (expected != at_leaf::no) {
        auto const quality = u.frames.size() > 1 ? u.frames[1].quality : st::frame_quality::exact;
        right = right && name_at(0).find("leaf_signal") == 0 && name_at(1).find("calls_leaf") != std::string::npos &&
                quality == (all_registers ? st::frame_quality::exact : st::frame_quality::inferred);
    }
    // Which of two calls it is, nothing tells: then nothing is said.
    if (expected == at_leaf::two_calls && !all_registers) right = u.end == st::stack_end::missing_register && u.frames.size() == 1;
    if (!right) std::printf("  ^ WRONG\n");
    all_right = all_right && right;
}

void handler(int, siginfo_t*, void* context)
{
    look(*static_cast<ucontext_t const*>(context), true); // what was interrupted
    if (expected != at_leaf::no) look(*static_cast<ucontext_t const*>(context), false);
}

/// tgkill(2) as C libraries wrap many calls: a leaf.
extern "C" long leaf_signal(long process, long thread, long signal);
__asm__(".pushsection .text\n"
        ".globl leaf_signal\n"
        ".type leaf_signal, %function\n"
        "leaf_signal:\n"
        ".cfi_startproc\n"
        "mov x8, #131\n"
        "svc #0\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size leaf_signal, .-leaf_signal\n"
        ".popsection\n");

[[gnu::noinline]] void calls_leaf_once(int room)
{
    long volatile here[6] = {room};
    here[1] = leaf_signal(getpid(), gettid(), SIGUSR1);
    sink = static_cast<int>(here[1]);
}
[[gnu::noinline]] void calls_leaf_with_alloca(int room)
{
    char volatile* const here = static_cast<char*>(__builtin_alloca(static_cast<std::size_t>(room)));
    here[0] = 1;
    here[1] = static_cast<char>(leaf_signal(getpid(), gettid(), SIGUSR1));
    sink = here[1];
}
[[gnu::noinline]] void calls_leaf_twice(int room)
{
    long volatile here[6] = {room};
    here[1] = leaf_signal(getpid(), gettid(), SIGUSR1);
    here[2] = leaf_signal(getpid(), gettid(), 0);
    sink = static_cast<int>(here[1] + here[2]);
}

[[gnu::noinline]] int go_deeper(int left)
{
    int volatile room[8] = {left};
    if (left == 0) {
        ucontext_t here;
        getcontext(&here);
        look(here, true);
        look(here, false); // this function saves LR, so that sp and pc suffice
        raise(SIGUSR1);
        expected = at_leaf::one_call;
        calls_leaf_once(1);
        calls_leaf_with_alloca(77);
        expected = at_leaf::two_calls;
        calls_leaf_twice(1);
        expected = at_leaf::no;
    } else sink = go_deeper(left - 1);
    return room[0] + 1;
}

void* thread_main(void*)
{
    int here = 0;
    stack_top = reinterpret_cast<std::uint64_t>(&here) + 2048; // up to the root, within what is mapped above
    sink = go_deeper(7);
    return nullptr;
}

} // namespace

int main()
{
    if (std::FILE* const file = std::fopen("/proc/self/maps", "r")) {
        char bytes[4096];
        for (std::size_t got; (got = std::fread(bytes, 1, sizeof bytes, file)) > 0;) maps_text.append(bytes, got);
        std::fclose(file);
    }
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    pthread_t thread;
    pthread_create(&thread, nullptr, thread_main, nullptr);
    pthread_join(thread, nullptr);
    return all_right ? 0 : 1;
}
