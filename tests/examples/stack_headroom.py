#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""stack_headroom: the numbers of a target whose stacks are known, and its use as a health check."""

import os
import pathlib
import subprocess

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, wait_until_blocked

checks = Checks()
deep = pathlib.Path(os.environ.get("TASKPEEK_TARGETS", "build/g++/tests/targets")) / "deep-O2"
target = subprocess.Popen([deep, "4", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    checks.equal("the target is ready", target.stdout.readline(), "ready\n")
    check_usage(checks, "stack_headroom", target.pid, failed=2)
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
    kernel = done.json["kernel_stack"]
    checks.true("kernel-mode stacks, and from what", kernel["size"] in (8192, 16384, 32768, 65536) and kernel["derived_from"], kernel)
    one = call("stack_headroom", f"{target.pid}/{threads[1]['tid']}", "--json").json["threads"]
    checks.equal("one thread alone", [thread["tid"] for thread in one], [threads[1]["tid"]])
    sums = [sum(thread[key] for thread in threads) for key in ("high_water", "resident")]
    checks.equal("sums", [done.json["touched"], done.json["resident"]], sums)
    missing = call("stack_headroom", f"{target.pid}/{os.getpid()}")
    checks.true("a thread that is not there", missing.status == 2 and "there is no thread" in missing.err, missing.err)
    if IS_ROOT:
        denied = call("stack_headroom", target.pid, user=NOBODY)
        checks.true("another's process: denied, and it says so", denied.status == 2 and "denied" in denied.err and not denied.out, denied.err)
        with Child(user=NOBODY) as own:
            mine = call("stack_headroom", own.pid, user=NOBODY)
            checks.true("one's own without privilege", mine.status == 0 and "RLIMIT_STACK" in mine.text, mine.err)
    else:
        checks.skip("stack_headroom of the unprivileged", "only root can become nobody")
    text = call("stack_headroom", target.pid).text
    checks.true("a line for each", text.count("kind-1") == 4 and "reserved" in text, text)
finally:
    target.stdin.close()
    target.wait()
leaderless = subprocess.Popen([deep.parent / "odd", "leaderless"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    checks.equal("the first thread has exited", leaderless.stdout.readline(), "ready\n")
    wait_until_blocked(leaderless.pid)
    left = call("stack_headroom", leaderless.pid, "--json")
    checks.equal("the one that lives is well", (left.status, left.json["tgid"], [(t["tid"] != leaderless.pid, t["on_own_stack"], t["limited_by"])
                                                                                 for t in left.json["threads"]]),
                 (0, leaderless.pid, [(True, True, "mapping")]))
finally:
    leaderless.stdin.close()
    leaderless.wait()
with Child("named_thread(b'\\x1b]0;x\\x07')\nready()") as child:
    out = call("stack_headroom", child.pid).out
    checks.true("hostile names are escaped", rb"\x1b]0;x\x07" in out and b"\x1b" not in out, out)
kernel_thread = call("stack_headroom", 2)
checks.true("a kernel thread", kernel_thread.status == 2 and kernel_thread.err and not kernel_thread.out, kernel_thread.err)
zombie = subprocess.Popen(["true"])
os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
ended = call("stack_headroom", zombie.pid)
checks.true("a zombie", ended.status == 2 and "zombie" in ended.err, ended.err)
zombie.wait()
gone = call("stack_headroom", target.pid)
checks.true("a process that has gone: no word on its health", gone.status == 2 and "there is no process" in gone.err, gone.err)
checks.close()
