// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Directories for tests: a fresh one of their own, and the recorded trees of tests/fixtures, unpacked.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace taskpeek::tests {

/// A new directory, removed with all that is in it.
class temporary_directory {
public:
    temporary_directory()
    {
        auto pattern = (std::filesystem::temp_directory_path() / "taskpeek-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) std::abort();
        path_ = pattern;
    }
    temporary_directory(temporary_directory const&) = delete;
    temporary_directory& operator=(temporary_directory const&) = delete;
    ~temporary_directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string const& path() const { return path_; }

private:
    std::string path_;
};

/// A recorded tree, unpacked: `recorded_tree{"linux-6.1-x86_64"}`.
class recorded_tree {
public:
    explicit recorded_tree(std::string const& name)
    {
        auto const* const fixtures = std::getenv("TASKPEEK_FIXTURES");
        auto const archive = std::string{fixtures != nullptr ? fixtures : "tests/fixtures"} + "/" + name + ".tar.gz";
        unpacked_ = std::system(("tar -xzf '" + archive + "' -C '" + directory_.path() + "'").c_str()) == 0;
    }

    [[nodiscard]] bool is_unpacked() const { return unpacked_; }

    /// What to pass as a root.
    [[nodiscard]] std::string root() const { return directory_.path() + "/proc"; }

private:
    temporary_directory directory_;
    bool unpacked_ = false;
};

} // namespace taskpeek::tests
