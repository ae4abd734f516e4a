#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""show_limits: what it shows is what getrlimit(2) tells, what it sets is set, and what it may not do it says."""

import re
import resource
import shutil

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage

RESOURCES = {"cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8, "as": 9,
             "locks": 10,
             "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15}
MAX = 2**64 - 2


def told(limits):
    """As prlimit of Python says it: -1 is unlimited, and numbers from 2^63 on come out negative."""
    return {half: "unlimited" if number == -1 else number % 2**64 for half, number in zip(("soft", "hard"), limits)}


checks = Checks()
with Child() as child:
    pid = child.pid
    check_usage(checks, "show_limits", pid)
    checks.true("table: fits 80 columns", max(map(len, call("show_limits", pid).text.splitlines())) <= 80)
    shown = call("show_limits", pid, "--json")
    checks.equal("all limits, in the kernel's order", list(shown.json["limits"]), list(RESOURCES))
    for name, number in RESOURCES.items():
        limit = shown.json["limits"][name]
        checks.equal(f"{name}: as prlimit(2) has it", {half: limit[half] for half in ("soft", "hard")},
                     told(resource.prlimit(pid, number)))

    for wish, name, wanted in [
            ("stack=1M:8M", "stack", (1 << 20, 8 << 20)),
            ("stack=3m:7MiB", "stack", (3 << 20, 7 << 20)),
            ("stack=4M", "stack", (4 << 20, 7 << 20)),
            ("stack=:6M", "stack", (4 << 20, 6 << 20)),
            ("RLIMIT_NOFILE=100:200", "nofile", (100, 200)),
            ("Max open files=99", "nofile", (99, 200)),
            ("NOFILE=98", "nofile", (98, 200)),
            ("max open FILES=99", "nofile", (99, 200)),
            ("fsize=1K:15E", "fsize", (1024, 15 << 60)),
            ("core=0:unlimited", "core", (0, "unlimited")),
            (f"rss=0:{MAX}", "rss", (0, MAX)),
            ("cpu=5400:90000", "cpu", (5400, 90000)),
            ("rttime=1500:3000000", "rttime", (1500, 3000000))]:
        done = call("show_limits", pid, "--set", wish, "--json")
        if done.status == 0:
            checks.equal(f"--set {wish}", tuple(done.json["limits"][name][half] for half in ("soft", "hard")), wanted)
            checks.equal(f"--set {wish}: the kernel agrees", tuple(told(resource.prlimit(pid, RESOURCES[name])).values()),
                         wanted)
        elif not IS_ROOT and "CAP_SYS_RESOURCE" in done.err:
            checks.skip(f"--set {wish}", "only the privileged may raise a hard limit")
        else:
            checks.check(f"--set {wish}", done.err)

    table = call("show_limits", pid).text
    rows = {line.split()[0]: line for line in table.splitlines()}
    checks.equal("table: a row each and a title", len(rows), 1 + len(RESOURCES))
    found = re.search(r"4194304 \(4 MiB\) +6291456 \(6 MiB\) +bytes", rows["stack"])
    checks.true("table: numbers stay exact beside what people read", found, rows["stack"])
    checks.true("table: rounding is marked", "5400 (~1.5 h)" in rows["cpu"] and "90000 (~1.0 d)" in rows["cpu"], rows["cpu"])
    checks.true("table: time", "1500 (~1.5 ms)" in rows["rttime"] and "3000000 (3 s)" in rows["rttime"], rows["rttime"])
    checks.true("table: plain numbers stay plain", re.search(r"^nofile +99 +200 +files", rows["nofile"]), rows["nofile"])

    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for wrong in ("nofile", "nofile=", "nofile=x", "nofile=-1", "nofile=1K", "nofile=1:", "nofile=1:2:3", "files=1", "=1",
                  "stack=1Q", "stack=1KB", "stack=16E",
                  f"stack={2**64 - 1}", f"stack={2**64}", "stack= 1", "\x1b]0;x\x07"):
        done = call("show_limits", pid, "--set", wrong)
        checks.true(f"usage: --set {wrong!r}", done.status == 2 and done.out == b"" and "\x1b" not in done.err,
                    (done.status, done.err))
    checks.equal("usage: nothing was set", resource.prlimit(pid, resource.RLIMIT_NOFILE), before)
    for wrong in ("0", "-1", "x", "1/2", "99999999999", ""):
        checks.equal(f"usage: process {wrong!r}", call("show_limits", "--json", "--", wrong).status, 2)

    above = call("show_limits", pid, "--set", "nofile=500:400")
    checks.true("a soft limit above the hard one",
                above.status == 1 and "nofile: " in above.err and "above the hard" in above.err, above.err)

    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
        beyond = int(file.read()) + 1
    if IS_ROOT:
        refused = call("show_limits", pid, "--set", f"nofile=9:{beyond}")
        checks.true("what nobody may raise", refused.status == 1 and "fs.nr_open" in refused.err, refused.err)

if IS_ROOT and shutil.which("setpriv"):
    with Child("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (50, 60))\nready()", user=NOBODY) as child:
        raised = call("show_limits", child.pid, "--set", "nofile=60:61", user=NOBODY)
        checks.true("a raised hard limit, unprivileged", raised.status == 1 and "CAP_SYS_RESOURCE" in raised.err, raised.err)
        lowered = call("show_limits", child.pid, "--set", "nofile=55:58", "--json", user=NOBODY)
        checks.equal("a lowered one", (lowered.status, lowered.json["limits"]["nofile"]),
                     (0, {"soft": 55, "hard": 58, "units": "files"}))
    with Child() as child:
        foreign = call("show_limits", child.pid, "--json", user=NOBODY)
        checks.equal("another user's process may be looked at", foreign.json, call("show_limits", child.pid, "--json").json)
        foreign = call("show_limits", child.pid, "--set", "nofile=5", user=NOBODY)
        checks.true("but not be set", foreign.status == 1 and "denied" in foreign.err and foreign.out == b"", foreign.err)
else:
    checks.skip("show_limits for the unprivileged", "only root can become nobody")

gone = call("show_limits", child.pid)
checks.true("a process that has gone", gone.status == 1 and "there is no process" in gone.err, gone.err)
checks.close()
