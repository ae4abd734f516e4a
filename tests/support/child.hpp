// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Child processes for tests: they end with the object that stands for them, or with the test program.

#include <taskpeek/ids.hpp>

#include <string>
#include <utility>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace taskpeek::tests {

/// Sleeps until it is killed.
[[noreturn]] inline void wait_for_ever()
{
    for (;;) pause();
}

/// See to it that this process ends with its parent. A change of user takes that back: call it again then.
inline void end_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
}

/// A forked process. It runs `prepare`; only then does the constructor return. Then it runs `go_on`.
class child {
public:
    template <class Prepare, class GoOn>
    child(Prepare prepare, GoOn go_on)
    {
        int ready[2];
        if (pipe(ready) != 0) std::abort();
        auto const parent = getpid();
        pid_ = fork();
        if (pid_ < 0) std::abort();
        if (pid_ == 0) {
            end_with_parent(parent);
            close(ready[0]);
            prepare();
            (void)!write(ready[1], "", 1);
            close(ready[1]);
            go_on();
            _exit(0);
        }
        close(ready[1]);
        char byte;
        while (::read(ready[0], &byte, 1) < 0) {} // 0: it has ended before it was ready
        close(ready[0]);
    }

    /// Runs `prepare` and sleeps, as do the threads that it may have started: the kernel tells where, once all have left the CPU.
    template <class Prepare>
    explicit child(Prepare prepare) : child{std::move(prepare), wait_for_ever}
    {
        settle();
    }

    /// Only sleeps.
    child() : child{[] {}} {}

    child(child&& other) noexcept : pid_{std::exchange(other.pid_, -1)} {}
    child& operator=(child&&) = delete;
    ~child()
    {
        kill();
        reap();
    }

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] taskpeek::tgid id() const { return taskpeek::tgid{pid_}; }

    void kill() const
    {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
    }

    /// Waits until none of its threads is on a CPU, or about to be, in \p in_a_row looks. One that runs may wait for a moment only.
    void settle(int in_a_row = 1) const
    {
        int settled = 0;
        for (int looks = 0; looks < 5000; ++looks) {
            settled = is_on_a_cpu() ? 0 : settled + 1;
            if (settled >= in_a_row) return;
            usleep(1000);
        }
    }

    /// Waits until it has ended, and leaves it a zombie.
    void await_end() const
    {
        siginfo_t info;
        while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0) {}
    }

    /// Waits until it has ended and takes it away. \return its wait status.
    int reap()
    {
        if (pid_ <= 0) return -1;
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
        pid_ = -1;
        return status;
    }

private:
    /// Is one of its threads running, or about to?
    [[nodiscard]] bool is_on_a_cpu() const
    {
        auto const folder = "/proc/" + std::to_string(pid_) + "/task";
        auto* const threads = opendir(folder.c_str());
        if (threads == nullptr) return false;
        bool running = false;
        while (auto const* const entry = readdir(threads)) {
            if (entry->d_name[0] == '.') continue;
            auto const file = open((folder + "/" + entry->d_name + "/syscall").c_str(), O_RDONLY | O_CLOEXEC);
            char first = ' ';
            if (file >= 0 && ::read(file, &first, 1) == 1 && first == 'r') running = true; // "running"
            if (file >= 0) close(file);
        }
        closedir(threads);
        return running;
    }

    pid_t pid_ = -1;
};

/// A process that has ended and is not reaped.
[[nodiscard]] inline child make_zombie()
{
    child c{[] {}, [] { _exit(0); }};
    c.await_end();
    return c;
}

/// Runs `body` in a forked process. \return its wait status.
template <class Body>
int status_of(Body body)
{
    child c{[] {}, std::move(body)};
    return c.reap();
}

} // namespace taskpeek::tests
