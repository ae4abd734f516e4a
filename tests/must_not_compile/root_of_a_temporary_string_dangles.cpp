// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/walk.hpp>

#include <string>

// The walk opens its root when it begins, and the path would be gone by then.
bool has_processes(std::string const& mount);
bool has_processes(std::string const& mount)
{
#ifdef MUST_NOT_COMPILE
    auto walk = taskpeek::processes<>(mount + "/proc");
#else
    auto const root = mount + "/proc";
    auto walk = taskpeek::processes<>(root);
#endif
    return walk.begin() != walk.end();
}
