#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""user_stacks: text, JSON, merged, folded and as a page; what cannot be seen is said."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, command, wait_until_blocked

checks = Checks()
deep = pathlib.Path(os.environ.get("TASKPEEK_TARGETS", "build/g++/tests/targets")) / "deep-O2"

leaderless = subprocess.Popen([deep.parent / "odd", "leaderless"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
try:
    checks.equal("the first thread has exited", leaderless.stdout.readline(), "ready\n")
    wait_until_blocked(leaderless.pid)
    first, other = call("user_stacks", leaderless.pid, "--json").json["threads"]
    checks.true("it has no stack any more", (first["tid"], first["state"], first["frames"]) == (leaderless.pid, "Z", []) and "zombie" in first["note"], first)
    calls = [frame["symbol"] for frame in other["frames"]]
    checks.true("the other one lives, and is seen", other["end"] == "complete" and any("outlive_leader" in name for name in calls if name), other)
finally:
    leaderless.stdin.close()
    leaderless.wait()

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
    for options in (["--stop"], ["--stop", "--together"]):
        for _ in range(50):  # a thread that was stopped before may be on its way back
            kernel = call("user_stacks", target.pid, "--kernel", *options).text
            if (found := kernel.count("hidden: ") or kernel.count("#0   [kernel] ")) == 11:
                break
            time.sleep(0.05)
        checks.equal(f"kernel frames of each thread, or the rule: {options}", found, 11)
    kernel = call("user_stacks", f"{target.pid}/{target.pid}", "--kernel").text
    checks.true("the system call stands between", re.search(r"^    read\(0x0, ", kernel, re.M) is not None, kernel)
    lines = call("user_stacks", f"{target.pid}/{target.pid}", "--inlines")
    if "not there" in lines.err:
        checks.equal("--inlines without libdw is refused", (lines.status, lines.out), (2, b""))
    else:
        checks.true("--inlines: source lines", re.search(r"in main\+0x[0-9a-f]+ at \S*deep\.cpp:\d+ from ", lines.text), lines.text)
        inlined = subprocess.Popen([deep.parent / "inlined"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        checks.equal("a target with inlined calls", inlined.stdout.readline(), "ready\n")
        deadline = time.monotonic() + 20  # it has said so and may not wait yet
        while (told := call("user_stacks", inlined.pid, "--inlines", "--json").json["threads"][0])["end"] != "complete":
            checks.true("the target waits at last", time.monotonic() < deadline, told)
            time.sleep(0.05)
        own = [frame for frame in told["frames"] if frame.get("file", "").endswith("/inlined.cpp")]
        checks.equal("--inlines: whole chain", [frame["symbol"].split("(")[0].split("::")[-1] for frame in own],
                     ["innermost", "middle", "outer_function", "main"])
        checks.equal("--inlines: which are inlined", [frame.get("inlined", False) for frame in own], [True, True, False, False])
        checks.true("--inlines: one pc, lines, no offset of what is inlined", len({frame["pc"] for frame in own}) == 2
                    and all(frame["line"] > 0 for frame in own) and [frame["offset"] is None for frame in own] == [True, True, False, False], own)
        folded = call("user_stacks", inlined.pid, "--inlines", "--folded").text
        checks.true("--inlines: folded", re.search(r";outer_function\(\);\S*middle\S*_\[i\];\S*innermost\S*_\[i\];", folded), folded)
        inlined.stdin.close()
        inlined.wait()
    for threads in (call("user_stacks", target.pid, "--json").json, call("user_stacks", target.pid, "--json", "--samples", 2, "--interval", 1).json):
        checks.equal("the shape of JSON", [set(threads), threads["tgid"]], [{"tgid", "threads"}, target.pid])
        for thread in threads["threads"]:
            checks.true("the shape of a thread", {"tid", "comm", "state", "end", "frames"} <= set(thread), thread)
            for frame in thread["frames"]:
                if not {"pc", "symbol", "offset", "module", "kind", "quality"} <= set(frame) or not re.fullmatch("0x[0-9a-f]+", frame["pc"]):
                    checks.check("the shape of a frame", str(frame))
    if IS_ROOT:
        told = [frame["pc"] for thread in call("user_stacks", target.pid, "--kernel", "--json").json["threads"] for frame in thread["frames"]
                if frame["kind"] == "kernel"]
        checks.true("an address that the kernel does not tell is null", told and "0x0" not in told, told[:3])
    missing = call("user_stacks", f"{target.pid}/{os.getpid()}")
    checks.true("a thread that is not there", missing.status == 1 and "there is no thread" in missing.err and not missing.out, missing.err)
    for wrong in (["0"], ["x"], [f"{target.pid}/"], [target.pid, "--samples", 0], [target.pid, "--interval", "x"], [target.pid, "--json", "--folded"]):
        checks.equal(f"usage: {wrong[-1]}", call("user_stacks", *wrong).status, 2)
    unwritable = call("user_stacks", target.pid, "--flamegraph", "/nowhere/page.html")
    checks.true("a page that cannot be written", unwritable.status == 1 and "could not be written" in unwritable.err, unwritable.err)
    if IS_ROOT:
        denied = call("user_stacks", target.pid, user=NOBODY)
        checks.true("another's process: denied, and it says so", denied.status == 1 and "denied" in denied.err and not denied.out, denied.err)
        error = call("user_stacks", target.pid, "--json", user=NOBODY).json
        checks.equal("the same as JSON", (error["threads"], error["error"]["code"]), ([], "denied"))
        with Child(user=NOBODY) as own:
            mine = call("user_stacks", own.pid, "--kernel", user=NOBODY)
            checks.true("one's own without privilege; kernel frames are hidden by a rule", mine.status == 0 and "hidden: " in mine.text
                        and "truncated" not in mine.text, mine.text)
        rich = call("user_stacks", 2, "--kernel")
        checks.true("a kernel thread", rich.status == 0 and "kernel_thread" in rich.text and ("[kernel] " in rich.text or "hidden" in rich.text), rich)
    else:
        checks.skip("user_stacks of the unprivileged", "only root can become nobody")
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
    out = call("user_stacks", child.pid, "--json").out
    checks.true("JSON: hostile names stay what they are, escaped", "</script>;\x1b]0;x" in {t["comm"] for t in json.loads(out)["threads"]}
                and b"\x1b" not in out, out)

# As a profile: who runs counts too, and widths add up to the time that was looked at.
busy = subprocess.Popen([deep, "3", "1", "spin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
busy.stdout.readline()
folded = call("user_stacks", busy.pid, "--samples", 10, "--interval", 5, "--folded").text.splitlines()
checks.equal("a profile: five threads, ten times", sum(int(line.rsplit(" ", 1)[1]) for line in folded), 50)
running = [line for line in folded if re.fullmatch(r"deep-O2;\[running\] \d+", line)]
checks.true("a profile: the thread that runs is counted as running", len(running) == 1 and int(running[0].rsplit(" ", 1)[1]) >= 5, folded)
stopped = call("user_stacks", f"{busy.pid}/{busy.pid}", "--stop", "--json").json["threads"][0]
checks.true("stopped briefly, a running thread has a stack", stopped["end"] == "complete" and stopped["pause_ns"] > 0
            and "main" in [frame["symbol"] for frame in stopped["frames"]], stopped)
told = call("user_stacks", f"{busy.pid}/{busy.pid}", "--json").json["threads"][0]
checks.equal("not stopped, it says that it runs", (told["outcome"], told["end"], told["frames"]), ("running", "not_captured", []))
busy.stdin.close()
busy.wait()

# A JIT's function may be called anything; so may a symbol.
with Child(r"""
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(b"\x48\xb8" + ctypes.cast(libc.pause, ctypes.c_void_p).value.to_bytes(8, "little") + b"\x48\x83\xec\x08\xff\xd0\x48\x83\xc4\x08\xc3")
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
open(f"/tmp/perf-{os.getpid()}.map", "wb").write(b"%x 100 </script>;\x1b]0;x\xff\"\n" % at)
threading.Thread(target=ctypes.CFUNCTYPE(None)(at), daemon=True).start()
ready()
""") as jit:
    checks.true("hostile symbols: text", rb"\x1b]0;x\xff" in (out := call("user_stacks", jit.pid).out) and b"\x1b" not in out, out)
    out = call("user_stacks", jit.pid, "--json").out
    checks.true("hostile symbols: JSON", b"\x1b" not in out and b"\xff" not in out and json.loads(out), out)
    folded = call("user_stacks", jit.pid, "--folded").text
    checks.true("hostile symbols: folded", r";</script>\x3b\x1b]0\x3bx\xff" in folded, folded)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "page.html"
        call("user_stacks", jit.pid, "--flamegraph", page)
        checks.equal("hostile symbols: the page", page.read_text(encoding="utf-8").count("</script>"), 2)
    os.unlink(f"/tmp/perf-{jit.pid}.map")

# It ends while it is looked at: said, whatever has been seen by then.
dying = subprocess.Popen([deep, "4", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
dying.stdout.readline()
looker = subprocess.Popen([*map(str, command("user_stacks", dying.pid, "--samples", 100000, "--interval", 1, "--folded"))],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
time.sleep(0.3)
dying.kill()
out, err = looker.communicate(timeout=60)
checks.true("it died midway: what was seen is told, and that it is over", looker.returncode == 1 and out.count(";") > 5 and err.count("\n") == 1, (out, err))
zombie = call("user_stacks", dying.pid)
checks.true("a zombie", zombie.status == 1 and "zombie" in zombie.err, zombie.err)
dying.wait()
gone = call("user_stacks", child.pid)
checks.true("a process that has gone", gone.status == 1 and "there is no process" in gone.err, gone.err)
checks.close()
