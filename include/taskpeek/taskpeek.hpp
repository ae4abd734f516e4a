// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The ground and the first three floors, for people in a hurry. `vas/`, `stack/` and `bpf/` are included by name.

#include <taskpeek/error.hpp>
#include <taskpeek/ids.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/units.hpp>

#include <taskpeek/text/columns.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/escapes.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/text/lending.hpp>
#include <taskpeek/text/lines.hpp>
#include <taskpeek/text/list.hpp>
#include <taskpeek/text/scan.hpp>
#include <taskpeek/text/strings.hpp>
#include <taskpeek/text/values.hpp>

#include <taskpeek/procfs/auxv.hpp>
#include <taskpeek/procfs/capabilities.hpp>
#include <taskpeek/procfs/cgroup.hpp>
#include <taskpeek/procfs/children.hpp>
#include <taskpeek/procfs/cmdline.hpp>
#include <taskpeek/procfs/comm.hpp>
#include <taskpeek/procfs/cpu_set.hpp>
#include <taskpeek/procfs/environ.hpp>
#include <taskpeek/procfs/fdinfo.hpp>
#include <taskpeek/procfs/io.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/procfs/link.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/procfs/ns.hpp>
#include <taskpeek/procfs/oom_score.hpp>
#include <taskpeek/procfs/oom_score_adj.hpp>
#include <taskpeek/procfs/records.hpp>
#include <taskpeek/procfs/schedstat.hpp>
#include <taskpeek/procfs/scheduling.hpp>
#include <taskpeek/procfs/seccomp.hpp>
#include <taskpeek/procfs/set_bits.hpp>
#include <taskpeek/procfs/signals.hpp>
#include <taskpeek/procfs/smaps.hpp>
#include <taskpeek/procfs/smaps_rollup.hpp>
#include <taskpeek/procfs/stack.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/procfs/statm.hpp>
#include <taskpeek/procfs/status.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/procfs/task_flags.hpp>
#include <taskpeek/procfs/task_state.hpp>
#include <taskpeek/procfs/vm_flags.hpp>
#include <taskpeek/procfs/wchan.hpp>

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/dirents.hpp>
#include <taskpeek/io/file.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/io/syscall.hpp>

#include <taskpeek/task/clock.hpp>
#include <taskpeek/task/live_records.hpp>
#include <taskpeek/task/page_runs.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/task/read_record.hpp>
#include <taskpeek/task/rlimit.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/task/row.hpp>
#include <taskpeek/task/system.hpp>
#include <taskpeek/task/walk.hpp>
