# SPDX-License-Identifier: BSL-1.0
"""What the checks written in Python share: counting cases, saying why one failed, and calling the compiler.

A check prints `FAIL case: why` and `SKIP case: why` as it goes, ends with the line `N passed, N failed, N skipped`, and exits
with 0 only if none failed. The test programs do the same (main.cpp), so `./dev test` adds them all up in one way.
"""

import concurrent.futures
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = ROOT / "include" / "taskpeek"
STRICT = ["-std=c++20", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, case, complaint=""):
        """A case that passed, or failed with a complaint."""
        if complaint:
            self.failed += 1
            print(f"FAIL {case}: {complaint}", flush=True)
        else:
            self.passed += 1

    def skip(self, case, reason):
        self.skipped += 1
        print(f"SKIP {case}: {reason}", flush=True)

    def close(self):
        if self.passed + self.failed + self.skipped == 0:
            self.check("nothing was checked", "there is no case")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0)


def relative(path):
    return str(pathlib.Path(path).resolve().relative_to(ROOT))


def headers():
    return sorted(HEADERS.rglob("*.hpp"))


def tracked(*suffixes):
    """The files of the project that git knows or would add, without what is generated; of an exported tree, all files."""
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True, check=False)
    if listing.returncode == 0:
        paths = [ROOT / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
    else:
        paths = [p for p in ROOT.rglob("*") if not {"build", ".git", "__pycache__"} & set(p.relative_to(ROOT).parts)]
    return sorted(p for p in set(paths) if p.is_file() and not p.is_symlink() and (not suffixes or p.name.endswith(suffixes)))


def compiler():
    """$CXX, or g++; through ccache where there is one."""
    command = shlex.split(os.environ.get("CXX", "g++"))
    if "ccache" not in command[0] and shutil.which("ccache"):
        command = ["ccache", *command]
    return command


def extra_flags():
    """$CXXFLAGS: what a stage of `./dev test --all` adds."""
    return shlex.split(os.environ.get("CXXFLAGS", ""))


def run(command, **options):
    """Runs it to the end. Gives the exit status and all that it printed."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace", check=False, **options)
    return done.returncode, done.stdout


def first_lines(text, count=12):
    lines = text.strip().splitlines()
    return "\n    ".join([""] + lines[:count] + (["…"] if len(lines) > count else []))


def in_parallel(function, items):
    """The results in the order of the items."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))
