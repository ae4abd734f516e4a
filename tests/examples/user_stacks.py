#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""user_stacks: text, JSON, merged, folded and as a page; what cannot be seen is said."""

import os
import pathlib
import re
import subprocess
import tempfile

from programs import Checks, Child, call, check_usage

checks = Checks()
deep = pathlib.Path(os.environ.get("TASKPEEK_TARGETS", "build/g++/tests/targets")) / "deep-O2"

target = subprocess.Popen([deep, "10", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    checks.equal("the target is ready", target.stdout.readline(), "ready\n")
    check_usage(checks, "user_stacks", target.pid)
    for options in ([], ["--stop"], ["--stop", "--together"]):
        done = call("user_stacks", target.pid, "--json", *options)
        threads = done.json["threads"]
        label = " ".join(options) or "no_stop"
        checks.equal(f"{label}: all threads, all complete", (done.status, len(threads), {t["end"] for t in threads}), (0, 11, {"complete"}))
        for thread in threads:
            names = [frame["symbol"] for frame in thread["frames"]]
            ends = names[-1] == "_start" if thread["tid"] == target.pid else "clone" in names[-1]
            checks.true(f"{label}: from read to the root", "read" in names[0] and ends, names)
            checks.equal(f"{label}: quality and kind", {(f["kind"], f["quality"]) for f in thread["frames"]}, {("user", "exact")})
    one = call("user_stacks", f"{target.pid}/{target.pid}").text
    checks.true("one thread alone", one.startswith(f"Thread {target.pid} ") and one.count("Thread ") == 1 and " in main+0x" in one, one)
    merged = call("user_stacks", target.pid, "--merge").text
    checks.true("identical stacks are put together", "(10 threads)" in merged and merged.count("\nThread ") == 1, merged)
    folded = call("user_stacks", target.pid, "--folded").text.splitlines()
    checks.true("folded: outermost first, and a count", any(re.fullmatch(r"kind-1;.*start_thread;.*deep_through_library;.* 10", l) for l in folded), folded)
    kernel = call("user_stacks", f"{target.pid}/{target.pid}", "--kernel").text
    checks.true("kernel frames, or the rule that hides them", "[kernel] " in kernel or "hidden: " in kernel, kernel)
    checks.true("the system call stands between", re.search(r"^    read\(0x0, ", kernel, re.M) is not None, kernel)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.html"
        done = call("user_stacks", target.pid, "--samples", 3, "--interval", 5, "--flamegraph", page)
        html = page.read_text(encoding="utf-8")
        checks.true("a page of its own", done.status == 0 and html.startswith("<!DOCTYPE html>") and "http" not in html and '"w":33' in html, html[-300:])
    checks.equal("nobody was disturbed", target.poll(), None)
finally:
    target.stdin.close()
    target.wait()

with Child("named_thread(b'</script>;\\x1b]0;x')\nready()") as child:
    out = call("user_stacks", child.pid).out
    checks.true("hostile names are escaped", rb"\x1b]0;x" in out and b"\x1b" not in out, out)
    folded = call("user_stacks", child.pid, "--folded").text
    checks.true("folded: a name's ; divides nothing", r"\x3b" in folded, folded)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.html"
        call("user_stacks", child.pid, "--flamegraph", page)
        html = page.read_text(encoding="utf-8")
        checks.equal("a name cannot end the page's script", html.count("</script>"), 2)
gone = call("user_stacks", child.pid)
checks.true("a process that has gone", gone.status == 1 and "there is no process" in gone.err, gone.err)
checks.close()
