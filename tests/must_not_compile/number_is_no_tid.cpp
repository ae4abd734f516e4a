// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/ids.hpp>

taskpeek::tid make(std::int32_t number);

taskpeek::tid make(std::int32_t number)
{
#ifdef MUST_NOT_COMPILE
    return number;
#else
    return taskpeek::tid{number};
#endif
}
