#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""kernel_stacks: frames as the kernel prints them, and each reason why there are none."""

import os
import re
import shutil

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, made_tree, recorded, stat_line

checks = Checks()


def spelled(frame):
    """A frame of the JSON as the kernel prints it behind the address."""
    if "symbol" not in frame:
        return f"{int(frame['pc'], 16):#x}"
    module = f" [{frame['module']}]" if "module" in frame else ""
    return f"{'' if frame['reliable'] else '? '}{frame['symbol']}+{frame['offset']:#x}/{frame['size']:#x}{module}"


def printed(text):
    """The lines of a `stack` without their addresses."""
    return [re.sub(r"^\[<[0-9a-f]+>\] ", "", line) for line in text.splitlines()]


def may_read_stacks():
    try:
        with open(f"/proc/{child.pid}/stack", encoding="ascii") as file:
            return bool(file.read())
    except OSError:
        return False


with Child("named_thread(b'\\x1b]0;x\\x07')\nready()") as child:
    if may_read_stacks():
        check_usage(checks, "kernel_stacks", child.pid)
        done = call("kernel_stacks", child.pid, "--json")
        threads = {thread["tid"]: thread for thread in done.json["threads"]}
        checks.equal("all threads are shown", (done.status, set(threads)),
                     (0, set(map(int, os.listdir(f"/proc/{child.pid}/task")))))
        for tid, thread in threads.items():
            with open(f"/proc/{child.pid}/task/{tid}/stack", encoding="ascii") as file:
                checks.equal("a waiting thread's frames", [spelled(frame) for frame in thread["frames"]], printed(file.read()))
        text = call("kernel_stacks", child.pid)
        checks.true("hostile names are escaped", rb"\x1b]0;x\x07" in text.out and b"\x1b" not in text.out, text.out)
        one = call("kernel_stacks", f"{child.pid}/{max(threads)}").text
        checks.true("one thread alone", one.startswith(f"thread {max(threads)} ") and one.count("thread ") == 1, one)
    else:
        checks.skip("live kernel stacks", "reading them needs CAP_SYS_ADMIN")
    if IS_ROOT and shutil.which("setpriv"):
        for user_of_child, whose in ((NOBODY, "one's own"), ((), "another's")):
            with Child(user=user_of_child) as other:
                denied = call("kernel_stacks", other.pid, user=NOBODY)
                checks.true(f"denied: {whose}",
                            denied.status == 1 and "denied" in denied.text and "CAP_SYS_ADMIN" in denied.text, denied.out)
                error = call("kernel_stacks", "--json", other.pid, user=NOBODY).json["threads"][0]["error"]
                checks.equal(f"denied: {whose}, as JSON", (error["code"], error["errno"]), ("denied", 13))
    else:
        checks.skip("kernel stacks for the unprivileged", "only root can become nobody")
    vanished = call("kernel_stacks", f"{child.pid}/{os.getpid()}")
    checks.true("a thread that is not there", vanished.status == 1 and "there is no thread" in vanished.err, vanished.err)

gone = call("kernel_stacks", child.pid)
checks.true("a process that has gone", gone.status == 1 and "there is no process" in gone.err and gone.out == b"", gone.err)
gone = call("kernel_stacks", child.pid, "--json")
checks.equal("a process that has gone, as JSON", (gone.status, gone.json["error"]["code"]), (1, "vanished"))
for wrong in ("0", "x", "1/", "/1", "1/2/3", "-5", "1/x"):
    checks.equal(f"usage: {wrong}", call("kernel_stacks", "--", wrong).status, 2)

# Spellings and states that cannot be had to order.
STACK = (b"[<0>] ? late+0x1/0x2\n[<0>] ext4_file_read_iter+0x10/0x20 [ext4]\n[<ffffffff81000000>] f.constprop.0+0x3/0x400\n"
         b"[<0>] 0xffffffffc0001234\n[<ffffffffffffffff>] 0xffffffffffffffff\n")
tree = made_tree({"5/stat": stat_line(5), "5/task/5/stat": stat_line(5), "5/task/5/stack": STACK,
                  "5/task/6/stat": stat_line(6, b"busy", b"R"), "5/task/6/stack": b"",
                  "5/task/7/stat": stat_line(7, b"dead", b"Z"), "5/task/7/stack": b"",
                  "5/task/8/stat": stat_line(8, b"quick", b"S"), "5/task/8/stack": b"",
                  "5/task/9/stat": stat_line(9, b"odd"), "5/task/9/stack": b"[<0>] f+0x1/\n",
                  "5/task/10/stat": stat_line(10, b"bare")})
made = call("kernel_stacks", "--root", tree, 5, "--json")
threads = {thread["tid"]: thread for thread in made.json["threads"]}
checks.equal("made: frames, without the mark behind the last", [spelled(frame) for frame in threads[5]["frames"]],
             ["? late+0x1/0x2", "ext4_file_read_iter+0x10/0x20 [ext4]", "f.constprop.0+0x3/0x400", "0xffffffffc0001234"])
checks.equal("made: an address that was told", threads[5]["frames"][2]["pc"], "0xffffffff81000000")
checks.equal("made: no frames, and why", [threads[tid]["absence"].split(":")[0] for tid in (6, 7, 8)],
             ["on a CPU", "has exited", "no frames"])
checks.equal("made: errors", {tid: threads[tid]["error"]["code"] for tid in (9, 10)}, {9: "malformed", 10: "unsupported"})
checks.equal("made: exit status", made.status, 1)
text = call("kernel_stacks", "--root", tree, 5).text
for line in (r"^thread 6 busy  R running$", r"^    \(on a CPU", r"^    \(has exited", r"malformed at byte 12",
             r"^  \? late\+0x1/0x2  \(unreliable", r"^    ext4_file_read_iter\+0x10/0x20 \[ext4\]$", r"^    0xffffffffc0001234$"):
    checks.true(f"made: as text, {line}", re.search(line, text, re.M), text)

for architecture in ("x86_64", "aarch64"):
    root = recorded(architecture)
    count = 0
    for stack in sorted(root.glob("[0-9]*/task/[0-9]*/stack")):
        process, thread = stack.parts[-4], stack.parts[-2]
        done = call("kernel_stacks", "--root", root, f"{process}/{thread}", "--json")
        found = [spelled(frame) for frame in done.json["threads"][0]["frames"]]
        count += len(found)
        if done.status or found != printed(stack.read_text()):
            checks.check(f"{architecture}: {process}/{thread}", f"{found} {done.err}")
    checks.true(f"{architecture}: recorded stacks come back as they were", count > 100, count)
checks.close()
