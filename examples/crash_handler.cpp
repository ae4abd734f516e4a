// SPDX-License-Identifier: BSL-1.0
// Where did this program crash, and what were its other threads doing? A SIGSEGV handler that allocates nothing and takes no lock.

#include <taskpeek/stack/unwind.hpp>
#include <taskpeek/taskpeek.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <pthread.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction(2) is of POSIX
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

namespace tp = taskpeek;
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
char for_mappings[1 << 20];
char for_rows[st::unwinder::typical_memory];
char for_stack[1 << 20];
char for_handler[256 << 10];
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

void print(st::mapping_table const& maps, st::unwound const& stack)
{
    int n = 0;
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

void report(tp::address fault, ucontext_t const& context)
{
    auto const process = tp::process::self();
    if (!process) return;
    auto const read = st::mapping_table::read(process.value(), for_mappings);
    if (!read) return;
    auto const& maps = read.value();
    st::unwinder unwinder{maps, process.value().id().tgid, process.value().directory(), for_rows};
    tp::tid const own{static_cast<std::int32_t>(::syscall(SYS_gettid))};

    line{} << "The address " << fault << (maps.find(fault) != nullptr ? " is in a vma that does not allow this:" : " is in no vma; its neighbours:");
    for (auto const& m : maps.all()) {
        auto const* const next = &m + 1 < maps.all().data() + maps.all().size() ? &m + 1 : nullptr;
        if (m.contains(fault)) print_vma(maps, m, "  <- here");
        else if (m.end <= fault && (next == nullptr || next->start > fault)) print_vma(maps, m, "  (below)");
        else if (m.start > fault && (&m == maps.all().data() || (&m - 1)->end <= fault)) { print_vma(maps, m, "  (above)"); break; }
    }

    line{} << "Thread " << own.value << ", which crashed:";
    st::thread_capture crashed;
    crashed.id = {process.value().id().tgid, own};
    crashed.mode = st::capture_mode::brief_stop;
    crashed.regs = registers_of(context);
    if (st::detail::copy_stack(crashed, process.value().directory(), maps, for_stack)) crashed.outcome = st::capture_outcome::captured;
    print(maps, unwinder.unwind(crashed, frames));

    auto threads = process.value().threads<>();
    for (auto const& row : threads) {
        if (row.id().tid == own) continue;
        auto const thread = process.value().thread(row.id().tid);
        if (!thread) continue;
        auto const capture = st::no_stop(thread.value(), maps, for_stack);
        line{} << "Thread " << row.id().tid.value << (capture.outcome == st::capture_outcome::captured ? ":" : " is not blocked: ")
               << (capture.outcome == st::capture_outcome::captured ? std::string_view{} : st::name_of(capture.outcome));
        if (capture.outcome == st::capture_outcome::captured) print(maps, unwinder.unwind(capture, frames));
    }
}

void on_crash(int signal, siginfo_t* info, void* context)
{
    report(tp::address{reinterpret_cast<std::uintptr_t>(info->si_addr)}, *static_cast<ucontext_t const*>(context));
    (void)::signal(signal, SIG_DFL); // then die of it as one does, for core dumps and parents
    (void)::raise(signal);
}

void install()
{
    stack_t const own_stack{for_handler, 0, sizeof for_handler}; // the crash may be an overflow of the stack
    ::sigaltstack(&own_stack, nullptr);
    struct sigaction action{};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(SIGSEGV, &action, nullptr);
    ::sigaction(SIGBUS, &action, nullptr);
}

[[gnu::noinline]] int read_from(int volatile const* address) { return *address + 1; }
// NOLINTNEXTLINE(performance-no-int-to-ptr): wild on purpose
[[gnu::noinline]] int go_wrong(std::uintptr_t where) { return read_from(reinterpret_cast<int volatile const*>(where)) + 1; }

} // namespace

int main()
{
    install();
    pthread_t waiting;
    (void)::pthread_create(&waiting, nullptr, [](void*) -> void* { for (;;) ::pause(); }, nullptr);
    ::usleep(20000);
    return go_wrong(0x1234);
}
