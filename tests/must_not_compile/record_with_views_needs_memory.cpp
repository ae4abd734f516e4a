// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/comm.hpp>
#include <taskpeek/procfs/statm.hpp>
#include <taskpeek/task/process.hpp>

// Without memory of the caller's only records that hold no views are read.
bool can_be_read(taskpeek::process const& process);
bool can_be_read(taskpeek::process const& process)
{
#ifdef MUST_NOT_COMPILE
    return process.read<taskpeek::procfs::comm>().has_value();
#else
    return process.read<taskpeek::procfs::statm>().has_value();
#endif
}
