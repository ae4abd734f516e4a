#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Stacks of 100 threads of 21 calls and more, names included, from exec to exit: user_stacks beside gdb and eu-stack.

    benchmarks/stacks.py [--json FILE] [--rounds N]

In each round every program runs once, in an order drawn for the round; what is told are medians over the rounds: of times, and of the
ratios within a round. CPU time is that of the program and of what it has the kernel do. The pause is what the target's first thread,
which spins on the clock, sees, less its waits for a CPU; it is the one that eu-stack holds longest, for it is the first. The files are in
the page cache: a round that does not count comes first.

Needs what `./dev bench` builds: build/g++/examples/user_stacks and build/g++/tests/targets/deep-O2."""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("TASKPEEK_BUILD", ROOT / "build" / "g++"))
USER_STACKS = BUILD / "examples" / "user_stacks"
DEEP = BUILD / "tests" / "targets" / "deep-O2"

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--json", metavar="FILE")
arguments.add_argument("--rounds", type=int, default=9)
wish = arguments.parse_args()
draw = random.Random(1)


class Target:
    """deep-O2, blocked in read(2) in each thread."""

    def __init__(self, threads, *more):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([DEEP, str(threads), "1", *more], text=True, **pipes)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{DEEP} does not start")
        self.pid = str(self.process.pid)

    def longest_pause(self):
        """In ms, since it was last asked."""
        self.process.stdin.write("?")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[-1]) / 1e6

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def commands(pid):
    """What is compared; a tool that is not there is left out."""
    found = {"no_stop": [USER_STACKS, pid], "no_stop, JSON": [USER_STACKS, pid, "--json"], "brief_stop": [USER_STACKS, pid, "--stop"],
             "brief_stop together": [USER_STACKS, pid, "--stop", "--together"], "no_stop, inlines": [USER_STACKS, pid, "--inlines"]}
    if shutil.which("eu-stack"):
        found |= {"eu-stack": ["eu-stack", "-p", pid], "eu-stack -i -s": ["eu-stack", "-i", "-s", "-p", pid]}
    if shutil.which("gdb"):
        found["gdb"] = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off", "-p", pid, "-ex", "thread apply all bt"]
    return found


def run(command):
    """Wall clock and CPU time in ms, and the most memory in KiB."""
    environment = {key: value for key, value in os.environ.items() if key != "DEBUGINFOD_URLS"}
    before = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (time.monotonic() - before) * 1000, (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss


def in_rounds(contestants, measure):
    """A list of what `measure` said for each, round by round."""
    found = {name: [] for name in contestants}
    for number in range(wish.rounds + 1):
        names = list(contestants)
        draw.shuffle(names)
        for name in names:
            said = measure(contestants[name])
            if number > 0:
                found[name].append(said)
    return found


def median_of(values, index):
    return statistics.median(value[index] for value in values)


def ratio(of, to, index):
    return statistics.median(a[index] / b[index] for a, b in zip(of, to) if b[index] > 0)


rows = []


def tell(name, goal=None, **numbers):
    """A row; `goal` is (number, most)."""
    theirs = name.split()[0] in ("eu-stack", "gdb")
    row = {"name": f"{'' if theirs else 'taskpeek/'}stacks/{name}", "ratio_to_floor": None, "median_ms": None, "allocations": None}
    row |= {key: round(value, 5) for key, value in numbers.items()}
    text = "  ".join(f"{key} {value:.4g}" for key, value in numbers.items())
    if goal:
        row |= {"goal": goal[1], "met": numbers[goal[0]] <= goal[1]}
        text += f"  (goal: {goal[0]} at most {goal[1]:.4g}: {'met' if row['met'] else 'missed'})"
    rows.append(row)
    print(f"{name:42} {text}", flush=True)


with Target(100) as target:
    times = in_rounds(commands(target.pid), run)
for name, values in times.items():
    tell(name, median_ms=median_of(values, 0), cpu_ms=median_of(values, 1))
for index, clock in enumerate(("wall", "CPU")):
    for ours, other, most in (("no_stop", "gdb", 1 / 40), ("no_stop", "eu-stack", 1 / 8), ("no_stop, inlines", "eu-stack -i -s", 1 / 5)):
        if other in times:
            tell(f"{ours} to {other}, {clock}", ("ratio", most), ratio=ratio(times[ours], times[other], index))

with Target(100, "spin") as target:
    def pause(command):
        target.longest_pause()
        run(command)
        return (target.longest_pause(),)

    compared = commands(target.pid)
    pauses = in_rounds({name: compared[name] for name in ("no_stop", "brief_stop", "brief_stop together", "eu-stack", "gdb") if name in compared}
                       | {"nothing": ["sleep", "0.02"]}, pause)
    for name, values in pauses.items():
        tell(f"pause by {name}", pause_ms=median_of(values, 0))
    if "eu-stack" in pauses:
        tell("pause of brief_stop to eu-stack", ("ratio", 1 / 2), ratio=ratio(pauses["brief_stop"], pauses["eu-stack"], 0))
    if "gdb" in pauses:
        tell("pause of brief_stop together to gdb", ("ratio", 1 / 100), ratio=ratio(pauses["brief_stop together"], pauses["gdb"], 0))

with Target(100) as few, Target(1000) as many:
    sizes = in_rounds({"100": [USER_STACKS, few.pid], "1,000": [USER_STACKS, many.pid]}, run)
for index, clock in enumerate(("wall", "CPU")):
    tell(f"1,000 threads to 100, {clock}", ("ratio", 10), ratio=ratio(sizes["1,000"], sizes["100"], index))
tell("peak memory for 1,000 threads, at most", peak_kib=median_of(sizes["1,000"], 2))  # of this script too, before it executes ours

if wish.json:
    pathlib.Path(wish.json).write_text(json.dumps(rows, indent=2) + "\n")
