// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Programs that the stack tests start and look at.

#include "child.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace taskpeek::tests {

/// Where a program of tests/targets is.
[[nodiscard]] inline std::string target_path(std::string const& name)
{
    auto const* const folder = std::getenv("TASKPEEK_TARGETS");
    return std::string{folder != nullptr ? folder : "build/g++/tests/targets"} + "/" + name;
}

/// A running program of tests/targets, or of a path of its own. It prints a line when it is ready; it ends with this object.
class target_program {
public:
    /// \p prepare runs in the child before the program does.
    explicit target_program(std::string const& name, std::vector<std::string> arguments = {}, void (*prepare)() = [] {})
    {
        auto const path = name.starts_with('/') ? name : target_path(name);
        int in[2], out[2];
        if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
        auto const parent = getpid();
        pid_ = fork();
        if (pid_ == 0) {
            end_with_parent(parent);
            dup2(in[0], 0);
            dup2(out[1], 1);
            prepare();
            end_with_parent(parent);
            std::vector<char*> argv{const_cast<char*>(path.c_str())};
            for (auto& a : arguments) argv.push_back(a.data());
            argv.push_back(nullptr);
            execv(path.c_str(), argv.data());
            _exit(127);
        }
        close(in[0]);
        close(out[1]);
        in_ = in[1];
        out_ = out[0];
        ready_ = line(20000) == "ready";
    }
    target_program(target_program const&) = delete;
    target_program& operator=(target_program const&) = delete;
    ~target_program()
    {
        ::close(in_); // it removes what it made, and ends
        int status = 0;
        for (int waited = 0; waited < 200; ++waited) {
            if (waitpid(pid_, &status, WNOHANG) != 0) { ::close(out_); return; }
            usleep(10000);
        }
        ::kill(pid_, SIGKILL);
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
        ::close(out_);
    }

    [[nodiscard]] bool is_ready() const { return ready_; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] taskpeek::tgid id() const { return taskpeek::tgid{pid_}; }

    /// Lets it go on: it waits for a byte.
    void send() const { (void)!::write(in_, "\n", 1); }

    /// The next line that it prints within \p milliseconds; empty if there is none.
    [[nodiscard]] std::string line(int milliseconds)
    {
        for (;;) {
            if (auto const end = text_.find('\n'); end != std::string::npos) {
                auto found = text_.substr(0, end);
                text_.erase(0, end + 1);
                return found;
            }
            pollfd p{out_, POLLIN, 0};
            if (poll(&p, 1, milliseconds) <= 0) return {};
            char bytes[512];
            auto const got = ::read(out_, bytes, sizeof bytes);
            if (got <= 0) return {};
            text_.append(bytes, static_cast<std::size_t>(got));
        }
    }

private:
    pid_t pid_ = -1;
    int in_ = -1;
    int out_ = -1;
    bool ready_ = false;
    std::string text_;
};

} // namespace taskpeek::tests
