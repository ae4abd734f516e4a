// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/task/walk.hpp>

int main()
{
    // expect: deleted
#ifdef MUST_NOT_COMPILE
    for (auto row : taskpeek::processes<taskpeek::procfs::stat>()) (void)row;
#else
    for (auto const& row : taskpeek::processes<taskpeek::procfs::stat>()) (void)row;
#endif
}
