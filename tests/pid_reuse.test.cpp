// SPDX-License-Identifier: BSL-1.0

/// \file
/// A number that is used again: in a pid namespace of the test's own, where the next number can be chosen.

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

namespace {

/// How a step in the namespace ended: 0, what could not be set up, or the line of the check that failed.
enum outcome : int { fine = 0, no_namespace = 1, no_mount = 2, no_choice = 3, first_line = 10 };

#define VERIFY(condition)                                                                           \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            std::fprintf(stderr, "pid_reuse.test.cpp:%d: not so: %s\n", __LINE__, #condition);      \
            _exit(first_line);                                                                      \
        }                                                                                           \
    } while (false)

/// Runs `body` as the first process of a new pid namespace with a /proc of its own. \return what it exits with.
template <class Body>
int in_a_pid_namespace(Body body)
{
    auto const status = tp::tests::status_of([&] {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) _exit(no_namespace);
        auto const init = fork();
        if (init < 0) _exit(no_namespace);
        if (init == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(no_mount);
            if (mount("proc", "/proc", "proc", 0, nullptr) != 0) _exit(no_mount);
            body();
            _exit(fine);
        }
        int ended = 0;
        while (waitpid(init, &ended, 0) < 0) {}
        _exit(WIFEXITED(ended) ? WEXITSTATUS(ended) : first_line);
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : first_line;
}

bool can_run(int ended)
{
    switch (ended) {
    case no_namespace: tp::tests::skip("a new pid namespace needs CAP_SYS_ADMIN"); return false;
    case no_mount: tp::tests::skip("/proc cannot be mounted in a namespace here"); return false;
    case no_choice: tp::tests::skip("the next pid cannot be chosen: no /proc/sys/kernel/ns_last_pid"); return false;
    default: return true;
    }
}

/// A child whose number is \p number and whose name is \p name.
tp::tests::child child_with(int number, std::string const& name)
{
    for (int tries = 0; tries < 1000; ++tries) {
        auto* const last = std::fopen("/proc/sys/kernel/ns_last_pid", "w");
        if (last == nullptr) _exit(no_choice);
        bool const written = std::fprintf(last, "%d", number - 1) > 0;
        if (std::fclose(last) != 0 || !written) _exit(no_choice);
        tp::tests::child c{[&] { prctl(PR_SET_NAME, name.c_str()); }};
        if (c.pid() == number) return c;
    }
    _exit(no_choice);
}

template <class File>
bool is_vanished(tp::task_handle const& h)
{
    static tp::buffer<65536> memory;
    auto const r = h.read<File>(memory);
    return !r && r.error().code == errc::vanished;
}

template <class Range>
bool is_vanished_range(Range range)
{
    for (auto const& row : range) {
        (void)row;
        return false;
    }
    return !range.status() && range.status().error().code == errc::vanished;
}

std::string name_of_task(tp::task_handle const& h)
{
    tp::buffer<> memory;
    auto const comm = h.read<pf::comm>(memory);
    return comm ? std::string{comm.value().name} : std::string{"none"};
}

} // namespace

TEST_CASE("a handle never answers for the process that got its number later")
{
    auto const ended = in_a_pid_namespace([] {
        constexpr int number = 300;
        std::optional<tp::process> old_process;
        std::optional<tp::thread> old_thread;
        std::optional<tp::live_records<pf::vma>> begun;
        {
            auto const first = child_with(number, "first");
            auto p = tp::process::open(tp::tgid{number});
            VERIFY(p.has_value());
            old_process.emplace(std::move(p.value()));
            auto t = old_process->thread(tp::tid{number});
            VERIFY(t.has_value());
            old_thread.emplace(std::move(t.value()));
            VERIFY(name_of_task(*old_process) == "first");
            VERIFY(name_of_task(*old_thread) == "first");
            VERIFY(tp::get_rlimit<tp::resource::nofile>(*old_process).has_value());
            begun.emplace(old_process->maps());
            VERIFY(begun->begin() != begun->end());
        }
        auto const second = child_with(number, "second");
        auto const now = tp::process::open(tp::tgid{number});
        VERIFY(now.has_value());
        VERIFY(name_of_task(now.value()) == "second");

        tp::task_handle const* const old_handles[] = {&*old_process, &*old_thread};
        for (auto const* h : old_handles) {
            VERIFY(is_vanished<pf::stat>(*h) && is_vanished<pf::status>(*h) && is_vanished<pf::statm>(*h) && is_vanished<pf::comm>(*h));
            VERIFY(is_vanished<pf::cmdline>(*h) && is_vanished<pf::environ>(*h) && is_vanished<pf::auxv>(*h));
            VERIFY(is_vanished<pf::limits>(*h) && is_vanished<pf::oom_score>(*h));
            VERIFY(is_vanished<pf::exe>(*h) && is_vanished<pf::cwd>(*h) && is_vanished<pf::root>(*h) && is_vanished<pf::io>(*h));
            VERIFY(is_vanished<pf::stack>(*h) && is_vanished<pf::wchan>(*h) && is_vanished<pf::syscall>(*h));
            VERIFY(!h->check() && h->check().error().code == errc::vanished);
        }
        VERIFY(is_vanished_range(old_process->maps()) && is_vanished_range(old_process->smaps()));
        VERIFY(is_vanished_range(old_process->children()) && is_vanished_range(old_process->fds()));
        VERIFY(is_vanished_range(old_process->threads<pf::stat>()));
        VERIFY(old_process->thread(tp::tid{number}).error().code == errc::vanished);

        // what takes a number
        auto const files = tp::get_rlimit<tp::resource::nofile>(now.value());
        VERIFY(files.has_value());
        VERIFY(tp::get_rlimit<tp::resource::nofile>(*old_process).error().code == errc::vanished);
        tp::rlimit<tp::resource::nofile> const few{tp::limit_value{tp::file_count{3}}, tp::limit_value{tp::file_count{4}}};
        VERIFY(tp::set_rlimit<tp::resource::nofile>(*old_process, few).error().code == errc::vanished);
        VERIFY(tp::get_rlimit<tp::resource::nofile>(now.value()).value().soft == files.value().soft);
    });
    if (!can_run(ended)) return;
    CHECK(ended == fine);
}

TEST_CASE("a handle that is read while its number changes hands tells of the first owner or of none")
{
    auto const ended = in_a_pid_namespace([] {
        constexpr int number = 400;
        for (int round = 0; round < 60; ++round) {
            auto const mine = "owner " + std::to_string(round);
            std::optional<tp::tests::child> owner{child_with(number, mine)};
            std::optional<tp::process> p;
            tp::tests::child reader{[&] {
                auto opened = tp::process::open(tp::tgid{number});
                VERIFY(opened.has_value());
                p.emplace(std::move(opened.value()));
                VERIFY(name_of_task(*p) == mine);
            }, [&] {
                bool gone = false;
                for (int after = 0; after < 300;) { // and for a while after it has gone
                    tp::buffer<> memory;
                    auto const comm = p->read<pf::comm>(memory);
                    if (comm) VERIFY(comm.value().name == mine);
                    auto const stat = p->read<pf::stat>(memory);
                    if (stat) VERIFY(stat.value().comm == mine);
                    if (comm || stat) VERIFY(!gone); // gone is gone
                    if (!comm && comm.error().code == errc::vanished) gone = true;
                    if (gone) ++after;
                    auto range = p->threads<pf::comm>();
                    for (auto const& [id, name] : range)
                        if (name && id.is_leader()) VERIFY(name.value().name == mine); // the thread sanitizer adds one
                }
                _exit(0);
            }};
            if (round % 2 == 0) usleep(static_cast<useconds_t>(round) * 20);
            owner.reset();
            auto const next = child_with(number, "another");
            VERIFY(next.pid() == number);
            auto const status = reader.reap();
            VERIFY(WIFEXITED(status));
            VERIFY(WEXITSTATUS(status) == 0);
        }
    });
    if (!can_run(ended)) return;
    CHECK(ended == fine);
}
