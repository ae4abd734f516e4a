#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""What including taskpeek costs a compiler: lines after preprocessing, and the time to compile one file that does nothing else."""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include"
COMPILER = os.environ.get("CXX", "g++").split()[-1]  # without ccache, which would not compile at all
FLAGS = ["-std=c++20", "-O2", f"-I{INCLUDE}", "-x", "c++", "-"]
SOURCES = {
    "nothing": "",
    "<string_view>": "#include <string_view>\n",
    "boost/outcome/basic_result.hpp": "#include <boost/outcome/basic_result.hpp>\n",
    "taskpeek/procfs/stat.hpp": "#include <taskpeek/procfs/stat.hpp>\n",
    "taskpeek/procfs/status.hpp": "#include <taskpeek/procfs/status.hpp>\n",
    "taskpeek/taskpeek.hpp": "#include <taskpeek/taskpeek.hpp>\n",
    "taskpeek/taskpeek.hpp, and a walk": """#include <taskpeek/taskpeek.hpp>
unsigned long minor_faults()
{
    unsigned long sum = 0;
    for (auto const& [id, stat] : taskpeek::threads<taskpeek::procfs::stat>())
        if (stat) sum += stat.value().minflt;
    return sum;
}
""",
}


def cpu_ms():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e3


def compile_ms(source):
    """CPU time, so that what else the machine does counts less."""
    start = cpu_ms()
    subprocess.run([COMPILER, *FLAGS, "-c", "-o", os.devnull], input=source, text=True, check=True)
    return cpu_ms() - start


arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--json", metavar="FILE")
chosen = arguments.parse_args()

times = {name: [] for name in SOURCES}
for _ in range(3):
    for name, source in SOURCES.items():
        times[name].append(compile_ms(source))

rows = []
for name, source in SOURCES.items():
    text = subprocess.run([COMPILER, *FLAGS, "-E", "-P"], input=source, text=True, check=True, capture_output=True).stdout
    lines, median = text.count("\n"), statistics.median(times[name])
    print(f"  {name:36} {lines:7,} lines  {median:8.0f} ms")
    maker, _, header = name.partition("/")
    rows.append({"name": f"{maker}/include/{header}" if header else f"{name}/include", "ratio_to_floor": None, "median_ms": median, "allocations": None, "lines": lines})
if chosen.json:
    pathlib.Path(chosen.json).write_text(json.dumps(rows, indent=2) + "\n")
