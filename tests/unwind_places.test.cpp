// SPDX-License-Identifier: BSL-1.0
// Stacks in places where unwinders go wrong: every instruction of a program, what earlier calls left on the stack, files that are
// not where they were.

#include "skip.hpp"
#include "support/fixtures.hpp"
#include "support/looked_at.hpp"
#include "support/sanitizers.hpp"
#include "support/specimen.hpp"
#include "support/targets.hpp"
#if defined TASKPEEK_HAS_LIBDW && defined __x86_64__
#include "support/libdw_oracle.hpp"
#endif

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;
using taskpeek::tests::contains_in_order;
using taskpeek::tests::looked_at;
using taskpeek::tests::skip;

namespace {

#if defined __x86_64__
/// A process that this test traces and steps through: what brief_stop would capture at each instruction.
class stepped {
public:
    explicit stepped(pid_t pid) : pid_{pid}
    {
        int status = 0;
        ready_ = ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0 && ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) == 0 &&
                 ::waitpid(pid, &status, __WALL) == pid;
    }
    stepped(stepped const&) = delete;
    stepped& operator=(stepped const&) = delete;
    ~stepped() { (void)::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr); }

    [[nodiscard]] bool is_ready() const { return ready_; }
    [[nodiscard]] bool step() const
    {
        int status = 0;
        return ::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) == 0 && ::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status);
    }
    [[nodiscard]] st::thread_capture capture(looked_at& p) const
    {
        st::thread_capture c;
        c.id = {tp::tgid{pid_}, tp::tid{pid_}};
        c.mode = st::capture_mode::brief_stop;
        user_regs_struct r{};
        if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &r) != 0) return c;
        unsigned long long const values[] = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
                                             r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
        for (st::register_number i = 0; i < 17; ++i) c.regs.set(i, values[i]);
        if (st::detail::copy_stack(c, p.process.value().directory(), p.maps, p.stack)) c.outcome = st::capture_outcome::captured;
        return c;
    }

private:
    pid_t pid_;
    bool ready_ = false;
};

[[nodiscard]] bool all_are_exact(st::unwound const& u)
{
    return std::all_of(u.frames.begin(), u.frames.end(), [](st::frame const& f) { return f.quality == st::frame_quality::exact; });
}

[[nodiscard]] std::vector<std::uint64_t> pcs_of(st::unwound const& u)
{
    std::vector<std::uint64_t> pcs;
    for (auto const& f : u.frames) pcs.push_back(f.pc.value);
    return pcs;
}
#endif

/// Does the first thread unwind to its root, with the program's code from a file, or from memory?
[[nodiscard]] bool unwinds(tp::tgid id, bool stop, bool from_memory)
{
    looked_at p{id};
    if (!p.process || !p.blocks()) return false;
    auto const u = p.unwind_main(stop);
    if (!u.is_complete()) return false;
    auto const* const m = p.unwinder->module_at(u.frames[u.frames.size() - 1].pc);
    return m != nullptr && m->usable && m->from_memory == from_memory;
}

/// Runs \p check in a child without privilege, as the user nobody. \return its exit status.
template <class Check>
[[nodiscard]] int as_nobody(Check check)
{
    auto const pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)) _exit(100);
        prctl(PR_SET_DUMPABLE, 1);
        _exit(check());
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

} // namespace

#if defined __x86_64__
TEST_CASE("unwind_places: at every instruction, in the PLT and while symbols are bound too: as libdw does, and no_stop never wrong")
{
#if !defined TASKPEEK_HAS_LIBDW
    return skip("libdw is not here");
#else
    if (tp::tests::sanitized) return skip("libdw's own memory is not the sanitizer's matter");
    tp::tests::target_program const target{"odd", {"step"}};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    REQUIRE(p.blocks());
    stepped const steps{target.pid()};
    REQUIRE(steps.is_ready());
    tp::tests::libdw_oracle libdw{target.pid()};
    REQUIRE(libdw.is_ready());
    target.send();
    unsigned stepped_through = 0, same = 0, complete = 0, in_plt = 0, quiet_complete = 0, quiet_wrong = 0, libdw_shorter = 0;
    std::vector<st::frame> frames(256);
    for (; stepped_through < 6000; ++stepped_through) {
        auto const c = steps.capture(p);
        REQUIRE(c.outcome == st::capture_outcome::captured);
        auto const u = p.unwinder->unwind(c, p.frames);
        auto const ours = pcs_of(u);
        auto const& theirs = libdw.unwind(c);
        complete += u.is_complete() && all_are_exact(u);
        same += ours == theirs;
        libdw_shorter += theirs.size() < ours.size();
        unsigned char code[6]{};
        (void)st::byte_source::memory(target.id()).read_whole(c.regs.pc().value, reinterpret_cast<char*>(code), sizeof code);
        in_plt += code[0] == 0xff && code[1] == 0x25;

        // The same with what no_stop would know: as much as it says must be so.
        auto quiet = c;
        quiet.mode = st::capture_mode::no_stop;
        quiet.regs = st::registers{st::machine::x86_64};
        quiet.regs.set(7, c.regs[7]);
        quiet.regs.set(16, c.regs[16]);
        auto const v = p.unwinder->unwind(quiet, frames);
        if (v.is_complete()) {
            ++quiet_complete;
            quiet_wrong += pcs_of(v) != ours;
        }
        REQUIRE(steps.step());
    }
    CHECK(complete == stepped_through);
    CHECK(same + libdw_shorter == stepped_through);
    CHECK(same * 100 >= stepped_through * 95);
    CHECK(in_plt > 0);
    CHECK(quiet_wrong == 0);
    CHECK(quiet_complete * 2 > stepped_through);
    MESSAGE(stepped_through << " instructions: " << complete << " complete, " << same << " as libdw, " << in_plt << " in the PLT; with sp and pc alone "
                            << quiet_complete << " complete, " << quiet_wrong << " wrong");
#endif
}

TEST_CASE("unwind_places: 100 threads, each as libdw unwinds the same copy")
{
#if !defined TASKPEEK_HAS_LIBDW
    return skip("libdw is not here");
#else
    if (tp::tests::sanitized) return skip("libdw's own memory is not the sanitizer's matter");
    for (std::string const flavour : {"O2", "O0", "fp", "alloca", "vla", "static", "no-g", "debug-frame"}) {
        CAPTURE(flavour);
        tp::tests::target_program target{"deep-" + flavour, {"100"}};
        REQUIRE(target.is_ready());
        looked_at p{target.id()};
        tp::tests::libdw_oracle libdw{target.pid()};
        REQUIRE(libdw.is_ready());
        unsigned threads = 0, same = 0, exact = 0;
        auto walk = p.process.value().threads<>();
        for (auto const& row : walk) {
            auto const c = p.capture(row.id().tid, true);
            if (c.outcome != st::capture_outcome::captured) continue; // one whose call came back has ended
            auto const u = p.unwinder->unwind(c, p.frames);
            ++threads;
            auto const ours = pcs_of(u);
            auto const& theirs = libdw.unwind(c);
            same += ours == theirs;
            if (ours != theirs) {
                std::string both = "thread " + std::to_string(c.id.tid.value) + (row.id().is_leader() ? ", the first: " : ": ");
                both += std::string{st::name_of(u.end)} + ", missing " + std::to_string(u.missing.value) + "; ours";
                for (auto const& name : p.names(u)) both += " " + name;
                MESSAGE(both << ", " << ours.size() << " frames; libdw " << theirs.size());
            }
            exact += u.is_complete() && all_are_exact(u);
        }
        CHECK(threads >= 70);
        CHECK(same == threads);
        CHECK(exact == threads);
    }
#endif
}

TEST_CASE("unwind_places: what an earlier call left on the stack is not taken for this one's caller")
{
    tp::tests::target_program const target{"stale"};
    REQUIRE(target.is_ready());
    looked_at p{target.id()};
    REQUIRE(p.blocks());
    auto const told = p.unwind_main(false);
    CHECK(told.is_complete());
    auto const names = p.names(told);
    CHECK(contains_in_order(names, {"blocks_below", "stale_caller", "main"}));
    CHECK_FALSE(contains_in_order(names, {"earlier_caller"}));
    auto const quiet = pcs_of(told);
    CHECK(quiet == pcs_of(p.unwind_main(true)));
}

TEST_CASE("unwind_places: a 32-bit process is refused, not guessed at")
{
    tp::tests::specimen const old{"vas-specimen-m32"};
    if (!old.is_there()) return skip("no 32-bit programs can be built here");
    REQUIRE(old.is_ready());
    looked_at p{tp::tgid{old.pid()}};
    REQUIRE(p.process);
    REQUIRE(p.blocks());
    auto const quiet = p.unwind_main(false);
    CHECK(quiet.end == st::stack_end::unsupported);
    CHECK(quiet.frames.size() == 1);
    auto const stopped = p.capture_main(true);
    CHECK(stopped.outcome == st::capture_outcome::failed);
    CHECK(stopped.why.code == tp::errc::unsupported);
}
#endif

TEST_CASE("unwind_places: a library that was unloaded under its thread ends the stack, and the end says so")
{
    auto const library = std::filesystem::path{tp::tests::target_path("libdeep-O2.so")};
    tp::tests::target_program target{"odd", {"unloaded", library.string()}};
    REQUIRE(target.is_ready());
    REQUIRE(target.line(20000) == "unloaded");
    looked_at p{target.id()};
    REQUIRE(p.process);
    CHECK(p.maps.is_current(p.process.value()).value());
    tp::tid inside{};
    auto walk = p.process.value().threads<>();
    for (auto const& row : walk)
        if (!row.id().is_leader()) inside = row.id().tid;
    for (bool const stop : {false, true}) {
        auto const u = p.unwind(inside, stop);
        CHECK(u.end == st::stack_end::no_code);
        CHECK(contains_in_order(p.names(u), {"read", "wait_here", "wait_inside"}));
    }
}

TEST_CASE("unwind_places: a table of vmas knows whether it is still true")
{
    auto const library = std::filesystem::path{tp::tests::target_path("libdeep-O2.so")};
    tp::tests::target_program target{"odd", {"unloaded", library.string()}};
    REQUIRE(target.is_ready());
    auto const process = tp::process::open(target.id());
    REQUIRE(process);
    std::vector<char> memory(1u << 20);
    bool was_there = false;
    auto const before = st::mapping_table::read(process.value(), memory);
    REQUIRE(before);
    for (auto const& m : before.value().all()) was_there |= before.value().path(m).ends_with("libdeep-O2.so");
    REQUIRE(target.line(20000) == "unloaded");
    if (was_there) CHECK_FALSE(before.value().is_current(process.value()).value());
    std::vector<char> again(1u << 20);
    CHECK(st::mapping_table::read(process.value(), again).value().is_current(process.value()).value());
}

TEST_CASE("unwind_places: the executable was deleted: by map_files for the privileged, for others by the image in memory")
{
    namespace fs = std::filesystem;
    tp::tests::temporary_directory const folder;
    fs::permissions(folder.path(), fs::perms{0777}); // so that nobody may delete, too
    auto const program = folder.path() + "/odd";
    auto const look_at_deleted = [&](bool from_memory) {
        tp::tests::target_program const target{program, {"other"}};
        if (!target.is_ready()) return 2;
        if (!unwinds(target.id(), false, false) || !unwinds(target.id(), true, false)) return 3;
        if (!fs::remove(program)) return 4;
        return unwinds(target.id(), false, from_memory) && unwinds(target.id(), true, from_memory) ? 0 : 5;
    };
    fs::copy_file(tp::tests::target_path("odd"), program);
    CHECK(as_nobody([&] { return look_at_deleted(true); }) == 0);
    if (geteuid() != 0) return;
    fs::copy_file(tp::tests::target_path("odd"), program);
    CHECK(look_at_deleted(false) == 0);
}

TEST_CASE("unwind_places: a process in a mount namespace of its own has its files found there")
{
    if (geteuid() != 0) return skip("only root may mount");
    tp::tests::temporary_directory const folder;
    static std::string where; // the child's code captures nothing
    where = folder.path();
    auto const program = folder.path() + "/inside/odd";
    std::filesystem::create_directory(folder.path() + "/inside");
    tp::tests::target_program const target{program, {"other"}, [] {
        auto const inside = where + "/inside";
        auto const source = tp::tests::target_path("odd");
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("none", inside.c_str(), "tmpfs", 0, nullptr) != 0)
            _exit(1);
        std::filesystem::copy_file(source, inside + "/odd");
    }};
    if (!target.is_ready()) return skip("mounting is not allowed here");
    CHECK_FALSE(std::filesystem::exists(program));
    for (bool const stop : {false, true}) CHECK(unwinds(target.id(), stop, false));
}

TEST_CASE("unwind_places: no_stop makes no system call that could stop, signal or trace anybody")
{
    tp::tests::target_program const target{"deep-O2", {"20"}};
    tp::tests::target_program const busy{"odd", {"spin"}};
    REQUIRE(target.is_ready());
    REQUIRE(busy.is_ready());
    auto const pid = fork();
    if (pid == 0) {
        std::vector<sock_filter> filter{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
        for (auto const call : {SYS_ptrace, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
                                SYS_pidfd_send_signal, SYS_process_vm_writev, SYS_sched_setaffinity, SYS_setpriority}) {
            filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
            filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
        }
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        sock_fprog const program{static_cast<unsigned short>(filter.size()), filter.data()};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(2);
        unsigned captured = 0;
        for (auto const id : {target.id(), busy.id()}) {
            looked_at p{id};
            if (!p.process) _exit(3);
            for (int round = 0; round < 20; ++round) {
                auto walk = p.process.value().threads<>();
                for (auto const& row : walk) captured += p.unwind(row.id().tid, false).is_complete();
            }
        }
        _exit(captured >= 20 * 20 ? 0 : 4);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
