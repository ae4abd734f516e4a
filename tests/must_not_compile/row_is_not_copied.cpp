// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/task/walk.hpp>

// A row's texts lie in the walk's memory: a copy would outlive them.
int main()
{
    // expect: deleted
    for (auto const& row : taskpeek::threads<taskpeek::procfs::stat>()) {
#ifdef MUST_NOT_COMPILE
        auto const kept = row;
#else
        auto const& kept = row;
#endif
        (void)kept;
    }
}
