# SPDX-License-Identifier: BSL-1.0
"""What the checks of the example programs share: calling one, processes to look at, and recorded trees."""

import atexit
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, Report

EXAMPLES = pathlib.Path(os.environ.get("TASKPEEK_EXAMPLES", ROOT / "build" / "examples"))
FIXTURES = pathlib.Path(os.environ.get("TASKPEEK_FIXTURES", ROOT / "tests" / "fixtures"))
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
IS_ROOT = os.geteuid() == 0

scratch = tempfile.TemporaryDirectory()
atexit.register(scratch.cleanup)
os.chmod(scratch.name, 0o755)


class Checks(Report):
    """A Report whose cases compare."""

    def equal(self, case, found, wanted):
        self.check(case, "" if found == wanted else f"found {found!r:.600}, wanted {wanted!r:.600}")

    def true(self, case, condition, found=""):
        self.check(case, "" if condition else f"it does not hold; found {found!r:.600}")


class Done:
    """How a program ended and what it printed."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def text(self):
        return self.out.decode()  # strictly: whatever a task is called, what is printed is UTF-8

    @property
    def json(self):
        return json.loads(self.text)


def command(program, *arguments, user=()):
    """As nobody the program comes from a copy: the build directory may be closed to others."""
    path = EXAMPLES / program
    if user:
        copy = pathlib.Path(scratch.name) / program
        if not copy.exists():
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o755)
        path = copy
    return [*user, path, *map(str, arguments)]


def call(program, *arguments, user=(), **options):
    options = {"cwd": scratch.name, "timeout": 60} | options
    line = command(program, *arguments, user=user)
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
    return Done(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


PRELUDE = """
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def name(raw): libc.prctl(15, ctypes.c_char_p(raw), 0, 0, 0)
def named_thread(raw):
    started = threading.Event()
    def body():
        name(raw)
        started.set()
        while True: time.sleep(1000)
    threading.Thread(target=body, daemon=True).start()
    started.wait()
def ready(*facts):
    print(*facts, flush=True)
    sys.stdin.read()   # to the end of the one who started it
"""


class Child:
    """A process of our own, running Python code that calls `ready(…)` at its end. `facts` is what it told there."""

    def __init__(self, code="ready()", user=(), **options):
        # The interpreter that runs this may be root's own, in a directory closed to others.
        python = "/usr/bin/python3" if user and os.access("/usr/bin/python3", os.X_OK) else sys.executable
        command_line = [*user, python, "-S", "-c", PRELUDE + code]
        options = {"cwd": "/"} | options
        self.process = subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        self.facts = self.process.stdout.readline().split()
        self.pid = self.process.pid
        self.settle()

    def settle(self):
        """Waits until all its threads do: none has been on a CPU between two looks."""
        def look():
            texts = [path.read_text(errors="replace") for path in pathlib.Path(f"/proc/{self.pid}/task").glob("*/status")]
            return [re.findall(r"^(?:Pid|State|\w*voluntary_ctxt_switches):\t(\w+)", text, re.M) for text in texts]

        before, deadline = [], time.monotonic() + 30
        while (now := look()) != before or any(state != "S" for state, *_ in now):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the threads of {self.pid} do not come to rest: {now}")
            before = now
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.kill()
        self.process.communicate()


def wait_until_blocked(pid):
    """Until every thread that lives sleeps in the kernel: a program that has just said something still runs."""
    while not all(state in "SZ" for state in states_of_threads(pid)):
        time.sleep(0.001)


def states_of_threads(pid):
    return [path.read_text().rpartition(")")[2].split()[0] for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]


def recorded(architecture):
    """The root of the tree recorded on a machine of that architecture, unpacked."""
    folder = pathlib.Path(scratch.name) / architecture
    if not folder.exists():
        folder.mkdir()
        with tarfile.open(FIXTURES / f"linux-6.1-{architecture}.tar.gz") as archive:
            archive.extractall(folder)
    return folder / "proc"


def made_tree(files):
    """A root with these files: `{"5/task/5/stat": b"…"}`."""
    root = pathlib.Path(tempfile.mkdtemp(dir=scratch.name))
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    root.chmod(0o755)
    return root


def stat_line(pid, comm=b"made", state=b"S", **fields):
    """A line of `stat`, fields from (4) on by number: `f26=1`."""
    values = ["0"] * 49
    values[20 - 4] = "1"
    for name, value in fields.items():
        values[int(name[1:]) - 4] = str(value)
    return b"%d (%s) %s " % (pid, comm, state) + " ".join(values).encode() + b"\n"


def check_usage(checks, program, *good, failed=1):
    """What every program owes its users."""
    help_text = call(program, "--help")
    checks.equal(f"{program} --help ends well", help_text.status, 0)
    told = program in help_text.text and "Usage" in help_text.text
    checks.true(f"{program} --help says how to call it", told, help_text.text)
    checks.true(f"{program} --help fits 80 columns", max(map(len, help_text.text.splitlines())) <= 80, help_text.text)
    version = call(program, "--version")
    checks.true(f"{program} --version tells it", version.status == 0 and version.text.startswith("taskpeek 0."), version.text)
    unknown = call(program, "--no-such-option", *good)
    checks.equal(f"{program} refuses an unknown option", (unknown.status, unknown.out), (2, b""))
    checks.true(f"{program} says what is wrong", "--no-such-option" in unknown.err, unknown.err)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command(program, *good), stdout=full, stderr=subprocess.PIPE, check=False)
    checks.true(f"{program} does not lose its output in silence", done.returncode == failed and done.stderr, done)
    end, other = os.pipe()
    os.close(end)
    # restore_signals=False: as under a parent that ignores SIGPIPE, which Python does
    done = subprocess.run(command(program, *good), stdout=other, stderr=subprocess.PIPE, restore_signals=False, check=False)
    os.close(other)
    checks.equal(f"{program} leaves a closed pipe quietly", (done.returncode, done.stderr), (-13, b""))
