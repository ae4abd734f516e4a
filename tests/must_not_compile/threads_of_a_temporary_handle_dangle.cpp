// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/task/process.hpp>

taskpeek::process open_one();

// The range borrows the handle's directory.
bool has_threads();
bool has_threads()
{
    // expect: deleted
#ifdef MUST_NOT_COMPILE
    auto threads = open_one().threads<taskpeek::procfs::stat>();
#else
    auto const handle = open_one();
    auto threads = handle.threads<taskpeek::procfs::stat>();
#endif
    return threads.begin() != threads.end();
}
