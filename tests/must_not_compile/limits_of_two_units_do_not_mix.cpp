// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/rlimit.hpp>

bool set(taskpeek::process const& process);
bool set(taskpeek::process const& process)
{
    using taskpeek::resource;
#ifdef MUST_NOT_COMPILE
    taskpeek::rlimit<resource::nofile> const few{taskpeek::limit_value{taskpeek::bytes{4}}, taskpeek::limit_value{taskpeek::bytes{4}}};
#else
    taskpeek::rlimit<resource::nofile> const few{taskpeek::limit_value{taskpeek::file_count{4}}, taskpeek::limit_value{taskpeek::file_count{4}}};
#endif
    return taskpeek::set_rlimit<resource::nofile>(process, few).has_value();
}
