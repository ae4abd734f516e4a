#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""aarch64, cross-built and run by qemu's user-mode emulation: the tests of call frame information, and a program that unwinds itself,
with and without signed return addresses."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, STRICT, Report, first_lines, run

report = Report()
compiler, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
if not compiler or not emulator:
    report.skip("aarch64", "needs Debian's g++-aarch64-linux-gnu and qemu-user-static")
    report.close()

# Boost, range-v3 and doctest are headers only: those of this machine serve.
BUILD = [compiler, *STRICT, "-static", "-O1", "-idirafter", "/usr/include", "-I", ROOT / "include"]
PROGRAMS = {
    "call frame information": ["tests/cfi.test.cpp", "-DDOCTEST_CONFIG_IMPLEMENT_WITH_MAIN"],
    "registers": ["tests/machine.test.cpp", "-DDOCTEST_CONFIG_IMPLEMENT_WITH_MAIN"],
    "its own stack": ["tests/aarch64/unwind_self.cpp"],
    "its own stack, not optimized": ["tests/aarch64/unwind_self.cpp", "-O0"],
    "its own stack, optimized": ["tests/aarch64/unwind_self.cpp", "-O2"],
    "its own stack, return addresses signed": ["tests/aarch64/unwind_self.cpp", "-mbranch-protection=standard"],
}
with tempfile.TemporaryDirectory() as scratch:
    for name, (source, *flags) in PROGRAMS.items():
        program = pathlib.Path(scratch) / "program"
        status, output = run([*BUILD, *flags, ROOT / source, "-o", program])
        if status == 0:
            done = subprocess.run([emulator, program], capture_output=True, text=True, timeout=120, check=False)
            status, output = done.returncode, done.stdout + done.stderr
        report.check(f"aarch64: {name}", first_lines(output) if status else "")
report.close()
