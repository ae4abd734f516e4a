// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/cmdline.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/task/process.hpp>

bool can_be_read(taskpeek::process const& process, taskpeek::lent_buffer memory);
bool can_be_read(taskpeek::process const& process, taskpeek::lent_buffer memory)
{
#ifdef MUST_NOT_COMPILE
    return process.read<taskpeek::procfs::vma>(memory).has_value();
#else
    return process.read<taskpeek::procfs::cmdline>(memory).has_value();
#endif
}
