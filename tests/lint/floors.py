#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Who may include what: a header sees only the floors below its own, and nothing that costs every includer dearly."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, Report, headers

# A floor (a directory of include/taskpeek, "" for the headers beside it) and the floors that it may include from.
GROUND = {""}
MAY_INCLUDE = {
    "": GROUND,
    "text": GROUND | {"text"},
    "procfs": GROUND | {"text", "procfs"},
    "io": GROUND | {"text", "io"},  # reading bytes knows nothing of records
    "task": GROUND | {"text", "procfs", "io", "task"},
    "vas": GROUND | {"text", "procfs", "io", "task", "vas"},
    "stack": GROUND | {"text", "procfs", "io", "task", "stack"},
    "bpf": GROUND | {"text", "procfs", "bpf"},
}
UMBRELLA = "taskpeek.hpp"          # floors 0 to 3; nothing inside includes it
OPT_IN = {"error_code.hpp"}        # std::error_code interop, and so <system_error>
NO_SYSTEM_HEADER = {"", "text", "procfs"}
ASYNC_SIGNAL_SAFE = {"", "text", "procfs", "io", "task"}

# Each costs thousands of lines, locks, or allocates.
NEVER = {"iostream", "istream", "ostream", "sstream", "fstream", "iomanip", "regex", "filesystem", "locale", "future",
         "boost/outcome.hpp", "boost/outcome/result.hpp", "boost/outcome/outcome.hpp"}
NOT_BELOW_FLOOR_4 = {"iterator", "ranges", "chrono", "limits", "cstring", "string", "vector", "map", "set", "unordered_map",
                     "unordered_set", "deque", "list", "algorithm", "numeric", "functional", "memory", "mutex", "thread",
                     "system_error", "cstdio", "stdio.h", "cstdlib", "stdlib.h", "string.h", "exception", "stdexcept"}


def floor_of(name):
    return name.split("/")[0] if "/" in name else ""


def includes_of(header):
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', header.read_text(), re.M)


def layout_complaint(text):
    """Includes stand in blocks, sorted: ours, then the standard's, then others'."""
    before_conditions = re.split(r"^#\s*if", text, maxsplit=1, flags=re.M)[0]
    previous_rank = 0
    for block in re.findall(r"(?:^#include [^\n]+\n)+", before_conditions, re.M):
        names = re.findall(r"^#include <([^>]+)>", block, re.M)
        if names != sorted(names):
            return "includes are not sorted: " + ", ".join(names)
        for name in names:
            rank = 0 if name.startswith("taskpeek/") else 1 if "." not in name and "/" not in name else 2
            if rank < previous_rank:
                return f"<{name}> stands too late: taskpeek's first, then the standard's, then others'"
            previous_rank = rank
    return ""


report = Report()
graph = {}
for header in headers():
    name = str(header.relative_to(HEADERS))
    floor = floor_of(name)
    complaints = [layout_complaint(header.read_text())]
    graph[name] = set()
    if floor not in MAY_INCLUDE:
        complaints.append(f"{floor}/ is no floor of the house")
    for mark, included in includes_of(header):
        if mark == '"':
            complaints.append(f'"{included}" wants <taskpeek/…>')
        elif included.startswith("taskpeek/"):
            inner = included.removeprefix("taskpeek/")
            graph[name].add(inner)
            if inner == UMBRELLA or inner in OPT_IN:
                complaints.append(f"<{included}> is for users, not for headers")
            elif name != UMBRELLA and floor_of(inner) not in MAY_INCLUDE.get(floor, set()):
                complaints.append(f"<{included}> is not on a floor below")
            elif name == UMBRELLA and floor_of(inner) not in ASYNC_SIGNAL_SAFE:
                complaints.append(f"<{included}> is above the umbrella's floors")
        elif included in NEVER or included.startswith("range/v3/view"):
            complaints.append(f"<{included}> is too dear for a public header")
        elif included in NOT_BELOW_FLOOR_4 and floor in ASYNC_SIGNAL_SAFE and name not in OPT_IN:
            complaints.append(f"<{included}> is too dear below vas/ and stack/")
        elif floor in NO_SYSTEM_HEADER and re.search(r"\.h$", included):
            complaints.append(f"<{included}>: this floor makes no system call and needs no system header")
    report.check(f"floors: {name}", "; ".join(filter(None, complaints)))

if UMBRELLA in graph:
    reached, todo = set(), [UMBRELLA]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(graph.get(name, ()))
    missing = sorted(n for n in graph if floor_of(n) in ASYNC_SIGNAL_SAFE and n not in reached | OPT_IN)
    report.check("floors: the umbrella reaches every header of floors 0 to 3", ", ".join(missing))
report.close()
