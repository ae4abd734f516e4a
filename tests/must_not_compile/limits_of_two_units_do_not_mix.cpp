// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/rlimit.hpp>

bool set(taskpeek::process const& process);
bool set(taskpeek::process const& process)
{
    using taskpeek::resource;
#ifdef MUST_NOT_COMPILE
    taskpeek::limit_value const four{taskpeek::bytes{4}};
#else
    taskpeek::limit_value const four{taskpeek::file_count{4}};
#endif
    taskpeek::rlimit<resource::nofile> const few{four, four};
    return taskpeek::set_rlimit<resource::nofile>(process, few).has_value();
}
