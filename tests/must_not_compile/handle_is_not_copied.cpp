// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/task/process.hpp>

taskpeek::process twin(taskpeek::process& original);
taskpeek::process twin(taskpeek::process& original)
{
    // expect: deleted
#ifdef MUST_NOT_COMPILE
    return original;
#else
    return static_cast<taskpeek::process&&>(original);
#endif
}
