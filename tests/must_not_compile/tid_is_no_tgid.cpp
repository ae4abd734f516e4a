// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/ids.hpp>

taskpeek::tgid process_of(taskpeek::tid thread);

taskpeek::tgid process_of(taskpeek::tid thread)
{
#ifdef MUST_NOT_COMPILE
    return thread;
#else
    return taskpeek::tgid{thread.value};
#endif
}
