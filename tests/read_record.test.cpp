// SPDX-License-Identifier: BSL-1.0

/// \file
/// What a file that cannot be read, or is empty, says of its task: each kernel file of a zombie, a kernel thread, a vanished
/// process and another user's.

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

namespace {

/// How reading each of the files ended; `errc{}` is success.
struct outcomes {
    errc maps, smaps, cmdline, environ, auxv, smaps_rollup, exe, cwd, io, stat, status, statm, comm, stack, wchan, syscall,
         limits, fds, cgroup;
};

template <class Range>
errc walk(Range range)
{
    for (auto const& one : range) (void)one;
    return range.status() ? errc{} : range.status().error().code;
}

template <class File>
errc outcome(tp::process const& p)
{
    static tp::buffer<65536> memory;
    auto const r = p.read<File>(memory);
    if (r) return errc{};
    // whatever went wrong is said of this file of this task
    CHECK(r.error().file == File::file);
    CHECK(r.error().task == p.id());
    return r.error().code;
}

outcomes read_all(tp::process const& p)
{
    return {.maps = walk(p.maps()),
            .smaps = walk(p.smaps()),
            .cmdline = outcome<pf::cmdline>(p),
            .environ = outcome<pf::environ>(p),
            .auxv = outcome<pf::auxv>(p),
            .smaps_rollup = outcome<pf::smaps_rollup>(p),
            .exe = outcome<pf::exe>(p),
            .cwd = outcome<pf::cwd>(p),
            .io = outcome<pf::io>(p),
            .stat = outcome<pf::stat>(p),
            .status = outcome<pf::status>(p),
            .statm = outcome<pf::statm>(p),
            .comm = outcome<pf::comm>(p),
            .stack = outcome<pf::stack>(p),
            .wchan = outcome<pf::wchan>(p),
            .syscall = outcome<pf::syscall>(p),
            .limits = outcome<pf::limits>(p),
            .fds = walk(p.fds()),
            .cgroup = outcome<pf::cgroup>(p)};
}

bool exists(char const* file) { return access((std::string{"/proc/self/"} + file).c_str(), F_OK) == 0; }

/// What a file that this kernel may not have been built with says when it has not.
errc if_there(char const* file, errc then) { return exists(file) ? then : errc::unsupported; }

tp::process open(tp::tgid id)
{
    auto handle = tp::process::open(id);
    REQUIRE(handle.has_value());
    return std::move(handle.value());
}

} // namespace

TEST_CASE("every file of a living process can be read by its owner")
{
    tp::tests::child const c;
    auto const o = read_all(open(c.id()));
    for (auto const code : {o.maps, o.smaps, o.cmdline, o.environ, o.auxv, o.smaps_rollup, o.exe, o.cwd, o.stat, o.status,
                            o.statm, o.comm, o.limits, o.fds})
        CHECK(code == errc{});
    CHECK(o.io == if_there("io", errc{}));
    CHECK(o.wchan == if_there("wchan", errc{}));
    CHECK(o.cgroup == if_there("cgroup", errc{}));
    CHECK((o.syscall == if_there("syscall", errc{}) || geteuid() != 0));
    if (geteuid() == 0) CHECK((o.stack == if_there("stack", errc{}) || o.stack == errc::denied)); // root without CAP_SYS_ADMIN
}

TEST_CASE("a zombie has no address space, and still tells what it was")
{
    auto const zombie = tp::tests::make_zombie();
    auto const p = open(zombie.id());
    auto const o = read_all(p);
    for (auto const code : {o.maps, o.smaps, o.cmdline, o.environ, o.auxv, o.smaps_rollup, o.exe, o.cwd, o.fds})
        CHECK(code == errc::zombie);
    for (auto const code : {o.stat, o.status, o.comm, o.limits}) CHECK(code == errc{});
    CHECK(p.check().has_value());

    tp::buffer<> memory;
    CHECK(p.read<pf::stat>(memory).value().state == pf::task_state::zombie);
    auto const status = p.read<pf::status>(memory);
    REQUIRE(status.has_value());
    CHECK_FALSE(status.value().vm_rss.has_value()); // absent, not 0

    auto const maps = p.read<pf::environ>(memory);
    auto const message = maps.error().message();
    CHECK(message.view().starts_with("process " + std::to_string(zombie.pid()) + " is a zombie: it has no environ"));
}

TEST_CASE("a process of which only the leader has ended is a zombie to look at, and its other threads are not")
{
    tp::tests::child const c{[] { std::thread{tp::tests::wait_for_ever}.detach(); }, [] { (void)tp::io::system_call(SYS_exit, 0); }};
    auto const p = open(c.id());
    tp::buffer<> memory;
    for (int i = 0; i < 1000 && p.read<pf::stat>(memory).value().state != pf::task_state::zombie; ++i) usleep(10'000);
    CHECK(walk(p.maps()) == errc::zombie);
    int threads = 0, readable = 0;
    auto range = p.threads<pf::stat, pf::cmdline>();
    for (auto const& [id, stat, cmdline] : range) {
        ++threads;
        REQUIRE(stat.has_value());
        CHECK((stat.value().state == pf::task_state::zombie) == id.is_leader());
        if (cmdline) ++readable;
        else CHECK(cmdline.error().code == errc::zombie);
    }
    CHECK(range.status().has_value());
    CHECK(threads >= 2); // the thread sanitizer adds one
    CHECK(readable == threads - 1);
}

TEST_CASE("a vanished process is vanished in each of its files")
{
    auto const [handle, id] = [] {
        tp::tests::child const c;
        return std::pair{tp::process::open(c.id()), c.id()};
    }();
    REQUIRE(handle.has_value());
    auto const& p = handle.value();
    auto const o = read_all(p);
    for (auto const code : {o.maps, o.smaps, o.cmdline, o.environ, o.auxv, o.smaps_rollup, o.exe, o.cwd, o.io, o.stat, o.status,
                            o.statm, o.comm, o.stack, o.wchan, o.syscall, o.limits, o.fds, o.cgroup})
        CHECK(code == errc::vanished);
    CHECK(walk(p.children()) == errc::vanished);
    CHECK(walk(p.threads<pf::stat>()) == errc::vanished);
    CHECK(p.thread(tp::tid{id.value}).error().code == errc::vanished);
    CHECK(p.check().error().code == errc::vanished);
    auto const message = p.check().error().message();
    CHECK(message.view().starts_with("process " + std::to_string(id.value) + " has gone; its stat could not be read"));
}

TEST_CASE("a kernel thread never had an address space")
{
    std::optional<tp::tgid> found;
    for (auto const& [id, stat] : tp::processes<pf::stat>()) {
        if (!stat || !stat.value().is_kernel_thread()) continue;
        found = id.tgid; // the youngest of them: one that no kernel of another kind would lack
        break;
    }
    if (!found) return tp::tests::skip("no kernel thread is visible here (a container?)");
    auto const p = open(*found);
    tp::buffer<65536> memory;
    CHECK(walk(p.maps()) == errc::kernel_thread);
    CHECK(p.read<pf::cmdline>(memory).error().code == errc::kernel_thread);
    auto const exe = p.read<pf::exe>(memory);
    REQUIRE_FALSE(exe.has_value());
    CHECK(exe.error().code == errc::kernel_thread);
    auto const status = p.read<pf::status>(memory);
    REQUIRE(status.has_value());
    CHECK_FALSE(status.value().vm_size.has_value());
}

TEST_CASE("another user's process is denied, not vanished and not empty")
{
    if (geteuid() != 0) return tp::tests::skip("only root can become another user");
    tp::tests::child const target;
    auto const zombie = tp::tests::make_zombie();
    auto const status = tp::tests::status_of([&] {
        auto const parent = getppid();
        // nobody; a change of ids makes the kernel forget whom to end with
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(2);
        tp::tests::end_with_parent(parent);
        auto const p = tp::process::open(target.id());
        if (!p) _exit(3);
        auto const o = read_all(p.value());
        for (auto const code : {o.maps, o.smaps, o.environ, o.auxv, o.smaps_rollup, o.exe, o.cwd, o.fds})
            if (code != errc::denied) _exit(4);
        if (o.io != if_there("io", errc::denied)) _exit(5);
        if (o.stack != if_there("stack", errc::denied)) _exit(6);
        if (o.syscall != if_there("syscall", errc::denied)) _exit(7);
        for (auto const code : {o.stat, o.status, o.statm, o.comm, o.limits, o.cmdline})
            if (code != errc{}) _exit(8);
        if (p.value().check().has_error()) _exit(9);

        // of a zombie, what is denied is still a zombie's where an address space is asked for
        auto const z = tp::process::open(zombie.id());
        if (!z) _exit(10);
        auto const dead = read_all(z.value());
        for (auto const code : {dead.maps, dead.environ, dead.auxv, dead.cmdline})
            if (code != errc::zombie) _exit(11);

        // a walk hands it out with its ids and the error
        bool seen = false;
        for (auto const& [id, exe, stat] : tp::processes<pf::exe, pf::stat>())
            if (id.tgid == target.id()) seen = !exe && exe.error().code == errc::denied && exe.error().task == id && stat.has_value();
        if (!seen) _exit(12);
        _exit(0);
    });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a file that the kernel does not have is unsupported, not vanished")
{
    tp::tests::child const c;
    auto const p = open(c.id());
    tp::buffer<> memory;
    auto const children = p.read<pf::children>(memory); // there is one for each thread, none for the process
    REQUIRE_FALSE(children.has_value());
    CHECK(children.error() == tp::error{errc::unsupported, tp::kernel_file::children, ENOENT, p.id(), 0});
}

TEST_CASE("a record without views needs no memory lent")
{
    tp::tests::child const c;
    auto const p = open(c.id());
    auto const statm = p.read<pf::statm>();
    REQUIRE(statm.has_value());
    CHECK(statm.value().size.count > 0);
    auto const limits = p.read<pf::limits>();
    REQUIRE(limits.has_value());
    CHECK(limits.value().max_stack_size.has_value());
}
