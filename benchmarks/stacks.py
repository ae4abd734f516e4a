#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Stacks of 100 threads about 20 calls deep, names included, exec to exit: user_stacks against gdb and eu-stack, in rounds.

    python3 benchmarks/stacks.py USER_STACKS DEEP [ROUNDS]

DEEP is the program build/g++/tests/targets/deep-O2. Prints medians in ms and the ratios to ours; a tool that is not there is left out."""

import shutil
import statistics
import subprocess
import sys
import time

user_stacks, deep = sys.argv[1], sys.argv[2]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5


def start(threads):
    target = subprocess.Popen([deep, str(threads), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert target.stdout.readline() == "ready\n"
    return target


def time_of(command):
    before = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (time.monotonic() - before) * 1000


def measure(commands):
    times = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            times[name].append(time_of(command))
    return {name: statistics.median(values[1:]) for name, values in times.items()}  # the first warms the caches


target = start(100)
pid = str(target.pid)
commands = {"no_stop": [user_stacks, pid], "brief_stop": [user_stacks, pid, "--stop"], "brief_stop together": [user_stacks, pid, "--stop", "--together"]}
if shutil.which("eu-stack"):
    commands["eu-stack"] = ["eu-stack", "-p", pid]
if shutil.which("gdb"):
    commands["gdb"] = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off", "-p", pid, "-ex", "thread apply all bt"]
medians = measure(commands)
target.stdin.close()
target.wait()
for name, ms in medians.items():
    print(f"{name:20} {ms:9.1f} ms  {ms / medians['no_stop']:6.1f}x")

target = start(1000)
many = measure({"no_stop": [user_stacks, str(target.pid)]})["no_stop"]
target.stdin.close()
target.wait()
print(f"{'1,000 threads':20} {many:9.1f} ms  {many / medians['no_stop']:6.1f}x of 100")
