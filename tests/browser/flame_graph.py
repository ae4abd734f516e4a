#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The flame graph of user_stacks in a headless Chromium: of a target whose stacks are known, and of one with hostile names."""

import pathlib
import subprocess
import tempfile

from browser import Browser, BUILD
from programs import Checks, Child, call

checks = Checks()
browser = Browser(checks)
deep = BUILD / "tests" / "targets" / "deep-O2"

with tempfile.TemporaryDirectory() as folder:
    page = pathlib.Path(folder) / "page.html"
    target = subprocess.Popen([deep, "10", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        checks.equal("the target is ready", target.stdout.readline(), "ready\n")
        done = call("user_stacks", target.pid, "--samples", 3, "--interval", 20, "--flamegraph", page)
        checks.equal("the page is written", (done.status, done.err), (0, ""))
        for what in ("deep", "dark"):
            browser.check("flame_graph", page, what)
    finally:
        target.stdin.close()
        target.wait()
    with Child("named_thread(b'</script><b>x')\nnamed_thread(b'<img src=x>')\nready()") as child:
        call("user_stacks", child.pid, "--flamegraph", page)
        browser.check("flame_graph", page, "hostile")
checks.close()
