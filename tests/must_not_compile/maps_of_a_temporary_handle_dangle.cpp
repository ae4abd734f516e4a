// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/process.hpp>

taskpeek::process open_one();

// The range borrows the handle's directory.
bool has_maps();
bool has_maps()
{
    // expect: deleted
#ifdef MUST_NOT_COMPILE
    auto maps = open_one().maps();
#else
    auto const handle = open_one();
    auto maps = handle.maps();
#endif
    return maps.begin() != maps.end();
}
