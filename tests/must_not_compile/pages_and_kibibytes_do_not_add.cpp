// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/units.hpp>

taskpeek::bytes total(taskpeek::pages rss, taskpeek::kibibytes swap, taskpeek::system_info const& sys);

taskpeek::bytes total(taskpeek::pages rss, taskpeek::kibibytes swap, taskpeek::system_info const& sys)
{
#ifdef MUST_NOT_COMPILE
    return to_bytes(rss + swap, sys);
#else
    return to_bytes(rss, sys) + to_bytes(swap);
#endif
}
