#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""stack_headroom: the numbers of a target whose stacks are known, and its use as a health check."""

import os
import pathlib
import subprocess

from programs import Checks, call, check_usage

checks = Checks()
deep = pathlib.Path(os.environ.get("TASKPEEK_TARGETS", "build/g++/tests/targets")) / "deep-O2"
target = subprocess.Popen([deep, "4", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    checks.equal("the target is ready", target.stdout.readline(), "ready\n")
    check_usage(checks, "stack_headroom", target.pid)
    done = call("stack_headroom", target.pid, "--json")
    checks.equal("far from the end", done.status, 0)
    threads = done.json["threads"]
    checks.equal("every thread", len(threads), 5)
    for thread in threads:
        first = thread["tid"] == target.pid
        checks.true("limited by", thread["limited_by"] in (("RLIMIT_STACK", "unlimited") if first else ("mapping",)), thread)
        checks.true("order of the numbers", 0 < thread["used_now"] <= thread["high_water"] and thread["on_own_stack"], thread)
        if not first:
            checks.equal("size", thread["size"], 256 * 1024)
            checks.equal("guard", thread["guard"], 4096)
    checks.equal("past the line", call("stack_headroom", target.pid, "--warn", 1).status, 1)
    text = call("stack_headroom", target.pid).text
    checks.true("a line for each", text.count("kind-1") == 4 and "reserved" in text, text)
finally:
    target.stdin.close()
    target.wait()
gone = call("stack_headroom", target.pid)
checks.true("a process that has gone", gone.status == 1 and "there is no process" in gone.err, gone.err)
checks.close()
