// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/comm.hpp>
#include <taskpeek/task/process.hpp>

#include <vector>

// The record's views would point into memory that is gone.
bool has_a_name(taskpeek::process const& process);
bool has_a_name(taskpeek::process const& process)
{
#ifdef MUST_NOT_COMPILE
    auto const comm = process.read<taskpeek::procfs::comm>(std::vector<char>(100));
#else
    std::vector<char> memory(100);
    auto const comm = process.read<taskpeek::procfs::comm>(memory);
#endif
    return comm && !comm.value().name.empty();
}
