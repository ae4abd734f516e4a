// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Threads that take a name and wait.

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace taskpeek::tests {

[[nodiscard]] inline int own_tid() { return static_cast<int>(::syscall(SYS_gettid)); }

/// How many threads this process has: the thread sanitizer adds one of its own.
[[nodiscard]] inline std::size_t own_thread_count()
{
    std::size_t count = 0;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/task"}) count += entry.path().has_filename();
    return count;
}

/// What the kernel must give back byte for byte.
[[nodiscard]] inline std::vector<std::string> awkward_names()
{
    return {"a) R 1 (b", "new\nline", "\xff\xfe", "", "fifteen bytes!!", "tab\there", "back\\slash", " (", ") S 1", "\n", "\\n", "\x1b]0;x\a"};
}

/// Does the thread \p tid of this process sleep? One that waits may still have to leave its CPU.
[[nodiscard]] inline bool sleeps(int tid)
{
    std::ifstream file{"/proc/self/task/" + std::to_string(tid) + "/stat"};
    std::string const text{std::istreambuf_iterator<char>{file}, {}};
    auto const state = text.rfind(") ");
    return state != text.npos && text[state + 2] == 'S';
}

/// One thread for each name, all waiting, and asleep; they end with this object.
class waiting_threads {
public:
    explicit waiting_threads(std::vector<std::string> names) : names_{std::move(names)}, tids_(names_.size())
    {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            threads_.emplace_back([this, i] {
                prctl(PR_SET_NAME, names_[i].c_str());
                std::unique_lock lock{mutex_};
                tids_[i] = own_tid();
                ++ready_;
                changed_.notify_all();
                changed_.wait(lock, [this] { return end_; });
            });
        }
        {
            std::unique_lock lock{mutex_};
            changed_.wait(lock, [this] { return ready_ == names_.size(); });
        }
        for (auto const tid : tids_)
            for (int looks = 0; looks < 10'000 && !sleeps(tid); ++looks) usleep(1000);
    }
    ~waiting_threads()
    {
        {
            std::lock_guard const lock{mutex_};
            end_ = true;
        }
        changed_.notify_all();
        for (auto& t : threads_) t.join();
        // a thread that has been joined is listed until the kernel is done with it, and would be counted in what comes next
        for (auto const tid : tids_)
            while (std::filesystem::exists("/proc/self/task/" + std::to_string(tid))) usleep(1000);
    }

    [[nodiscard]] std::size_t size() const { return names_.size(); }
    [[nodiscard]] std::string const& name(std::size_t i) const { return names_[i]; }
    [[nodiscard]] int tid(std::size_t i) const { return tids_[i]; }

    /// The name of thread \p wanted, or null if it is none of these.
    [[nodiscard]] std::string const* name_of_tid(int wanted) const
    {
        for (std::size_t i = 0; i < tids_.size(); ++i)
            if (tids_[i] == wanted) return &names_[i];
        return nullptr;
    }

private:
    std::vector<std::string> names_;
    std::vector<int> tids_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t ready_ = 0;
    bool end_ = false;
};

} // namespace taskpeek::tests
