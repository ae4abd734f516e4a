// SPDX-License-Identifier: BSL-1.0
// Where did this program crash, and what were its other threads doing? A SIGSEGV handler that allocates nothing and takes no lock.

#include "common/program.hpp"

#include <taskpeek/stack/unwind.hpp>
#include <taskpeek/taskpeek.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction(2) is of POSIX
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

using namespace examples;
namespace st = taskpeek::stack;

/// Text on standard error, a line at a time, by write(2) alone.
class line {
public:
    line() = default;
    line(line const&) = delete;
    line& operator=(line const&) = delete;
    ~line()
    {
        text_[size_++] = '\n';
        (void)!::write(2, text_, size_);
    }
    line& operator<<(std::string_view s)
    {
        for (char const c : s)
            if (size_ + 1 < sizeof text_) text_[size_++] = c;
        return *this;
    }
    line& operator<<(tp::address a)
    {
        *this << "0x";
        for (int shift = 60; shift >= 0; shift -= 4)
            if (a.value >> shift != 0 || shift == 0) *this << std::string_view{&"0123456789abcdef"[a.value >> shift & 15], 1};
        return *this;
    }
    line& operator<<(std::int64_t n)
    {
        char digits[20];
        std::size_t at = sizeof digits;
        do digits[--at] = static_cast<char>('0' + n % 10);
        while ((n /= 10) != 0);
        return *this << std::string_view{digits + at, sizeof digits - at};
    }
    /// A path, so that it does nothing to a terminal.
    line& path(std::string_view raw)
    {
        char memory[512];
        return *this << tp::text::escape_for_terminal(raw, memory).text;
    }

private:
    char text_[768];
    std::size_t size_ = 0;
};

// All memory that the handler needs, there before anything goes wrong. What is not touched costs nothing.
char for_mappings[8 << 20];
char for_rows[st::unwinder::typical_memory];
char for_stack[1 << 20];
st::frame frames[256];

/// The registers that the signal interrupted.
st::registers registers_of(ucontext_t const& c)
{
    st::registers r{st::native_machine};
#if defined __x86_64__
    constexpr int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                             REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    for (st::register_number i = 0; i < 17; ++i) r.set(i, static_cast<std::uint64_t>(c.uc_mcontext.gregs[order[i]]));
#elif defined __aarch64__
    for (st::register_number i = 0; i < 31; ++i) r.set(i, c.uc_mcontext.regs[i]);
    r.set(31, c.uc_mcontext.sp);
    r.set(32, c.uc_mcontext.pc);
#endif
    return r;
}

void print(st::mapping_table const& maps, st::unwound const& stack, int n = 0)
{
    for (auto const& f : stack.frames) {
        line out;
        out << "  #" << n++ << "  " << f.pc;
        if (auto const* const m = maps.find(f.pc)) {
            out << "  ";
            out.path(maps.path(*m)) << "+" << tp::address{f.lookup_pc().value - m->start.value + m->offset.count};
        }
        if (f.quality != st::frame_quality::exact) out << "  (" << st::name_of(f.quality) << ")";
    }
    if (!stack.is_complete()) line{} << "  (truncated: " << st::name_of(stack.end) << ")";
}

void print_vma(st::mapping_table const& maps, st::mapping const& m, std::string_view what)
{
    line out;
    out << "  " << m.start << "-" << m.end << " " << (m.perms.read ? "r" : "-") << (m.perms.write ? "w" : "-") << (m.perms.execute ? "x" : "-") << " ";
    out.path(maps.path(m)) << what;
}

/// What signal it was, and what is where it happened.
void print_fault(st::mapping_table const& maps, siginfo_t const& info, st::registers const& regs)
{
    tp::address const fault{reinterpret_cast<std::uintptr_t>(info.si_addr)};
    if (info.si_code <= 0) {
        line{} << "Process " << info.si_pid << " sent the signal.";
        return;
    }
    if (info.si_code == SI_KERNEL) {
        line{} << "The processor does not tell the address: it is none that an address can be.";
        return;
    }
    auto const* const here = maps.find(fault);
    constexpr std::uint64_t near = 65536;
    bool const at_sp = fault.value - regs.sp().value + near < 2 * near;
    bool const closed = here == nullptr || (!here->perms.read && !here->perms.write);
    line{} << "The address " << fault << (here != nullptr ? " is in a vma that does not allow this:" : " is in no vma; its neighbours:");
    for (auto const& m : maps.all()) {
        bool const last = &m + 1 == maps.all().data() + maps.all().size();
        bool const first = &m == maps.all().data();
        if (m.contains(fault)) print_vma(maps, m, "  <- here");
        else if (m.end <= fault && (last || (&m + 1)->end > fault)) print_vma(maps, m, "  (below)");
        else if (m.start > fault && (first || (&m - 1)->start <= fault)) print_vma(maps, m, "  (above)");
    }
    if (at_sp && closed) line{} << "The stack pointer is there: the stack has overflowed.";
}

void print_crashed(tp::process const& process, st::mapping_table const& maps, st::unwinder& unwinder, tp::tid own, st::registers regs)
{
    auto const thread = process.thread(own);
    tp::buffer<pf::comm::typical_size> memory;
    auto const comm = thread ? thread.value().read<pf::comm>(memory) : tp::result<pf::comm>{thread.error()};
    {
        line title;
        title << "Thread " << own.value << " \"";
        if (comm) title.path(comm.value().name);
        title << "\", which crashed:";
    }
    st::thread_capture crashed;
    crashed.id = {process.id().tgid, own};
    crashed.mode = st::capture_mode::brief_stop;
    crashed.regs = regs;
    // Its stack needs no copy: it holds still while the handler runs, beside it. After an overflow sp is a little below the vma.
    auto const sp = regs.sp();
    auto const* vma = maps.find(sp);
    for (auto const& m : maps.all())
        if (vma == nullptr && m.start > sp && m.start.value - sp.value < 65536) vma = &m;
    if (vma == nullptr || !vma->perms.read) {
        if (vma == nullptr || vma + 1 == maps.all().data() + maps.all().size() || (vma + 1)->start != vma->end || !(vma + 1)->perms.read) {
            line{} << "  (its stack pointer " << sp << " points at no stack)";
            return;
        }
        ++vma; // sp is in the guard
    }
    constexpr std::uint64_t red_zone = 128;
    auto const start = std::max(sp.value - red_zone, vma->start.value) & ~std::uint64_t{7};
    crashed.stack_start = tp::address{start};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of our own
    crashed.stack = {reinterpret_cast<char const*>(start), static_cast<std::size_t>(vma->end.value - start)};
    crashed.outcome = st::capture_outcome::captured;
    int first = 0;
    if (auto const pc = regs.pc(); !maps.is_executable(pc)) {
        // It called what is no code. The call left its return address where calls do.
        line{} << "  #0  " << pc << "  (no code)";
        first = 1;
        auto const t = regs.traits();
        std::uint64_t caller = regs[t.return_address];
        if (st::native_machine == st::machine::x86_64) {
            if (!crashed.read(regs.sp().value, 8, caller)) return;
            crashed.regs.set(t.sp, regs.sp().value + 8);
        }
        crashed.regs.set(t.pc, caller);
    }
    print(maps, unwinder.unwind(crashed, frames), first);
}

void report(siginfo_t const& info, ucontext_t const& context)
{
    auto const process = tp::process::self();
    auto const read = process ? st::mapping_table::read(process.value(), for_mappings) : tp::result<st::mapping_table>{process.error()};
    if (!read) {
        auto const why = read.error().message();
        line{} << "Nothing can be told: " << why.view();
        return;
    }
    auto const& maps = read.value();
    st::unwinder unwinder{maps, process.value().id().tgid, process.value().directory(), for_rows};
    tp::tid const own{static_cast<std::int32_t>(::syscall(SYS_gettid))};
    auto const regs = registers_of(context);
    print_fault(maps, info, regs);
    print_crashed(process.value(), maps, unwinder, own, regs);

    auto threads = process.value().threads<pf::comm>();
    for (auto const& [id, comm] : threads) {
        if (id.tid == own) continue;
        auto const thread = process.value().thread(id.tid);
        if (!thread) continue;
        auto const capture = st::no_stop(thread.value(), maps, for_stack);
        bool const captured = capture.outcome == st::capture_outcome::captured;
        {
            line title;
            title << "Thread " << id.tid.value << " \"";
            if (comm) title.path(comm.value().name);
            title << "\"" << (captured ? ":" : " is not blocked: ") << (captured ? std::string_view{} : st::name_of(capture.outcome));
        }
        if (captured) print(maps, unwinder.unwind(capture, frames));
    }
}

void on_crash(int signal, siginfo_t* info, void* context)
{
    static std::atomic<int> reporting{0};
    if (reporting.exchange(1) != 0) { // another thread crashed first: its report ends us all
        for (;;) ::pause();
    }
    report(*info, *static_cast<ucontext_t const*>(context));
    (void)::signal(signal, SIG_DFL); // then die of it as one does, for core dumps and parents
    (void)::raise(signal);
}

/// A stack for the handler: of the thread that makes it. Without one an overflow of the thread's stack could not be told.
class alternate_stack {
public:
    alternate_stack()
    {
        memory_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack_t const own{memory_, 0, size};
        if (memory_ != MAP_FAILED) (void)::sigaltstack(&own, nullptr);
    }
    alternate_stack(alternate_stack const&) = delete;
    alternate_stack& operator=(alternate_stack const&) = delete;
    ~alternate_stack()
    {
        stack_t const none{nullptr, SS_DISABLE, 0};
        (void)::sigaltstack(&none, nullptr);
        if (memory_ != MAP_FAILED) (void)::munmap(memory_, size);
    }

private:
    static constexpr std::size_t size = std::size_t{256} << 10;
    void* memory_;
};

void install()
{
    struct sigaction action{};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(SIGSEGV, &action, nullptr);
    ::sigaction(SIGBUS, &action, nullptr);
}

// The ways to go wrong.
__attribute__((noinline, no_sanitize("undefined"))) // or a sanitizer complains of null before the signal comes
int read_from(int volatile const* address) { return *address + 1; } // NOLINT(clang-analyzer-core.NullDereference)
// NOLINTNEXTLINE(performance-no-int-to-ptr): wild on purpose
[[gnu::noinline]] int go_wild(std::uintptr_t where) { return read_from(reinterpret_cast<int volatile const*>(where)) + 1; }
// NOLINTNEXTLINE(misc-no-recursion): without end, on purpose
[[gnu::noinline]] int overflow(int depth)
{
    char volatile room[512];
    room[0] = static_cast<char>(depth);
    return (depth < 0 ? 0 : overflow(depth + 1)) + room[0];
}
// NOLINTNEXTLINE(performance-no-int-to-ptr): wild on purpose
[[gnu::noinline]] int jump(std::uintptr_t where) { return reinterpret_cast<int (*)()>(where)() + 1; }
[[gnu::noinline]] int write_to_code()
{
    // NOLINTNEXTLINE(performance-no-int-to-ptr): no other cast makes data of a function
    auto* const code = reinterpret_cast<char volatile*>(reinterpret_cast<std::uintptr_t>(&read_from));
    *code = 0;
    return *code;
}

int go_wrong(std::string const& how)
{
    if (how == "null") return go_wild(0);
    if (how == "overflow") return overflow(0);
    if (how == "jump") return jump(0x1230);
    if (how == "code") return write_to_code();
    if (how == "noncanonical") return go_wild(std::uintptr_t{0xdead} << 48);
    return go_wild(0x1234);
}

int crash_handler(CLI::App& options, command_line const& arguments)
{
    std::string how = "wild";
    unsigned threads = 1;
    bool in_thread = false;
    options.description("Crashes, and tells on standard error where, what is mapped there, and what all\nthreads were doing. That allocates nothing.");
    options.add_option("HOW", how, "what to do wrong (wild)")
        ->check(CLI::IsMember({"null", "wild", "overflow", "jump", "code", "noncanonical"}))->type_name("");
    options.add_option("--threads", threads, "other threads, every fourth of which is busy (1)")->check(CLI::Range(0u, 1000u))->type_name("N");
    options.add_flag("--in-thread", in_thread, "crash in another thread than the first");
    arguments.read();

    install();
    alternate_stack const first;
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> others;
    for (unsigned i = 0; i < threads; ++i) {
        others.emplace_back([&ready, i] {
            alternate_stack const own;
            ++ready;
            for (unsigned volatile turns = 0;;)
                if (i % 4 == 3) turns = turns + 1;
                else ::pause();
        });
    }
    while (ready < threads) ::usleep(1000);
    ::usleep(20000); // until those that wait do
    if (!in_thread) return go_wrong(how);
    std::thread{[&how] {
        alternate_stack const own;
        (void)go_wrong(how);
    }}.join();
    return all_told;
}

} // namespace

int main(int argc, char** argv) { return run(crash_handler, "crash_handler", argc, argv); }
