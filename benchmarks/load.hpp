// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Processes to look at, made by the benchmark and killed with it.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// Children that sleep until this object, or the process that made it, ends.
class children {
public:
    children() = default;
    children(children const&) = delete;
    children& operator=(children const&) = delete;
    ~children()
    {
        for (auto const pid : pids_) ::kill(pid, SIGKILL);
        for (auto const pid : pids_) ::waitpid(pid, nullptr, 0);
    }

    /// Forks a child that runs \p prepare and then sleeps; returns when it sleeps.
    template <class Prepare>
    pid_t add(Prepare prepare)
    {
        int ready[2];
        if (::pipe(ready) != 0) fail("pipe");
        auto const parent = ::getpid();
        auto const pid = ::fork();
        if (pid < 0) fail("fork");
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(1); // the parent died before that could take hold
            ::close(ready[0]);
            prepare();
            if (::write(ready[1], "", 1) != 1) ::_exit(1);
            ::close(ready[1]);
            for (;;) ::pause();
        }
        pids_.push_back(pid);
        ::close(ready[1]);
        char byte;
        auto const came = ::read(ready[0], &byte, 1);
        ::close(ready[0]);
        if (came != 1) fail("a child of the benchmark did not get ready");
        return pid;
    }

    /// A process of one thread.
    pid_t add_sleeper() { return add([] {}); }

    /// A process of \p count threads.
    pid_t add_threads(std::size_t count)
    {
        return add([count] {
            pthread_attr_t small;
            pthread_attr_init(&small);
            pthread_attr_setstacksize(&small, 32768);
            auto const sleep = [](void*) -> void* { for (;;) ::pause(); };
            pthread_t thread;
            for (std::size_t i = 1; i < count; ++i)
                if (pthread_create(&thread, &small, sleep, nullptr) != 0) fail("pthread_create");
        });
    }

    /// A process of \p count vmas more than it was born with: anonymous pages, writable and read-only in turn so that none can be
    /// merged with its neighbour. The writable ones hold memory.
    pid_t add_vmas(std::size_t count)
    {
        return add([count] {
            auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
            auto* const all = static_cast<char*>(::mmap(nullptr, count * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
            if (all == MAP_FAILED) fail("mmap");
            for (std::size_t i = 0; i < count; i += 2) {
                if (::mprotect(all + i * page, page, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
                all[i * page] = 1;
            }
        });
    }

private:
    [[noreturn]] static void fail(char const* what)
    {
        std::perror(what);
        std::_Exit(1);
    }

    std::vector<pid_t> pids_;
};

} // namespace bench
