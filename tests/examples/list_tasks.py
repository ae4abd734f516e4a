#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""list_tasks: what it says of this machine's tasks and of recorded ones."""

import fcntl
import os
import pwd
import re
import shutil
import struct
import subprocess
import termios

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, command, made_tree, recorded, stat_line

checks = Checks()


def stat_fields(tgid, tid):
    """From the third on; nothing if the thread has gone."""
    try:
        with open(f"/proc/{tgid}/task/{tid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].split()
    except OSError:
        return None


check_usage(checks, "list_tasks")
for wrong in (["--sort", "size"], ["--tree", "--count"], ["--user", "no such user"], ["surplus"]):
    checks.equal(f"usage: {wrong}", call("list_tasks", *wrong).status, 2)

# Names that have broken other readers come back byte for byte, and do nothing to a terminal.
NAMES = {b"a) R 1 (b": "a) R 1 (b", b"new\nline": "new\nline", b"\xff\xfe": {"bytes": "fffe"}, b"": "",
         b"\x1b]0;x\x07": "\x1b]0;x\x07", b"back\\slash": "back\\slash", "žluťoučký".encode(): "žluťoučký"}
ESCAPED = [r"a) R 1 (b", r"new\x0aline", r"\xff\xfe", "", r"\x1b]0;x\x07", r"back\\slash", "žluťoučký"]
with Child(f"for raw in {list(NAMES)!r}: named_thread(raw)\nname(b'specimen')\nready()") as child:
    every = call("list_tasks", "-L", "--json").json
    mine = [row for row in every if row["tgid"] == child.pid]
    leader = next(row for row in mine if row["tid"] == child.pid)
    checks.equal("json: names", sorted(map(repr, (row["comm"] for row in mine if row is not leader))),
                 sorted(map(repr, NAMES.values())))
    checks.equal("json: a process", leader,
                 {"tgid": child.pid, "tid": child.pid, "comm": "specimen", "state": "S", "kernel_thread": False,
                  "ppid": os.getpid(), "ruid": os.getuid(), "euid": os.geteuid(), "threads": len(NAMES) + 1})
    checks.equal("json: threads are those of the task directory", {row["tid"] for row in mine},
                 set(map(int, os.listdir(f"/proc/{child.pid}/task"))))
    for row in every:
        fields = stat_fields(row["tgid"], row["tid"])
        if fields and row["kernel_thread"] != (int(fields[6]) & 0x200000 != 0):
            checks.check("json: kernel threads are known", f"{row} is not")
    checks.true("json: all threads of this machine", len(every) >= len(NAMES) + 2)

    table = call("list_tasks", "-L", "--name", "")
    rows = [line for line in table.text.splitlines() if re.match(rf" *{child.pid} ", line)]
    checks.equal("table: one line for each thread", len(rows), len(NAMES) + 1)
    checks.equal("table: names are escaped", sorted("".join(row.split(None, 7)[7:]) for row in rows),
                 sorted([*ESCAPED, "specimen"]))
    checks.true("table: nothing that acts on a terminal",
                not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", table.out))
    checks.equal("table: a row", re.split(r" +", next(r for r in rows if r.endswith("specimen")).strip()),
                 [str(child.pid), str(child.pid), "S", "user", str(os.getuid()), str(os.geteuid()), str(len(NAMES) + 1),
                  "specimen"])
    by_name = call("list_tasks", "-L", "--name", "new\nli", "--json").json
    checks.true("--name filters by a part of the name",
                {"new\nline"} == {row["comm"] for row in by_name} and child.pid in {row["tgid"] for row in by_name})
    processes = call("list_tasks", "--json").json
    checks.true("processes: one row each",
                len({row["tgid"] for row in processes}) == len(processes)
                and all(row["tgid"] == row["tid"] for row in processes))

    tree = call("list_tasks", "--tree").text.splitlines()
    place = {int(line.split()[0]): number for number, line in enumerate(tree[1:], 1)}
    own, parent = tree[place[child.pid]], tree[place[os.getpid()]]
    checks.true("--tree: a child stands below its parent", place[child.pid] > place[os.getpid()], tree)
    step = parent.index(r"\_") + 2 if r"\_" in parent else parent.index(parent.split(None, 7)[7])
    checks.equal("--tree: one step deeper", own.index(r"\_"), step)
    threaded = call("list_tasks", "--tree", "-L", "--name", "specimen").text
    checks.true("--tree -L: works on what a filter leaves", "specimen" in threaded, threaded)

# Who was there before and after must be listed.
before = set(filter(str.isdigit, os.listdir("/proc")))
listed = {str(row["tgid"]) for row in call("list_tasks", "--json").json}
in_tree = {line.split()[0] for line in call("list_tasks", "--tree").text.splitlines()[1:]}
after = set(filter(str.isdigit, os.listdir("/proc")))
of_tree = call("list_tasks", "--tree", "--json", "--root", recorded("x86_64")).json
place = {row["tgid"]: number for number, row in enumerate(of_tree)}
checks.true("--tree --json: parents stand before their children",
            all(place[row["ppid"]] < place[row["tgid"]] for row in of_tree if row["ppid"] in place) and len(of_tree) > 10)
checks.equal("nobody is missing", (before & after) - listed, set())
checks.equal("--tree: nobody is missing", (before & after) - in_tree, set())

for key in ("tgid", "tid", "name", "comm", "state", "kernel_thread", "ppid", "ruid", "euid"):
    column = {"name": "comm"}.get(key, key)
    values = [row[column] for row in call("list_tasks", "--json", "--root", recorded("x86_64"), "--sort", key).json]
    encoded = [bytes.fromhex(v["bytes"]) if isinstance(v, dict) else v.encode() if isinstance(v, str) else v for v in values]
    checks.equal(f"--sort {key}", encoded, sorted(encoded))
threads = [row["threads"] for row in call("list_tasks", "--json", "--root", recorded("x86_64"), "--sort", "threads").json]
checks.equal("--sort threads: the most first", threads, sorted(threads, reverse=True))

if IS_ROOT and shutil.which("setpriv"):
    with Child(user=NOBODY) as child:
        for user in ("65534", pwd.getpwuid(65534).pw_name):
            rows = call("list_tasks", "--json", "--user", user).json
            checks.true(f"--user {user}",
                        child.pid in {row["tgid"] for row in rows} and all(65534 in (row["ruid"], row["euid"]) for row in rows),
                        rows)
    as_nobody = call("list_tasks", "-L", "--json", user=NOBODY)
    checks.true("an ordinary user sees all",
                as_nobody.status == 0 and {1, os.getpid()} <= {row["tgid"] for row in as_nobody.json}, as_nobody.err)
else:
    checks.skip("list_tasks for other users", "only root can become nobody")

# Recorded machines, whose tasks can be counted by other means.
for architecture in ("x86_64", "aarch64"):
    root = recorded(architecture)
    stats = [path.read_bytes().rpartition(b") ")[2].split() for path in root.glob("[0-9]*/task/[0-9]*/stat")]
    kernel = [int(fields[6]) & 0x200000 != 0 for fields in stats]
    dead = [fields[0] in b"ZX" for fields in stats]
    wanted = {"processes": len(list(root.glob("[0-9]*"))), "threads": len(stats), "kernel_threads": sum(kernel),
              "user_threads": len(stats) - sum(kernel),
              "user_mode_stacks": sum(not k and not d for k, d in zip(kernel, dead)), "kernel_mode_stacks": dead.count(False)}
    counted = call("list_tasks", "--count", "--json", "--root", root)
    checks.equal(f"{architecture}: --count", (counted.status, counted.json), (0, wanted))
    checks.true(f"{architecture}: has a zombie to count right", wanted["kernel_mode_stacks"] < wanted["threads"])
    printed = call("list_tasks", "--count", "--root", root).text
    checks.equal(f"{architecture}: --count in words", list(map(int, re.findall(r"\d+", printed))), list(wanted.values()))

# A worker of io_uring is a user thread that has no user stack.
STATUS = b"Uid:\t1\t2\t1\t1\nThreads:\t2\n"
made = made_tree({"5/stat": stat_line(5), "5/status": STATUS, "5/task/5/stat": stat_line(5), "5/task/5/status": STATUS,
                  "5/task/6/stat": stat_line(6, b"iou-wrk-5", f9=0x10), "5/task/6/status": STATUS})
checks.equal("--count knows workers", call("list_tasks", "--count", "--json", "--root", made).json,
             {"processes": 1, "threads": 2, "kernel_threads": 0, "user_threads": 2, "user_mode_stacks": 1,
              "kernel_mode_stacks": 2})

# What cannot be read is told, and the rest is there.
made = made_tree({"5/stat": b"5 (cut) S 1 1", "5/status": b"Uid:\t1\t2\t1\t1\nThreads:\t1\n",
                  "7/stat": stat_line(7, b"well", f4=5), "7/status": b"Uid:\t3\t4\t3\t3\nThreads:\t1\n"})
broken = call("list_tasks", "--json", "--root", made)
checks.equal("a broken stat: status and the others", (broken.status, [row for row in broken.json if row["tgid"] == 7]),
             (1, [{"tgid": 7, "tid": 7, "comm": "well", "state": "S", "kernel_thread": False, "ppid": 5, "ruid": 3, "euid": 4,
                "threads": 1}]))
row = next(row for row in broken.json if row["tgid"] == 5)
checks.true("a broken stat: its row keeps ids and reason",
            row["error"]["code"] == "truncated" and row["ruid"] == 1 and "comm" not in row, row)
checks.true("a broken stat: complained of", "stat of process 5 is truncated" in broken.err, broken.err)
checks.true("a broken stat: in the table", "not readable" in call("list_tasks", "--root", made).text)
checks.equal("a broken stat: in the tree", call("list_tasks", "--tree", "--root", made).text.splitlines()[2].split()[-1],
             "well")
nowhere = call("list_tasks", "--root", "/nonexistent")
checks.true("no such root", nowhere.status == 1 and "ENOENT" in nowhere.err, nowhere.err)

# Parents in a ring, as reused numbers may make them, end neither the program nor the list.
ring = made_tree({f"{me}/{name}": text for me, parent in ((5, 7), (7, 5), (9, 9))
                  for name, text in (("stat", stat_line(me, f4=parent)), ("status", b"Uid:\t1\t2\t1\t1\nThreads:\t1\n"))})
checks.equal("--tree: a ring",
             sorted(int(line.split()[0]) for line in call("list_tasks", "--tree", "--root", ring).text.splitlines()[1:]),
             [5, 7, 9])


def on_terminal(columns, *arguments):
    """What the program prints to a terminal of that width."""
    controller, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    with subprocess.Popen(command("list_tasks", *arguments), stdin=subprocess.DEVNULL, stdout=terminal, env=environment):
        os.close(terminal)
        printed = b""
        try:
            while piece := os.read(controller, 65536):
                printed += piece
        except OSError:  # EIO: the last one who had it open has gone
            pass
    os.close(controller)
    return printed.decode().splitlines()


wide = made_tree({"5/stat": stat_line(5, "宽宽宽宽宽".encode()), "5/status": b"Uid:\t1\t2\t1\t1\nThreads:\t1\n",
                  "7/stat": stat_line(7, b"a_name_too_long"), "7/status": b"Uid:\t1\t2\t1\t1\nThreads:\t1\n"})
for columns in (20, 47, 48, 80):
    lines = on_terminal(columns, "--root", wide)
    widths = [sum(2 if c == "宽" else 1 for c in line) for line in lines]
    checks.true(f"a terminal of {columns} columns is kept to", len(lines) == 3 and max(widths) <= columns, lines)
    checks.equal(f"a terminal of {columns} columns: names are whole where they fit", "a_name_too_long" in lines[2],
                 columns == 80)
checks.true("a pipe gets whole names", "a_name_too_long" in call("list_tasks", "--root", wide, env={"COLUMNS": "20"}).text)
checks.close()
