// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/stat.hpp>

taskpeek::procfs::task_state state_in(std::string_view text);

taskpeek::procfs::task_state state_in(std::string_view text)
{
    auto const parsed = taskpeek::procfs::stat::parse(text);
#ifdef MUST_NOT_COMPILE
    return parsed->state; // no unchecked access
#else
    return parsed.value().state;
#endif
}
