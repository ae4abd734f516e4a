#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""proc_json: every file of recorded and of live tasks, against decoders written here a second time."""

import json
import os
import re
import shutil
import struct
import subprocess
import time

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, command, made_tree, recorded, stat_line

STAT = """pid comm state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority
nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode startstack kstkesp kstkeip signal blocked sigignore
sigcatch wchan nswap cnswap exit_signal processor rt_priority policy delayacct_blkio_ticks guest_time cguest_time start_data
end_data start_brk arg_start arg_end env_start env_end exit_code""".split()
ADDRESSES = set(STAT[25:30] + STAT[44:51])
AUXV = {3: "AT_PHDR", 4: "AT_PHENT", 5: "AT_PHNUM", 6: "AT_PAGESZ", 7: "AT_BASE", 8: "AT_FLAGS", 9: "AT_ENTRY", 11: "AT_UID",
        12: "AT_EUID", 13: "AT_GID", 14: "AT_EGID", 15: "AT_PLATFORM", 16: "AT_HWCAP", 17: "AT_CLKTCK", 23: "AT_SECURE",
        24: "AT_BASE_PLATFORM", 25: "AT_RANDOM", 26: "AT_HWCAP2", 27: "AT_RSEQ_FEATURE_SIZE", 28: "AT_RSEQ_ALIGN",
        31: "AT_EXECFN", 33: "AT_SYSINFO_EHDR", 51: "AT_MINSIGSTKSZ"}
AUXV_ADDRESSES = {"AT_PHDR", "AT_BASE", "AT_ENTRY", "AT_PLATFORM", "AT_BASE_PLATFORM", "AT_RANDOM", "AT_EXECFN",
                  "AT_SYSINFO_EHDR"}


def text(raw):
    """Bytes as JSON has them."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"bytes": raw.hex()}


def stat(raw):
    pid, rest = raw.split(b" (", 1)
    comm, rest = rest.rsplit(b") ", 1)
    values = [pid, comm, *rest.split()]
    out = {}
    for key, value in zip(STAT, values):
        out[key] = text(value) if key in ("comm", "state") else hex(int(value)) if key in ADDRESSES else int(value)
    if out["rsslim"] == 2**64 - 1:
        out["rsslim"] = "unlimited"
    return out


def status(raw):
    out = {}
    for line in raw.splitlines():
        key, value = line.split(b":", 1)
        key, value = key.decode(), value.removeprefix(b"\t")
        if re.match("Name|Umask|State|untag|Sig(?!Q)|Shd|Cap|Cpus|Mems|Spec|x86", key):
            out[key] = text(value)
        elif re.match("[UG]id|Groups|NS", key):
            out[key] = list(map(int, value.split()))
        elif key == "SigQ":
            out[key] = list(map(int, value.split(b"/")))
        else:
            out[key] = int(value.removesuffix(b" kB"))
    return out


def vma(line):
    fields = line.split(b" ", 5)
    addresses, perms, offset, device, inode = fields[:5]
    head = b" ".join(fields[:5])
    start, end = addresses.split(b"-")
    path = text(line[max(73, len(head) + 2):])
    return {"start": hex(int(start, 16)), "end": hex(int(end, 16)), "perms": perms.decode(), "offset": int(offset, 16),
            "dev": device.decode(), "inode": int(inode), "path": path}


def smaps(raw):
    out = []
    for line in raw.split(b"\n")[:-1]:
        if re.match(rb"[0-9a-f]+-", line):
            out.append(vma(line))
        elif line.startswith(b"VmFlags:"):
            out[-1]["VmFlags"] = line.decode().split()[1:]
        else:
            key, value = line.split(b":", 1)
            out[-1][key.decode()] = int(value.removesuffix(b" kB"))
    return out


def limits(raw):
    out = {}
    for line in raw.decode().splitlines()[1:]:
        key, soft, hard, units = (part.strip() for part in (line[:26], line[26:47], line[47:68], line[68:]))
        soft, hard = (value if value == "unlimited" else int(value) for value in (soft, hard))
        out[key] = {"soft": soft, "hard": hard, "units": units}
    return out


def keyed(raw):
    return {key: int(value) for key, value in (line.split(": ") for line in raw.decode().splitlines())}


def auxv(raw):
    out = {}
    for key, value in struct.iter_unpack("QQ", raw):
        if key == 0:
            break
        name = AUXV.get(key, str(key))
        out[name] = hex(value) if name in AUXV_ADDRESSES else value
    return out


def strings(raw):
    return [text(part) for part in raw.split(b"\0")[:-1 if raw.endswith(b"\0") else None]] if raw else []


def stack(raw):
    out = []
    for line in raw.decode().splitlines():
        symbol, offset, size, _, module = re.fullmatch(r"\[<0>\] ([^+]+)\+(0x\w+)/(0x\w+)( \[(.*)\])?", line).groups()
        frame = {"symbol": symbol, "offset": int(offset, 16), "size": int(size, 16)}
        out.append(frame | ({"module": module} if module else {}) | {"reliable": True})
    return out


def syscall(raw):
    words = raw.decode().split()
    if words == ["running"]:
        return "running"
    if all(word in ("0", "-1", "0x0") for word in words):
        return {}
    if words[0] == "-1":
        return {"sp": words[1], "pc": words[2]}
    return {"nr": int(words[0]), "args": words[1:7], "sp": words[7], "pc": words[8]}


def cgroup(raw):
    rows = (line.split(b":", 2) for line in raw.splitlines())
    return [{"hierarchy_id": int(number), "controllers": text(names), "path": text(path)} for number, names, path in rows]


def fdinfo(raw):
    out = {}
    for line in raw.decode().splitlines():
        key, value = line.split(":", 1)
        if key in ("pos", "mnt_id", "ino", "eventfd-id"):
            out[key] = int(value)
        elif key == "flags":
            out[key] = value.strip()
        elif key == "eventfd-count":
            out[key] = int(value, 16)
        elif key == "tfd":
            row = dict(word.split(":") for word in re.sub(r":\s*", ":", line).split())
            row |= {"data": hex(int(row["data"], 16)), "tfd": int(row["tfd"]), "pos": int(row["pos"])}
            row |= {field: int(row[field], 16) for field in ("ino", "sdev")}
            out.setdefault(key, []).append(row)
    return out


def numbers(*keys):
    return lambda raw: dict(zip(keys, map(int, raw.split())))


def schedstat(raw):
    return {} if raw == b"0 0 0\n" else numbers("sum_exec_runtime", "run_delay", "pcount")(raw)


DECODERS = {
    "auxv": auxv,
    "cgroup": cgroup,
    "cmdline": strings,
    "comm": lambda raw: text(raw[:-1]),
    "environ": strings,
    "io": keyed,
    "limits": limits,
    "maps": lambda raw: [vma(line) for line in raw.split(b"\n")[:-1]],
    "oom_score": int,
    "oom_score_adj": int,
    "schedstat": schedstat,
    "smaps": smaps,
    "smaps_rollup": lambda raw: smaps(raw)[0],
    "stack": stack,
    "stat": stat,
    "statm": numbers("size", "resident", "shared", "text", "lib", "data", "dt"),
    "status": status,
    "syscall": syscall,
    "wchan": text,
}
WITHOUT_MEMORY = {"auxv", "cmdline", "environ", "maps", "smaps", "smaps_rollup"}  # what neither kernel threads nor zombies have
LINKS = ("cwd", "exe", "root")
ALL = [*DECODERS, *LINKS, "children", "fd", "fdinfo", "ns"]

checks = Checks()


def expected(folder, name):
    """What the JSON should say of a recorded file; an error's code alone."""
    kind = (folder / "stat").read_bytes().rpartition(b") ")[2].split()
    why = "zombie" if kind[0] in b"ZX" else "kernel_thread" if int(kind[6]) & 0x200000 else "unsupported"
    path = folder / name
    if name in DECODERS:
        raw = path.read_bytes() if path.exists() else None
        if name in WITHOUT_MEMORY and not raw and why != "unsupported":
            return why
        if raw is None:
            return "zombie" if why == "zombie" else "unsupported"
        return DECODERS[name](raw)
    if name in LINKS:
        if not os.path.lexists(path):
            return why if name == "exe" or why == "zombie" else "unsupported"
        return text(os.readlink(os.fsencode(path)))
    if name == "children":
        lists = [*folder.glob("task/*/children")] or [folder / "children"]
        return [int(number) for one in lists if one.exists() for number in one.read_text().split()]
    if not path.exists():
        return None  # an archive keeps no empty directories
    if name == "ns":
        links = {entry.name: re.match(r"(\w+):\[(\d+)\]", os.readlink(entry)).groups() for entry in path.iterdir()
                 if entry.is_symlink()}
        return {entry: {"type": word, "inode": int(inode)} for entry, (word, inode) in links.items()}
    if name == "fd":
        folder = os.fsencode(path)
        return {entry.decode(): text(os.readlink(folder + b"/" + entry)) for entry in os.listdir(folder) if entry.isdigit()}
    return {entry.name: fdinfo(entry.read_bytes()) for entry in path.iterdir() if entry.name.isdigit()}


for architecture in ("x86_64", "aarch64"):
    root = recorded(architecture)
    compared = dict.fromkeys(ALL, 0)
    for folder in [*root.glob("[0-9]*"), *root.glob("[0-9]*/task/[0-9]*")]:
        task = "/".join(part for part in folder.relative_to(root).parts if part != "task")
        done = call("proc_json", "--root", root, task, *ALL)
        answer = done.json
        tgid, _, tid = task.partition("/")
        any_error = False
        if (answer["tgid"], answer["tid"]) != (int(tgid), int(tid or tgid)):
            checks.check(f"{architecture}: ids of {task}", str(answer)[:60])
        for name in ALL:
            wanted, found = expected(folder, name), answer["files"][name]
            if isinstance(found, dict) and "error" in found:
                any_error = True
                found = found["error"]["code"]
            if wanted is None:
                continue
            if isinstance(found, list) and name == "children":
                found, wanted = sorted(found), sorted(wanted)
            if found != wanted:
                checks.check(f"{architecture}: {task} {name}", f"found {found!r:.500}, wanted {wanted!r:.500}")
            elif not isinstance(found, str) or name in ("comm", "wchan", "cwd", "exe", "root"):
                compared[name] += 1
        if done.status != int(any_error):
            checks.check(f"{architecture}: exit status of {task}", f"{done.status}, with errors: {any_error}")
    for name, count in compared.items():
        checks.true(f"{architecture}: {name} of recorded tasks agrees", count > 0)

# What the recorded specimen has of everything.
specimen = next(path.parent for path in recorded("x86_64").glob("[0-9]*/comm") if path.read_text() == "specimen\n").name
maps = call("proc_json", "--root", recorded("x86_64"), specimen, "maps").json["files"]["maps"]
checks.true("a path that is no UTF-8", any(isinstance(row["path"], dict) for row in maps))
limit = call("proc_json", "--root", recorded("x86_64"), specimen, "limits").json["files"]["limits"]["Max stack size"]
checks.equal("a limit: soft and hard", limit, {"soft": 4 << 20, "hard": "unlimited", "units": "bytes"})

# Live: more than fits the first buffer, and what no recording holds.
EPOLL = r"""
import select
epoll = select.epoll()
epoll.register(0, select.EPOLLIN)
named_thread(b'\xff thread')
name(b'new\nline')
ready(epoll.fileno())
"""
with Child(EPOLL, env={"EMPTY": "", "BIG": "y" * 100_000, "LAST": "z"}) as child:
    check_usage(checks, "proc_json", child.pid, "stat")
    epoll = int(child.facts[0])
    tid = next(int(entry) for entry in os.listdir(f"/proc/{child.pid}/task") if int(entry) != child.pid)
    done = call("proc_json", child.pid, "comm", "status", "environ", "cmdline", f"fd/{epoll}", f"fdinfo/{epoll}", "fd",
                "limits", "auxv", "exe")
    files = done.json["files"]
    checks.equal("live: a name with a newline, raw", files["comm"], "new\nline")
    checks.equal("live: a name with a newline, as status spells it", files["status"]["Name"], r"new\nline")
    checks.equal("live: the state in the kernel's words", files["status"]["State"], "S (sleeping)")
    checks.equal("live: a large environment is whole", files["environ"], ["EMPTY=", "BIG=" + "y" * 100_000, "LAST=z"])
    with open(f"/proc/{child.pid}/cmdline", "rb") as file:
        checks.equal("live: arguments", files["cmdline"], strings(file.read()))
    checks.equal("live: one descriptor", (files[f"fd/{epoll}"], files["fd"][str(epoll)]), ("anon_inode:[eventpoll]",) * 2)
    watched = files[f"fdinfo/{epoll}"]["tfd"]
    checks.true("live: what an epoll instance watches",
                [(row["tfd"], row["events"]) for row in watched] == [(0, "19")] and len(watched[0]) == 6, watched)
    checks.equal("live: a program's path", files["exe"], os.readlink(f"/proc/{child.pid}/exe"))
    with open(f"/proc/{child.pid}/auxv", "rb") as file:
        checks.equal("live: auxv", files["auxv"], auxv(file.read()))
    checks.equal("live: exit status", done.status, 0)
    thread = call("proc_json", f"{child.pid}/{tid}", "comm", "stat", "maps", "children").json
    checks.equal("live: a thread's own files", (thread["tid"], thread["files"]["comm"], thread["files"]["stat"]["pid"]),
                 (tid, {"bytes": b"\xff thread".hex()}, tid))
    checks.true("live: a thread's maps", len(thread["files"]["maps"]) > 5)
    missing = call("proc_json", child.pid, "fd/77", "comm", "fdinfo/77")
    checks.equal("a descriptor that is not open",
                 (missing.status, missing.json["files"]["fd/77"]["error"]["code"], missing.json["files"]["comm"]),
                 (1, "unsupported", "new\nline"))
    checks.true("the message says so", "fdinfo of process" in missing.json["files"]["fdinfo/77"]["error"]["message"])
    for wrong in ([], ["stat"], ["x", "stat"], ["0", "stat"], [child.pid]):
        done = call("proc_json", *wrong)
        checks.equal(f"usage: {wrong}", (done.status, done.out), (2, b""))
    for wrong in ("nofile", "mountinfo", "fd/x", "fd/-1", "fd/", "fd/1/2", "../stat", "", "stat/1", "ns/../stat", "ns/", "ns/x", "\x1b"):
        done = call("proc_json", child.pid, wrong, "oom_score_adj")
        files = done.json["files"]
        checks.equal(f"no such file: {wrong!r}", (done.status, files[wrong]["error"]["code"], files["oom_score_adj"]),
                     (1, "unsupported", 0))
    namespace = call("proc_json", child.pid, "ns/mnt", "ns").json["files"]
    checks.equal("live: one namespace", namespace["ns/mnt"], namespace["ns"]["mnt"])

SLEEPERS = """
import subprocess
sleepers = [subprocess.Popen(['sleep', '1000']) for _ in range(3)]
ready(*[sleeper.pid for sleeper in sleepers])
for sleeper in sleepers: sleeper.kill()
"""
with Child(SLEEPERS) as child:
    children = call("proc_json", child.pid, "children")
    found = children.json["files"]["children"]
    if isinstance(found, dict):
        checks.skip("live children", "this kernel has no task/TID/children")
    else:
        checks.equal("live: children of all threads", sorted(found), sorted(map(int, child.facts)))
    child.process.communicate()  # let it reap its own

gone = call("proc_json", child.pid, "stat", "maps")
checks.equal("a process that has gone", (gone.status, [gone.json["files"][name]["error"]["code"] for name in ("stat", "maps")]),
             (1, ["vanished"] * 2))

if IS_ROOT and shutil.which("setpriv"):
    with Child("os.setgroups(range(100000, 165536))\nready()") as child:
        groups = call("proc_json", child.pid, "status").json["files"]["status"]
        checks.equal("65,536 groups, and what follows them", (groups["Groups"], groups["Threads"]),
                     (list(range(100000, 165536)), 1))
        denied = call("proc_json", child.pid, "status", "maps", "environ", "stack", "fd", "stat", user=NOBODY)
        files = denied.json["files"]
        checks.equal("denied: the others are there",
                     (denied.status, files["status"]["Pid"],
                      [files[n]["error"]["code"] for n in ("maps", "environ", "stack", "fd")]),
                     (1, child.pid, ["denied"] * 4))
        checks.true("denied: errno and message",
                    files["maps"]["error"]["errno"] in (1, 13) and "denied" in files["maps"]["error"]["message"], files["maps"])
        with open(f"/proc/{child.pid}/stat", "rb") as file:
            checks.true("an address that is not told", files["stat"]["startcode"] in ("0x0", "0x1"), files["stat"])
else:
    checks.skip("other users' files", "only root can become nobody")

# One that is killed at any moment: each file is there or says why not.
for delay in range(10):
    with Child() as child:
        asked = subprocess.Popen(command("proc_json", child.pid, *ALL), stdout=subprocess.PIPE)
        time.sleep(delay / 1000)
        child.end()
        files = json.loads(asked.communicate()[0])["files"]
        codes = {files[name]["error"]["code"] for name in ALL if isinstance(files[name], dict) and "error" in files[name]}
        checks.true("killed meanwhile", list(files) == ALL and codes <= {"vanished", "zombie", "denied"}, codes)

# Numbers and texts at their limits.
HUGE = 2**64 - 1
LINE = f"7fffffffffff0000-ffffffffffffffff rwxs ffffffffffffffff 103:fffff {HUGE}"
tree = made_tree({
    "5/stat": stat_line(5, b") \xc3\xa9 (", f24=HUGE, f25=HUGE - 1, f26=1, f16=-5, f40=99),
    "5/status": b"Name:\t\\\\\nNewKey:\tx\nno colon\nState:\tQ (quantum)\nVmRSS:\t%d kB\n" % HUGE
                + b"Uid:\t0\t1\t2\t4294967295\nSigQ:\t0/%d\n" % HUGE,
    "5/maps": f"{LINE}  ".encode() + b"/" + b"\xff" * 90_000 + b"\n" + f"{LINE}\n".encode(),
    "5/limits": b"Limit  \nMax stack size            18446744073709551614 unlimited            bytes     \n",
    "5/comm": b"x\xe2\x80\xaey\n", "5/io": b"rchar: 1\nrch", "5/statm": b"1 2 3 4 5 6\n", "5/cmdline": b"--\0\0\xff\0tail"})
done = call("proc_json", "--root", tree, 5, "stat", "status", "maps", "limits", "comm", "io", "statm", "cmdline")
files = done.json["files"]
checks.equal("made: stat", [files["stat"][key] for key in ("comm", "rss", "rsslim", "startcode", "cutime", "rt_priority")],
             [") é (", HUGE, HUGE - 1, "0x1", -5, 99])
checks.equal("made: status", files["status"],
             {"Name": "\\\\", "State": "Q", "VmRSS": HUGE, "Uid": [0, 1, 2, 4294967295], "SigQ": [0, "unlimited"]})
checks.equal("made: maps", files["maps"][1],
             {"start": "0x7fffffffffff0000", "end": "0xffffffffffffffff", "perms": "rwxs", "offset": HUGE,
                                              "dev": "103:fffff", "inode": HUGE, "path": ""})
checks.equal("made: a long path is whole", files["maps"][0]["path"], {"bytes": (b"/" + b"\xff" * 90_000).hex()})
checks.equal("made: limits", files["limits"], {"Max stack size": {"soft": HUGE - 1, "hard": "unlimited", "units": "bytes"}})
checks.equal("made: comm", files["comm"], "x\u202ey")
checks.equal("made: cmdline", files["cmdline"], ["--", "", {"bytes": "ff"}, "tail"])
checks.equal("made: cut and bad texts",
             [(files[name]["error"]["code"], files[name]["error"]["offset"], files[name]["error"]["errno"])
              for name in ("io", "statm")],
             [("truncated", 12, 0), ("malformed", 11, 0)])
checks.equal("made: exit status", done.status, 1)
checks.close()
