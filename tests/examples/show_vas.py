#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""show_vas: the ranges tile, agree with /proc, and no name does harm in any format."""

import csv
import html.parser
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from programs import IS_ROOT, NOBODY, Checks, Child, call, check_usage, recorded

checks = Checks()
NAMES = ["\x1b]0;x\x07", "<script>alert(1)<", "=1+1", "quote\"d", "new\nline", "-dash", "@at", "\udcff\udcfe", "\u202egnp.exe"]
scratch = tempfile.TemporaryDirectory()

MAP_NAMES = """
import mmap
folder = sys.argv[-1]
maps = []
for raw in eval(os.environ["NAMES"]):
    path = os.fsencode(folder) + b"/" + os.fsencode(raw)
    with open(path, "w+b") as f:
        f.truncate(4096)
        maps.append(mmap.mmap(f.fileno(), 4096))
private = [mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)]
ready()
""".replace("sys.argv[-1]", "os.environ['FOLDER']")


def tiles(ranges, begin, end):
    at = begin
    for r in ranges:
        if int(r["start"], 16) != at or int(r["end"], 16) <= at:
            return False
        at = int(r["end"], 16)
    return at == end


class Page(html.parser.HTMLParser):
    """The tags of a page, and what stands in its data block."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)


with Child(MAP_NAMES, env={**os.environ, "NAMES": repr(NAMES), "FOLDER": scratch.name}) as child:
    pid = child.pid
    check_usage(checks, "show_vas", pid)
    shown = call("show_vas", pid, "--json", "--smaps")
    picture = shown.json
    checks.equal("it ends well", (shown.status, shown.err), (0, ""))
    checks.equal("the process is named", picture["tgid"], pid)
    keys = {"start", "end", "class", "evidence", "perms", "offset", "path"}
    checks.true("every range has the same keys", all(keys <= r.keys() for r in picture["user"]), picture["user"][0])
    checks.true("every kernel region too", all({"start", "end", "name", "source"} <= r.keys() for r in picture["kernel"]))
    user, kernel = picture["user"], picture["kernel"]
    border = int(kernel[0]["start"], 16)
    checks.true("the user half tiles", tiles(user, 0, border), user[-1])
    checks.true("the kernel's half tiles", tiles(kernel, border, 2**64), kernel[-1])
    checks.true("every kernel region names its source", all(r["source"] in ("measured", "derived", "documented default") for r in kernel))
    checks.true("every range has evidence", all(r["evidence"] for r in user))
    for kind, cited in {"heap": r"stat start_brk 0x[0-9a-f]+", "main_stack": r"stat startstack 0x[0-9a-f]+", "vdso": r"auxv AT_SYSINFO_EHDR 0x[0-9a-f]+",
                        "stack_growth": r"limits RLIMIT_STACK.*", "stack_guard_gap": "documented stack_guard_gap 256",
                        "null_page": r"mmap_min_addr 0x[0-9a-f]+", "text": r"program_header 0x[0-9a-f]+ through (map_files|exe), verified"}.items():
        found = [r["evidence"] for r in user if r["class"] == kind]
        checks.true(f"the evidence of {kind} cites its value", found and re.fullmatch(cited, found[0]), found)
    lines = pathlib.Path(f"/proc/{pid}/maps").read_bytes().decode(errors="surrogateescape").split("\n")[:-1]
    wanted = {tuple(int(a, 16) for a in line.split()[0].split("-")) for line in lines if "[vsyscall]" not in line}
    found = set()
    for r in user:
        if r["perms"]:
            vma = r.get("vma", r)
            found.add((int(vma["start"], 16), int(vma["end"], 16)))
    checks.equal("every vma of maps is there", found, wanted)
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    checks.equal("the totals are those of status", picture["totals"]["mapped"], int(status["VmSize"].split()[0]) * 1024)
    checks.equal("as many vmas", picture["totals"]["vmas"], len(wanted))
    classes = {r["class"] for r in user}
    for needed in ("null_page", "text", "data", "bss", "heap", "library_text", "main_stack", "vdso", "gap", "non_canonical", "jit_code"):
        checks.true(f"there is {needed}", needed in classes, classes)
    checks.true("what is writable and executable is said", any(r.get("writable_and_executable") for r in user))

    text = call("show_vas", pid, "--color", "always")
    checks.true("the terminal gets no escape but colours", not re.sub(rb"\x1b\[[0-9;]*m", b"", text.out).count(b"\x1b"), text.out[:300])
    plain = call("show_vas", pid)
    checks.true("a pipe gets none", b"\x1b" not in plain.out)
    checks.true("the hostile name is shown harmlessly", rb"\x1b]0;x\x07" in plain.out, plain.out)
    checks.true("a name that turns the text around is escaped", r"\u{202e}gnp.exe" in plain.text)
    checks.true("W+X stands out", "W+X!" in plain.text)
    addresses = [int(a, 16) for a in re.findall(r"^ *([0-9a-f]+) \|", plain.text, re.M)]
    checks.true("addresses descend", addresses == sorted(addresses, reverse=True) and len(addresses) > 20, addresses)
    heap = next(r for r in user if r["class"] == "heap")
    located = call("show_vas", pid, "--locate", heap["start"])
    checks.true("an arrow points at the address", [line for line in located.text.splitlines() if f"<== {heap['start']}" in line and "heap" in line], located.text)
    checks.equal("a bad address is refused", call("show_vas", pid, "--locate", "xyz").status, 2)
    inside = int(heap["start"], 16) + 0x123
    told = call("show_vas", pid, "--locate", f"{inside:x},16").text  # as maps prints addresses
    checks.true("where it points to is told", f"{inside:#x} is 0x123 bytes into heap" in told and f"<== {inside:#x}" in told, told[-500:])
    far = call("show_vas", pid, "--locate", f"{int(heap['start'], 16) - 1:#x},8192").text
    checks.equal("all that a stretch meets is pointed at", len(re.findall("<==", far)), 2)
    checks.equal("the kernel's half can be pointed at", len(re.findall("<== 0xffff", call("show_vas", pid, "--locate", "0xffff888000001000").text)), 1)
    for columns in (40, 80, 200):
        env = {**os.environ, "COLUMNS": str(columns)}
        lines = call("show_vas", pid, "--color", "always", env=env).text.split("\n\n")[0].splitlines()
        widths = [len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in lines]
        checks.true(f"the map fits {columns} columns", max(widths) <= columns, max(widths))
    by_name = [line for line in call("show_vas", pid, env={**os.environ, "COLUMNS": "80"}).text.splitlines() if "…" in line]
    checks.true("of a long path the end is shown", any(line.endswith((".so.6", ".so.2")) for line in by_name), by_name[:5])
    checks.true("NO_COLOR and pipes are heeded", b"\x1b[" not in call("show_vas", pid, env={**os.environ, "NO_COLOR": "1"}).out)
    checks.true("memory by class", re.search(r"^ +[0-9.]+ [KM]iB +[0-9.]+ % +library_text +█", plain.text, re.M), plain.text[-2000:])
    with_pages = [r for r in user if "pages" in r]
    checks.true("pages are told with --smaps", len(with_pages) > 20 and all(0 <= r["pages"]["present"] for r in with_pages), with_pages[:2])
    narrow = call("show_vas", pid, "--user")
    checks.equal("then JSON has no kernel", call("show_vas", pid, "--user", "--json").json["kernel"], [])
    checks.true("the user half alone", "direct_map" not in narrow.text and "main_stack" in narrow.text)
    upper = call("show_vas", pid, "--kernel")
    checks.true("the kernel's half alone", "direct_map" in upper.text and "main_stack" not in upper.text)

    checks.equal("then JSON has no user half", call("show_vas", pid, "--kernel", "--json").json["user"], [])
    if IS_ROOT:
        denied = call("show_vas", pid, user=NOBODY)
        checks.true("who may not look is told so", denied.status == 1 and "denied" in denied.err and denied.out == b"", denied.err)
        kernel_alone = call("show_vas", pid, "--kernel", user=NOBODY)
        checks.true("the kernel's half is for everybody", kernel_alone.status == 0 and "direct_map" in kernel_alone.text, kernel_alone.err)
        checks.true("with what is hidden, and why", "is hidden" in kernel_alone.text, kernel_alone.text[-300:])

    rows_file = os.path.join(scratch.name, "rows.csv")
    checks.equal("CSV is written", call("show_vas", pid, "--csv", rows_file).status, 0)
    written = pathlib.Path(rows_file).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(written)))
    checks.equal("a row for each range", [(r["start"], r["end"]) for r in rows], [(r["start"], r["end"]) for r in user + kernel])
    checks.equal("the same classes", [r["class"] for r in rows], [r.get("class", r.get("name")) for r in user + kernel])
    checks.true("as many cells in each row", all(None not in r and None not in r.values() for r in rows), rows[0])
    checks.true("no cell is a formula", not [c for row in rows for c in row.values() if c and c[0] in "=+-@" and c not in ("-",) and not c.startswith("---")],
                [c for row in rows for c in row.values() if c and c[0] in "=+-@"])
    checks.true("the names are in it, escaped", any(r"\x1b]0;x\x07" in row["path"] for row in rows) and any("<script>" in row["path"] for row in rows))

    page_file = os.path.join(scratch.name, "page.html")
    checks.equal("HTML is written", call("show_vas", pid, "--html", page_file).status, 0)
    page_text = pathlib.Path(page_file).read_text(encoding="utf-8")
    page = Page(page_text)
    checks.equal("no name became a tag", page.tags.count("script"), 2)
    checks.true("no link leaves the file", not re.search(r"""(src|href)\s*=\s*["']?(?!data:)(https?:|//)""", page_text))
    checks.true("names are in the data, `<` escaped", "\\u003cscript>alert(1)\\u003c" in page.scripts[0], page.scripts[0][:200])
    checks.true("and nowhere raw", "<script>alert" not in page_text and "\x1b" not in page_text)

    unwritable = call("show_vas", pid, "--html", "/nonexistent/x.html")
    checks.true("a file that cannot be written is complained about", unwritable.status == 1 and "could not be written" in unwritable.err, unwritable.err)
    same = call("show_vas", pid, "--diff", "0.05", "--json").json
    checks.equal("a process that sleeps does not change", [c for c in same["changes"] if c["what"] != "same"], [])

GROWS = """
import mmap
keep = []
print("growing", flush=True)
while True:
    keep.append(mmap.mmap(-1, 1 << 20, mmap.MAP_SHARED))
    keep[-1].write(b"x" * (1 << 20))
    time.sleep(0.02)
    if len(keep) > 500: sys.exit()
"""
with subprocess.Popen([sys.executable, "-S", "-c", "import sys, time" + GROWS], stdout=subprocess.PIPE) as grows:
    grows.stdout.readline()
    changes = call("show_vas", grows.pid, "--diff", "0.5", "--json").json
    born = [c for c in changes["changes"] if c["what"] == "born" and c["class"] == "shared_anonymous"]
    checks.true("a leak is seen", born and all(c["size"] == c["rss_kib"] * 1024 == 1 << 20 for c in born[:-1]), changes)
    checks.true("and summed up", changes["rss_kib"] >= sum(c["rss_kib"] for c in born) > 0, changes["rss_kib"])
    told = call("show_vas", grows.pid, "--diff", "0.3").text
    checks.true("in words too", re.search(r"^born +[0-9a-f]+-[0-9a-f]+ +\+1048576 bytes +\+1024 KiB Rss +shared_anonymous", told, re.M), told)
    grows.kill()

gone = call("show_vas", pid)
checks.true("a process that has gone", gone.status == 1 and "no process" in gone.err, gone.err)
thread = call("show_vas", 2, "--json")
checks.true("a kernel thread has no address space", thread.status == 1 and "kernel thread" in thread.err or not os.path.exists("/proc/2"), thread.err)

MANY = """
import mmap
keep = []
for i in range(10000):
    keep.append(mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | (mmap.PROT_WRITE if i % 2 else 0)))
ready()
"""
with Child(MANY) as child:
    folded = call("show_vas", child.pid, "--user").text
    lines = folded.splitlines()
    checks.true("ten thousand vmas fold", len(lines) < 400 and re.search(r"\d{3,} times anonymous rw-p \+ anonymous r--p|\d{3,} times anonymous r--p \+ anonymous rw-p", folded), lines[:40])
    one = re.search(r"^ *([0-9a-f]+) \|.*\| \d{4,} times anonymous", folded, re.M)
    inside = int(one[1], 16) - 100 * 4096
    located = call("show_vas", child.pid, "--user", "--locate", f"{inside:#x}").text
    checks.true("what is pointed at is not folded", re.search(rf"<== {inside:#x} anonymous +4 KiB", located), located[:200])
    checks.true("but what is around it", len(located.splitlines()) < 400 and len(re.findall("times anonymous", located)) >= 2)
    page_file = os.path.join(scratch.name, "many.html")
    call("show_vas", child.pid, "--html", page_file)
    checks.true("their page is 3 MiB at most", os.path.getsize(page_file) <= 3 << 20, os.path.getsize(page_file))

for architecture in ("x86_64", "aarch64"):
    picture = call("show_vas", 83, "--json", "--root", recorded(architecture)).json
    border = int(picture["kernel"][0]["start"], 16)
    checks.true(f"a recorded {architecture} process tiles", tiles(picture["user"], 0, border) and tiles(picture["kernel"], border, 2**64))
    checks.equal(f"its threads' stacks, {architecture}", len([r for r in picture["user"] if r["class"] == "thread_stack" and "tid" in r]), 8)
checks.close()
