// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Runs a specimen program and reads what it says about itself.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <csignal>

#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

namespace taskpeek::tests {

/// `tests/specimens/vas_specimen.cpp`, built one way or another, running until this object ends.
class specimen {
public:
    struct fact {
        std::string what;
        std::uint64_t address = 0;
        int tid = 0;
    };

    /// The program \p name, if it could be built here; \p arrange runs in the child before the exec.
    template <class Arrange>
    specimen(std::string const& name, Arrange arrange) : path_{find(name)}
    {
        if (access(path_.c_str(), X_OK) != 0) return;
        int out[2];
        if (pipe(out) != 0) std::abort();
        pid_ = fork();
        if (pid_ == 0) {
            dup2(out[1], 1);
            close(out[0]);
            close(out[1]);
            arrange();
            execl(path_.c_str(), path_.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        close(out[1]);
        auto* const said = fdopen(out[0], "r");
        for (char line[256]; std::fgets(line, sizeof line, said) != nullptr;) {
            std::istringstream words{line};
            fact f;
            words >> f.what >> std::hex >> f.address >> std::dec >> f.tid;
            ready_ = f.what == "ready";
            if (ready_) break;
            facts_.push_back(f);
        }
        std::fclose(said);
        if (ready_) ready_ = all_are_blocked();
    }
    explicit specimen(std::string const& name) : specimen{name, [] {}} {}
    specimen(specimen const&) = delete;
    specimen& operator=(specimen const&) = delete;
    ~specimen()
    {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] bool is_there() const { return pid_ > 0; }
    [[nodiscard]] bool is_ready() const { return ready_; }
    [[nodiscard]] int pid() const { return pid_; }
    [[nodiscard]] std::string const& path() const { return path_; }
    [[nodiscard]] std::vector<fact> const& facts() const { return facts_; }
    [[nodiscard]] std::vector<fact> of(std::string const& what) const
    {
        std::vector<fact> found;
        for (auto const& f : facts_)
            if (f.what == what) found.push_back(f);
        return found;
    }

    [[nodiscard]] static std::string find(std::string const& name)
    {
        auto const* const where = std::getenv("TASKPEEK_SPECIMENS");
        return std::string{where != nullptr ? where : "build/g++/tests"} + "/" + name;
    }

private:
    /// Waits until each thread sleeps in its pause(2): one that runs has no stack pointer to tell.
    [[nodiscard]] bool all_are_blocked() const
    {
        auto const threads = "/proc/" + std::to_string(pid_) + "/task";
        for (int tries = 0; tries < 10'000; ++tries) {
            bool blocked = true;
            for (auto const& task : std::filesystem::directory_iterator{threads}) {
                std::ifstream in{task.path() / "syscall"};
                std::string call;
                in >> call;
                blocked = blocked && call != "running";
            }
            if (blocked) return true;
            usleep(1000);
        }
        return false;
    }

    std::string path_;
    pid_t pid_ = -1;
    bool ready_ = false;
    std::vector<fact> facts_;
};

} // namespace taskpeek::tests
