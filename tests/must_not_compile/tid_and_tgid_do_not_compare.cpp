// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/ids.hpp>

bool same(taskpeek::tid thread, taskpeek::tgid process);

bool same(taskpeek::tid thread, taskpeek::tgid process)
{
#ifdef MUST_NOT_COMPILE
    return thread == process;
#else
    return thread.value == process.value;
#endif
}
