// SPDX-License-Identifier: BSL-1.0

/// \file
/// What a user writes first: finds its own main thread among all threads of the machine and prints its id and name.

#include <taskpeek/taskpeek.hpp>

#include <cstdio>

#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

int main()
{
    for (auto const& [id, stat] : tp::threads<pf::stat>())
        if (stat && id.tgid.value == getpid() && id.is_leader()) {
            auto const name = stat.value().comm;
            std::printf("%d %.*s\n", id.tid.value, static_cast<int>(name.size()), name.data());
            return 0;
        }
    return 1;
}
