// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/child.hpp"

#include <taskpeek/stack/headroom.hpp>
#include <taskpeek/task/system.hpp>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <alloca.h>
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

/// Touches so many bytes of stack, and gives them back.
[[gnu::noinline]] void touch(std::size_t size)
{
    auto volatile* const room = static_cast<char volatile*>(alloca(size));
    for (std::size_t i = 0; i < size; i += 1024) room[i] = 1;
    room[size - 1] = 2;
}

struct plan { std::size_t touched = 0; };

void* touching_thread(void* argument)
{
    touch(static_cast<plan*>(argument)->touched);
    tp::tests::wait_for_ever();
}

/// Starts threads with stacks of 1 MiB, each touching another depth.
void start_threads(std::vector<plan>& plans)
{
    for (auto& p : plans) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 1u << 20);
        pthread_t thread;
        if (pthread_create(&thread, &attributes, touching_thread, &p) != 0) std::abort();
    }
}

struct looked_at {
    std::vector<char> memory = std::vector<char>(1u << 20);
    tp::result<tp::process> process;
    st::mapping_table maps;
    explicit looked_at(tp::tgid id) : process{tp::process::open(id)}
    {
        if (!process) return;
        if (auto const read = st::mapping_table::read(process.value(), memory)) maps = read.value();
    }
    [[nodiscard]] std::vector<st::headroom> all() const
    {
        st::headroom_reader const reader{process.value(), maps, tp::bytes{static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))}};
        std::vector<st::headroom> out;
        auto walk = process.value().threads<>();
        for (auto const& row : walk) {
            auto const thread = process.value().thread(row.id().tid);
            if (!thread) continue;
            if (auto const h = reader.read(thread.value())) out.push_back(h.value());
        }
        return out;
    }
};

} // namespace

TEST_CASE("headroom: threads that touched known depths: guard, size, use now, high-water mark")
{
    std::vector<plan> plans{{16 << 10}, {128 << 10}, {512 << 10}, {900 << 10}};
    tp::tests::child const target{[&] { start_threads(plans); }};
    target.settle(10);
    looked_at const p{target.id()};
    REQUIRE(p.process);
    auto const found = p.all();
    REQUIRE(found.size() == 5);
    std::size_t matched = 0;
    for (auto const& h : found) {
        if (h.id.is_leader()) continue;
        CHECK(h.on_own_stack);
        REQUIRE(h.guard != nullptr);
        CHECK(h.guard->end == h.vma->start);
        CHECK(h.limited_by == st::stack_limit::mapping);
        REQUIRE(h.size);
        CHECK(h.size->count == 1u << 20);
        REQUIRE(h.used_now);
        CHECK(h.used_now->count < 16u << 10);
        REQUIRE(h.high_water);
        CHECK(h.high_water->count >= h.used_now->count);
        // What the thread touched, its own structures above and a frame or two below: 16 KiB at the utmost.
        for (auto const& plan : plans)
            if (h.high_water->count >= plan.touched && h.high_water->count <= plan.touched + (16u << 10)) ++matched;
        CHECK(*h.percent() == h.high_water->count * 100 / h.size->count);
    }
    CHECK(matched == 4);
}

TEST_CASE("headroom: the first thread's stack grows to RLIMIT_STACK, and without end where that is unlimited")
{
    tp::tests::child const limited{[] {
        rlimit const four{4u << 20, RLIM_INFINITY};
        if (setrlimit(RLIMIT_STACK, &four) != 0) std::abort();
        touch(1u << 20);
    }};
    looked_at const p{limited.id()};
    REQUIRE(p.process);
    auto const found = p.all();
    REQUIRE(found.size() == 1);
    auto const& h = found.front();
    CHECK(h.on_own_stack);
    CHECK(h.limited_by == st::stack_limit::rlimit);
    REQUIRE(h.size);
    CHECK(h.size->count == 4u << 20);
    REQUIRE(h.high_water);
    CHECK(h.high_water->count >= 1u << 20);
    REQUIRE(h.used_now);
    CHECK(h.used_now->count < 1u << 20);

    tp::tests::child const free{[] {
        rlimit const none{RLIM_INFINITY, RLIM_INFINITY};
        if (setrlimit(RLIMIT_STACK, &none) != 0) _exit(1);
    }};
    looked_at const q{free.id()};
    REQUIRE(q.process);
    auto const other = q.all();
    if (other.empty()) return tp::tests::skip("RLIMIT_STACK cannot be raised here");
    CHECK(other.front().limited_by == st::stack_limit::unlimited);
    CHECK_FALSE(other.front().size);
    CHECK_FALSE(other.front().percent());
}

TEST_CASE("headroom: a thread whose sp is elsewhere is not on its own stack")
{
    static ucontext_t there, back;
    tp::tests::child const target{[] {}, [] {
        auto* const memory = mmap(nullptr, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&there);
        there.uc_stack.ss_sp = memory;
        there.uc_stack.ss_size = 64 << 10;
        makecontext(&there, reinterpret_cast<void (*)()>(&tp::tests::wait_for_ever), 0);
        swapcontext(&back, &there);
    }};
    target.settle(10);
    looked_at const p{target.id()};
    REQUIRE(p.process);
    auto const found = p.all();
    REQUIRE(found.size() == 1);
    CHECK_FALSE(found.front().on_own_stack);
    CHECK_FALSE(found.front().used_now);
    CHECK(found.front().vma != nullptr); // its own is known all the same
}

namespace {

constexpr std::size_t part = 64u << 10;

/// A thread on memory of the caller's. It touches \p touched bytes and waits.
void start_on(char* stack, std::size_t size, plan& p)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_t thread;
    if (pthread_attr_setstack(&attributes, stack, size) != 0) std::abort();
    if (pthread_create(&thread, &attributes, touching_thread, &p) != 0) std::abort();
}

} // namespace

TEST_CASE("headroom: stacks that the program allocated, side by side in one vma without guards: each its own part")
{
    static plan plans[] = {{8u << 10}, {32u << 10}, {16u << 10}};
    static char* memory = nullptr;
    memory = static_cast<char*>(mmap(nullptr, 4 * part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    REQUIRE(mprotect(memory, 4096, PROT_NONE) == 0); // the lowest has a guard in effect
    tp::tests::child const target{[] {
        madvise(memory, 4 * part, MADV_NOHUGEPAGE);
        for (std::size_t i = 0; i < 3; ++i) start_on(memory + (i + 1) * part, part, plans[i]);
    }};
    target.settle(10);
    looked_at const p{target.id()};
    REQUIRE(p.process);
    auto const found = p.all();
    REQUIRE(found.size() == 4);
    for (auto const& h : found) {
        if (h.id.is_leader()) continue;
        CHECK(h.on_own_stack);
        auto const end = h.top.value - reinterpret_cast<std::uintptr_t>(memory);
        REQUIRE(end % part == 0);
        REQUIRE(end / part >= 2);
        REQUIRE(end / part <= 4);
        auto const& plan = plans[end / part - 2];
        REQUIRE(h.size);
        // The lowest one's vma begins with the guard; nobody says that a quarter of it lies unused.
        CHECK(h.size->count == (end / part == 2 ? 2 * part - 4096 : part));
        CHECK(h.size_is_bound == (end / part != 2));
        REQUIRE(h.high_water);
        CHECK(h.high_water->count >= plan.touched);
        CHECK(h.high_water->count <= plan.touched + (16u << 10));
    }
    munmap(memory, 4 * part);
}

TEST_CASE("headroom: a thread on its alternate signal stack is not on its own, which is known all the same")
{
    static auto const on_alternate = [](void*) -> void* {
        stack_t alternate{};
        alternate.ss_size = 64u << 10;
        alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sigaltstack(&alternate, nullptr);
        struct sigaction action{};
        action.sa_handler = [](int) { tp::tests::wait_for_ever(); };
        action.sa_flags = SA_ONSTACK;
        sigaction(SIGUSR1, &action, nullptr);
        touch(256u << 10);
        raise(SIGUSR1);
        return nullptr;
    };
    tp::tests::child const target{[] {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 1u << 20);
        pthread_t thread;
        if (pthread_create(&thread, &attributes, on_alternate, nullptr) != 0) std::abort();
    }};
    target.settle(10);
    looked_at const p{target.id()};
    REQUIRE(p.process);
    for (auto const& h : p.all()) {
        CHECK(h.on_own_stack == h.id.is_leader());
        if (h.id.is_leader()) continue;
        CHECK_FALSE(h.used_now);
        REQUIRE(h.size);
        CHECK(h.size->count == 1u << 20);
        REQUIRE(h.high_water);
        CHECK(h.high_water->count >= 256u << 10);
        CHECK(h.high_water->count <= 280u << 10);
    }
}

TEST_CASE("headroom: a lightweight guard inside the vma ends the stack")
{
    constexpr int madv_guard_install = 102;
    static plan p{16u << 10};
    auto* const memory = static_cast<char*>(mmap(nullptr, 4 * part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory != MAP_FAILED);
    if (madvise(memory, 8192, madv_guard_install) != 0) return tp::tests::skip("this kernel has no lightweight guards");
    madvise(memory, 4 * part, MADV_NOHUGEPAGE);
    tp::tests::child const target{[&] {
        start_on(memory, 4 * part, p);
    }};
    target.settle(10);
    looked_at const l{target.id()};
    REQUIRE(l.process);
    for (auto const& h : l.all()) {
        if (h.id.is_leader()) continue;
        REQUIRE(h.high_water);
        if (h.high_water_is_bound) return tp::tests::skip("this kernel shows guards as swapped pages");
        CHECK(h.guard_size == tp::bytes{8192});
        CHECK(h.size == tp::bytes{4 * part - 8192});
        CHECK_FALSE(h.size_is_bound);
        CHECK(h.high_water->count <= 32u << 10);
    }
    munmap(memory, 4 * part);
}

TEST_CASE("headroom: the size of kernel-mode stacks, and what it was derived from")
{
    using st::detail::kernel_stack_size;
    static_assert(kernel_stack_size("MemTotal: 1 kB\nKernelStack:        2368 kB\n", "7.35 7.65 9.12 9/145 27906\n") == tp::bytes{16384});
    static_assert(kernel_stack_size("KernelStack:        4736 kB\n", "7.35 7.65 9.12 9/145 27906\n") == tp::bytes{32768}); // KASAN
    static_assert(kernel_stack_size("KernelStack:        2300 kB\n", "7.35 7.65 9.12 9/145 27906\n") == tp::bytes{16384}); // some just began
    static_assert(!kernel_stack_size("KernelStack:        3600 kB\n", "7.35 7.65 9.12 9/145 27906\n")); // near no power of two
    static_assert(!kernel_stack_size("", "0 0 0 9/145 1\n"));
    static_assert(!kernel_stack_size("KernelStack: 16 kB\n", ""));
    static_assert(!kernel_stack_size("KernelStack: 16 kB\n", "0 0 0 1/0 1\n"));
    auto const found = st::read_kernel_stack();
    CHECK(found.size.count >= 4096);
    CHECK_FALSE(st::describe(found.from).empty());
    CHECK(st::read_kernel_stack(tp::proc_root{"/nowhere"}).from == st::kernel_stack_source::architecture);
}

TEST_CASE("headroom: a zombie has none")
{
    auto const gone = tp::tests::make_zombie();
    auto const process = tp::process::open(gone.id());
    REQUIRE(process);
    st::mapping_table const none;
    st::headroom_reader const reader{process.value(), none, tp::bytes{4096}};
    auto const h = reader.read(process.value().thread(tp::tid{gone.pid()}).value());
    REQUIRE_FALSE(h);
    CHECK(h.error().code == tp::errc::zombie);
}
