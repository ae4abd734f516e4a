// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A file below many directories: its path is longer than any buffer. It can only be reached a step at a time.

#include "fixtures.hpp"

#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace taskpeek::tests {

/// A file of two pages, \p levels directories deep, each with a name of 200 bytes.
class deep_file {
public:
    explicit deep_file(int levels, std::string name = "deep") : levels_{levels}, name_{std::move(name)}
    {
        auto directory = open(top_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < levels; ++i) {
            mkdirat(directory, step_.c_str(), 0700);
            auto const next = openat(directory, step_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            close(directory);
            directory = next;
        }
        file_ = openat(directory, name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        made_ = file_ >= 0 && ftruncate(file_, 8192) == 0;
        close(directory);
    }
    deep_file(deep_file const&) = delete;
    deep_file& operator=(deep_file const&) = delete;
    ~deep_file()
    {
        if (file_ >= 0) close(file_);
    }

    [[nodiscard]] bool is_made() const { return made_; }
    [[nodiscard]] int descriptor() const { return file_; }

    /// The path that the kernel prints.
    [[nodiscard]] std::string path() const
    {
        auto path = top_.path();
        for (int i = 0; i < levels_; ++i) path += "/" + step_;
        return path + "/" + name_;
    }

private:
    temporary_directory top_;
    std::string step_ = std::string(200, 'd');
    int levels_;
    std::string name_;
    int file_ = -1;
    bool made_ = false;
};

} // namespace taskpeek::tests
