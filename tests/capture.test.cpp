// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/targets.hpp"

#include <taskpeek/stack/capture.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <csignal>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace st = taskpeek::stack;
using taskpeek::tests::skip;

namespace {

struct looked_at {
    std::vector<char> memory = std::vector<char>(1u << 20);
    std::vector<char> stack = std::vector<char>(1u << 20);
    tp::result<tp::process> process;
    st::mapping_table maps;

    explicit looked_at(tp::tgid id) : process{tp::process::open(id)}
    {
        if (!process) return;
        auto const read = st::mapping_table::read(process.value(), memory);
        if (read) maps = read.value();
    }
    [[nodiscard]] tp::result<tp::thread> main() const { return process.value().thread(tp::tid{process.value().id().tgid.value}); }
};

[[nodiscard]] char state_of(tp::process const& p)
{
    tp::buffer<pf::stat::typical_size> memory;
    auto const stat = p.read<pf::stat>(memory);
    return stat ? stat.value().state.letter : '!';
}

/// Waits until its state is one of \p letters.
[[nodiscard]] bool reaches(tp::process const& p, std::string const& letters)
{
    for (int i = 0; i < 5000; ++i) {
        if (letters.find(state_of(p)) != std::string::npos) return true;
        usleep(1000);
    }
    return false;
}

} // namespace

TEST_CASE("capture: a blocked thread is copied without a stop: sp, pc, the call and its arguments")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    REQUIRE(reaches(p.process.value(), "S"));
    auto const thread = p.main();
    REQUIRE(thread);
    auto stack = p.stack;
    auto const c = st::no_stop(thread.value(), p.maps, stack);
    REQUIRE(c.outcome == st::capture_outcome::captured);
    CHECK(c.mode == st::capture_mode::no_stop);
    CHECK(c.in_syscall);
#if defined __x86_64__
    CHECK(c.syscall_nr == SYS_pause);
#endif
    CHECK(c.pause.count == 0);
    CHECK(c.copy_is_whole);
    CHECK(p.maps.is_executable(c.regs.pc()));
    CHECK_FALSE(c.regs.has(c.regs.traits().fp)); // nobody told
    CHECK(c.stack_start <= c.regs.sp());
    std::uint64_t word = 0;
    CHECK(c.read(c.regs.sp().value, 8, word));
    CHECK_FALSE(c.read(c.stack_start.value - 1, 8, word));
    CHECK_FALSE(c.read(c.stack_start.value + c.stack.size() - 7, 8, word));
    CHECK_FALSE(c.read(UINT64_MAX - 3, 8, word));
    CHECK(state_of(p.process.value()) == 'S');
}

TEST_CASE("capture: too little memory for the stack is said")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    REQUIRE(reaches(p.process.value(), "S"));
    char little[256];
    auto const c = st::no_stop(p.main().value(), p.maps, little);
    REQUIRE(c.outcome == st::capture_outcome::captured);
    CHECK_FALSE(c.copy_is_whole);
    CHECK(c.stack.size() == sizeof little);
}

TEST_CASE("capture: a thread on a CPU is reported so, and brief_stop captures it with all registers and lets it run on")
{
    tp::tests::target_program const busy{"odd", {"running"}};
    REQUIRE(busy.is_ready());
    looked_at const p{busy.id()};
    REQUIRE(p.process);
    auto stack = p.stack;
    CHECK(st::no_stop(p.main().value(), p.maps, stack).outcome == st::capture_outcome::running);
    auto c = st::brief_stop(p.main().value(), p.maps, stack);
    for (int looks = 0; looks < 1000 && c.in_syscall; ++looks) { // it may not have returned from saying that it is ready
        usleep(1000);
        c = st::brief_stop(p.main().value(), p.maps, stack);
    }
    REQUIRE(c.outcome == st::capture_outcome::captured);
    CHECK(c.regs.has(c.regs.traits().fp));
    CHECK_FALSE(c.in_syscall);
    CHECK(c.pause.count > 0);
    CHECK(reaches(p.process.value(), "R"));
}

TEST_CASE("capture: a thread that a signal has stopped is captured and stays stopped")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    REQUIRE(::kill(sleeper.pid(), SIGSTOP) == 0);
    REQUIRE(reaches(p.process.value(), "T"));
    auto stack = p.stack;
    auto const c = st::brief_stop(p.main().value(), p.maps, stack);
    CHECK(c.outcome == st::capture_outcome::captured);
    CHECK(c.was_stopped);
    CHECK(reaches(p.process.value(), "T"));
    usleep(20000);
    CHECK(state_of(p.process.value()) == 'T');
    REQUIRE(::kill(sleeper.pid(), SIGCONT) == 0);
    CHECK(reaches(p.process.value(), "S"));
}

TEST_CASE("capture: a thread that somebody traces is left to him, and he is named")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    tp::tests::child const tracer{[&] {
        if (::ptrace(PTRACE_SEIZE, sleeper.pid(), nullptr, nullptr) != 0) _exit(1);
    }};
    auto stack = p.stack;
    auto const c = st::brief_stop(p.main().value(), p.maps, stack);
    CHECK(c.outcome == st::capture_outcome::traced);
    CHECK(c.tracer.value == tracer.pid());
}

TEST_CASE("capture: a schedstat of zeros, or none, is no evidence: then the context switches are compared, and without them nothing holds")
{
    tp::tests::temporary_directory const folder;
    auto const write = [&](char const* name, char const* text) { std::ofstream{folder.path() + "/" + name} << text; };
    auto const directory = tp::io::open(AT_FDCWD, folder.path().c_str(), O_PATH | O_DIRECTORY, tp::kernel_file::task);
    REQUIRE(directory);
    auto const count = [&] { return st::detail::run_counter{directory.value().get()}.read(); };
    using source = st::detail::run_count::source;
    CHECK(count().from == source::none);
    write("status", "Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n");
    CHECK(count() == st::detail::run_count{source::status, 5, 6});
    write("schedstat", "0 0 0\n");
    CHECK(count() == st::detail::run_count{source::status, 5, 6});
    write("schedstat", "7 8 9\n");
    CHECK(count() == st::detail::run_count{source::schedstat, 9, 7});
}

TEST_CASE("capture: a thread with no count of its runs is never taken as having held still")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(reaches(p.process.value(), "S"));
    // A root directory with the thread's real `syscall`, and nothing to tell whether it ran.
    tp::tests::temporary_directory const folder;
    auto const task = folder.path() + "/" + std::to_string(sleeper.pid()) + "/task/" + std::to_string(sleeper.pid());
    std::filesystem::create_directories(task);
    std::ifstream from{"/proc/" + std::to_string(sleeper.pid()) + "/syscall"};
    std::ofstream{task + "/syscall"} << from.rdbuf();
    auto const process = tp::process::open(sleeper.id(), folder.path().c_str());
    REQUIRE(process);
    auto const thread = process.value().thread(tp::tid{sleeper.pid()});
    REQUIRE(thread);
    auto stack = p.stack;
    auto const c = st::no_stop(thread.value(), p.maps, stack);
    CHECK(c.outcome == st::capture_outcome::moved);
    CHECK(c.stack.empty());
}

TEST_CASE("capture: signals that come while a thread is stopped again and again all arrive")
{
    tp::tests::target_program target{"odd", {"counting"}};
    REQUIRE(target.is_ready());
    looked_at const p{target.id()};
    REQUIRE(p.process);
    constexpr int signals = 400;
    tp::tests::child const sender{[] {}, [&] {
        for (int i = 0; i < signals; ++i) {
            if (::sigqueue(target.pid(), SIGRTMIN, sigval{}) != 0) _exit(1);
            usleep(100);
        }
    }};
    auto stack = p.stack;
    auto const thread = p.main();
    unsigned captured = 0, looks = 0;
    for (siginfo_t ended{}; ended.si_pid == 0; ++looks) {
        captured += st::brief_stop(thread.value(), p.maps, stack).outcome == st::capture_outcome::captured;
        REQUIRE(::waitid(P_PID, static_cast<id_t>(sender.pid()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
    }
    CHECK(captured == looks);
    target.send();
    CHECK(target.line(20000) == std::to_string(signals));
}

TEST_CASE("capture: stops by signals that come in between are neither lost nor made up")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    auto stack = p.stack;
    auto const thread = p.main();
    for (int i = 0; i < 100; ++i) {
        ::kill(sleeper.pid(), SIGSTOP);
        auto const c = st::brief_stop(thread.value(), p.maps, stack); // before, while or after it stops
        CHECK(c.outcome == st::capture_outcome::captured);
        REQUIRE(reaches(p.process.value(), "T"));
        ::kill(sleeper.pid(), SIGCONT);
        (void)st::brief_stop(thread.value(), p.maps, stack);
        REQUIRE(reaches(p.process.value(), "S"));
    }
}

TEST_CASE("capture: who refuses is said: credentials, or a filter of our own")
{
    tp::tests::child const sleeper;
    looked_at const p{sleeper.id()};
    REQUIRE(p.process);
    REQUIRE(reaches(p.process.value(), "S"));
    auto const asks = [&](void (*prepare)(), st::refusal wanted_of_stop, bool quiet_works) {
        tp::tests::child const reader{[] {}, [&] {
            auto stack = p.stack;
            prepare();
            auto const stopped = st::brief_stop(p.main().value(), p.maps, stack);
            auto const quiet = st::no_stop(p.main().value(), p.maps, stack);
            bool const as_wanted = stopped.outcome == st::capture_outcome::failed && stopped.refused == wanted_of_stop;
            bool const quiet_as_wanted = quiet_works ? quiet.outcome == st::capture_outcome::captured
                                                     : quiet.refused == st::refusal::credentials;
            _exit(as_wanted && quiet_as_wanted ? 0 : 1);
        }};
        int status = 0;
        while (::waitpid(reader.pid(), &status, 0) < 0 && errno == EINTR) {}
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    };
    CHECK(asks([] {
        sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        sock_fprog const program{4, code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(2);
    }, st::refusal::seccomp, true));
    for (auto const rule : {st::refusal::credentials, st::refusal::yama, st::refusal::seccomp}) CHECK_FALSE(st::describe(rule).empty());
    if (::geteuid() != 0) return;
    CHECK(asks([] { if (setresuid(65534, 65534, 65534) != 0) _exit(2); }, st::refusal::credentials, false));
}

TEST_CASE("capture: a zombie has no stack")
{
    auto const gone = tp::tests::make_zombie();
    looked_at const p{gone.id()};
    REQUIRE(p.process);
    auto stack = p.stack;
    auto const quiet = st::no_stop(p.main().value(), p.maps, stack);
    CHECK(quiet.outcome == st::capture_outcome::failed);
    CHECK(quiet.why.code == tp::errc::zombie);
    auto const stopped = st::brief_stop(p.main().value(), p.maps, stack);
    CHECK(stopped.outcome == st::capture_outcome::failed);
    CHECK(stopped.why.code == tp::errc::zombie);
}

TEST_CASE("capture: no_stop disturbs none of 16 kinds of blocking system calls")
{
    tp::tests::target_program target{"deep-O2", {"16"}};
    REQUIRE(target.is_ready());
    looked_at const p{target.id()};
    REQUIRE(p.process);
    std::vector<char> stack(1u << 20);
    unsigned captured = 0;
    for (int round = 0; round < 20; ++round) {
        auto walk = p.process.value().threads<>();
        for (auto const& row : walk) {
            auto const thread = p.process.value().thread(row.id().tid);
            REQUIRE(thread);
            captured += st::no_stop(thread.value(), p.maps, stack).outcome == st::capture_outcome::captured;
        }
    }
    CHECK(captured >= 20 * 16); // the first thread may still be on its way into read(2)
    CHECK(target.line(50) == ""); // a thread whose call came back would have said so
}

TEST_CASE("capture: all threads stopped at once are all let go")
{
    tp::tests::target_program target{"deep-O2", {"20", "1"}};
    REQUIRE(target.is_ready());
    looked_at const p{target.id()};
    REQUIRE(p.process);
    std::vector<tp::thread> threads;
    auto walk = p.process.value().threads<>();
    for (auto const& row : walk) threads.push_back(static_cast<tp::thread&&>(p.process.value().thread(row.id().tid).value()));
    REQUIRE(threads.size() == 21);
    std::vector<st::held_thread> held(threads.size());
    std::vector<char> memory(8u << 20);
    st::brief_stop_together(threads, p.maps, held, memory);
    for (auto const& h : held) {
        CHECK(h.capture.outcome == st::capture_outcome::captured);
        CHECK(h.capture.pause.count > 0);
    }
    for (auto const& t : threads) {
        bool sleeps = false;
        for (int i = 0; i < 2000 && !sleeps; ++i) { // it begins its read(2) again
            tp::buffer<pf::stat::typical_size> text;
            auto const stat = t.read<pf::stat>(text);
            REQUIRE(stat);
            sleeps = stat.value().state == pf::task_state::sleeping;
            if (!sleeps) usleep(1000);
        }
        CHECK(sleeps);
    }
    CHECK(target.line(50) == ""); // read(2) is begun again by the kernel
}

TEST_CASE("capture: nothing stays stopped or traced when the one who looks is killed, at any of 100 random moments")
{
    tp::tests::target_program const target{"deep-O2", {"10", "1"}};
    REQUIRE(target.is_ready());
    looked_at const p{target.id()};
    REQUIRE(p.process);
    std::mt19937 random{100};
    for (int moment = 0; moment < 100; ++moment) {
        tp::tests::child observer{[] {}, [&] {
            std::vector<tp::thread> threads;
            auto walk = p.process.value().threads<>();
            for (auto const& row : walk) threads.push_back(static_cast<tp::thread&&>(p.process.value().thread(row.id().tid).value()));
            std::vector<char> memory(4u << 20);
            for (;;) {
                std::vector<st::held_thread> held(threads.size());
                st::brief_stop_together(threads, p.maps, held, memory);
                for (auto const& t : threads) (void)st::brief_stop(t, p.maps, memory);
            }
        }};
        usleep(static_cast<useconds_t>(random() % 4000));
        observer.kill();
        observer.reap();
        auto walk = p.process.value().threads<pf::status>();
        for (auto const& [id, status] : walk) {
            bool free = false;
            for (int i = 0; i < 2000 && !free; ++i) { // the kernel lets them go while it buries the tracer
                tp::buffer<pf::status::typical_size> text;
                auto const now = p.process.value().thread(id.tid).value().read<pf::status>(text);
                REQUIRE(now);
                auto const state = *now.value().state;
                free = now.value().tracer_pid->value == 0 && state != pf::task_state::tracing_stop && state != pf::task_state::stopped;
                if (!free) usleep(1000);
            }
            REQUIRE(free);
        }
    }
}
