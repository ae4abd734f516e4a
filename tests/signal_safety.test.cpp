// SPDX-License-Identifier: BSL-1.0

/// \file
/// Walking, finding a vma and reading a status where hardly anything is allowed: in a SIGSEGV handler on a small stack, in the
/// middle of malloc, and in a vfork child.

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/allocations.hpp"
#include "support/child.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

namespace {

/// What one look at everything finds. Plain numbers: to be written where nothing may be called.
struct findings {
    int tasks;         ///< of all the machine, that could be read
    int own_threads;   ///< of the process looked at
    bool walked;       ///< to the end
    bool found;        ///< a vma at the address asked for
    bool is_none;      ///< it has no permissions
    std::int32_t tgid; ///< as status tells
    std::uint64_t vm_rss;
    int errno_after;
};

/// Does all that is promised to work there, on some 24 KiB of stack.
[[gnu::noinline]] void look_around(findings& out, tp::tgid process, std::uint64_t place) noexcept
{
    errno = 321;
    {
        auto walk = tp::threads<pf::stat>();
        for (auto const& [id, stat] : walk) {
            if (stat) ++out.tasks;
            if (id.tgid == process) ++out.own_threads;
        }
        out.walked = walk.status().has_value();
    }
    if (auto const p = tp::process::open(process)) {
        auto maps = p.value().maps();
        for (auto const& vma : maps) {
            if (!vma.contains(tp::address{place})) continue;
            out.found = true;
            out.is_none = vma.perms == pf::permissions{};
            break;
        }
        tp::buffer<pf::status::typical_size> memory;
        if (auto const status = p.value().read<pf::status>(memory)) {
            out.tgid = status.value().tgid->value;
            out.vm_rss = status.value().vm_rss->count;
        }
    }
    out.errno_after = errno;
}

void check(findings const& f)
{
    auto const own_threads = static_cast<int>(tp::tests::own_thread_count());
    CHECK(f.walked);
    CHECK(f.tasks >= own_threads);
    CHECK(f.own_threads == own_threads);
    CHECK(f.found);
    CHECK(f.is_none);
    CHECK(f.tgid == getpid());
    CHECK(f.vm_rss > 0);
    CHECK(f.errno_after == 321);
}

char* unreachable_page()
{
    return static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

findings from_handler;
sigjmp_buf back;

void on_fault(int, siginfo_t* info, void*)
{
    look_around(from_handler, tp::tgid{static_cast<std::int32_t>(tp::io::system_call(SYS_getpid).value())},
                reinterpret_cast<std::uintptr_t>(info->si_addr));
    siglongjmp(back, 1);
}

findings from_malloc;
std::uint64_t place_for_malloc;
void look_from_malloc()
{
    look_around(from_malloc, tp::tgid{static_cast<std::int32_t>(tp::io::system_call(SYS_getpid).value())}, place_for_malloc);
}

} // namespace

TEST_CASE("everything works in a SIGSEGV handler on an alternate stack of 64 KiB")
{
    if (tp::tests::sanitized) return tp::tests::skip("a sanitizer's frames need more stack");
    tp::tests::waiting_threads const threads{{"one", "two"}};
    constexpr std::size_t size = 64 * 1024;
    // with pages out of reach on both sides, an overflow kills the program
    auto* const guarded = static_cast<char*>(mmap(nullptr, size + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    auto* const memory = guarded + 4096;
    REQUIRE(mprotect(memory, size, PROT_READ | PROT_WRITE) == 0);
    std::memset(memory, 0x5a, size);
    stack_t const stack{memory, 0, size};
    stack_t stack_before;
    REQUIRE(sigaltstack(&stack, &stack_before) == 0);
    struct sigaction action = {}, action_before;
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_ONSTACK | SA_SIGINFO;
    REQUIRE(sigaction(SIGSEGV, &action, &action_before) == 0);

    auto* const place = unreachable_page();
    from_handler = {};
    if (sigsetjmp(back, 1) == 0) *static_cast<char volatile*>(place) = 1;

    sigaction(SIGSEGV, &action_before, nullptr);
    sigaltstack(&stack_before, nullptr);
    check(from_handler);
    std::size_t untouched = 0;
    while (untouched < size && memory[untouched] == 0x5a) ++untouched;
    MESSAGE("stack used, the frame of the signal included: ", size - untouched, " bytes");
    CHECK(untouched > 0);
    munmap(place, 4096);
    munmap(guarded, size + 2 * 4096);
}

TEST_CASE("everything works in the middle of malloc")
{
    if (tp::tests::sanitized) return tp::tests::skip("a sanitizer's malloc cannot be interposed");
    auto* const place = unreachable_page();
    place_for_malloc = reinterpret_cast<std::uintptr_t>(place);
    from_malloc = {};
    tp::tests::inside_malloc = look_from_malloc;
    void* volatile p = nullptr;
    auto const count = tp::tests::allocations_in([&] { p = std::malloc(100); });
    std::free(p);
    CHECK(count == 1); // and none from inside
    CHECK((tp::tests::inside_malloc == nullptr));
    check(from_malloc);
    munmap(place, 4096);
}

TEST_CASE("everything works in a vfork child")
{
    auto* const place = unreachable_page();
    auto const address = reinterpret_cast<std::uintptr_t>(place);
    auto const parent = tp::tgid{getpid()};
    // shared memory: the thread sanitizer makes vfork a fork
    auto* const out = static_cast<findings*>(mmap(nullptr, sizeof(findings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(out != MAP_FAILED);
    auto const pid = vfork(); // NOLINT: that is the point
    REQUIRE(pid >= 0);
    if (pid == 0) {
        look_around(*out, parent, address);
        _exit(7);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    check(*out);
    munmap(out, sizeof(findings));
    munmap(place, 4096);
}
