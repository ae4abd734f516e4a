// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/child.hpp"

#include <taskpeek/stack/headroom.hpp>
#include <taskpeek/task/system.hpp>

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
    usleep(100000);
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
    usleep(100000);
    looked_at const p{target.id()};
    REQUIRE(p.process);
    auto const found = p.all();
    REQUIRE(found.size() == 1);
    CHECK_FALSE(found.front().on_own_stack);
    CHECK_FALSE(found.front().used_now);
    CHECK(found.front().vma != nullptr); // its own is known all the same
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
