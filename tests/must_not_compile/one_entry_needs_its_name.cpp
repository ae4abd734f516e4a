// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/fdinfo.hpp>
#include <taskpeek/task/process.hpp>

bool can_be_read(taskpeek::process const& process, taskpeek::lent_buffer memory);
bool can_be_read(taskpeek::process const& process, taskpeek::lent_buffer memory)
{
#ifdef MUST_NOT_COMPILE
    return process.read<taskpeek::procfs::fdinfo>(memory).has_value();
#else
    return process.read_entry<taskpeek::procfs::fdinfo>(0, memory).has_value();
#endif
}
