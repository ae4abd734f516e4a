#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The page of show_vas in a headless Chromium, of a process of 10,000 vmas and 100 threads, and of one with hostile names."""

import os
import pathlib
import tempfile

from browser import Browser
from programs import Checks, Child, call

checks = Checks()
browser = Browser(checks)

MANY = """
import mmap
keep = []
for i in range(10000):
    keep.append(mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | (mmap.PROT_WRITE if i % 2 else 0)))
keep.append(mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
for i in range(100): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
ready()
"""
HOSTILE = """
import mmap
keep = []
for raw in (b"\\x1b]0;x\\a", b"<script>alert(1)<", b"=1+1", b'"', b"new\\nline", b"\\xff\\xfe", b"<img src=x onerror=alert(2)>"):
    path = os.fsencode(os.environ["FOLDER"]) + b"/" + raw
    with open(path, "w+b") as f:
        f.truncate(4096)
        keep.append(mmap.mmap(f.fileno(), 4096))
name(b"</script><b>")
ready()
"""


def page_of(pid, name, *options):
    path = pathlib.Path(folder.name) / name
    done = call("show_vas", pid, "--html", path, *options)
    checks.equal(f"the page of {name} is written", (done.status, done.err), (0, ""))
    checks.true(f"the page of {name} is 3 MiB at most", path.stat().st_size <= 3 << 20, path.stat().st_size)
    return path


with tempfile.TemporaryDirectory() as place:
    folder = tempfile.TemporaryDirectory(dir=place)
    with Child(MANY) as child:
        browser.check("show_vas", page_of(child.pid, "many.html", "--smaps"), "many")
    with Child(HOSTILE, env={**os.environ, "FOLDER": folder.name}) as child:
        browser.check("show_vas", page_of(child.pid, "hostile.html", "--user"), "hostile")
checks.close()
