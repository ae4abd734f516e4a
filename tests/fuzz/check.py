#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Feeds each decoder bytes that libFuzzer makes out of those in corpus/, under the address and undefined behaviour sanitizers.

The runs are short, seeded and counted, so that each tries the same. To search for longer, and keep what is found:
    tests/fuzz/check.py status 600      # seconds; a crash is left in build/fuzz
"""

import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, Report, first_lines, in_parallel, run

HERE = pathlib.Path(__file__).resolve().parent
BUILD = ROOT / "build" / "fuzz"
RUNS = 20000
FLAGS = ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-I", ROOT / "include"]

report = Report()
clang = shutil.which("clang++-14") or shutil.which("clang++")
if clang is None:
    report.skip("fuzz", "there is no clang")
    report.close()

BUILD.mkdir(parents=True, exist_ok=True)
program = BUILD / "decoders"
status, output = run([clang, *FLAGS, HERE / "decoders.cpp", "-o", program])
report.check("fuzz: the targets build", first_lines(output, 20) if status else "")
if status:
    report.close()


def fuzz(target, *options):
    """Starts from the target's own corpus, which is left as it is."""
    with tempfile.TemporaryDirectory() as scratch:
        largest = {"captures": 24000, "elf": 8000}.get(target, 2000)
        return run([program, f"--target={target}", scratch, HERE / "corpus" / target, f"-dict={HERE / 'proc.dict'}",
                    f"-artifact_prefix={BUILD / target}-", f"-max_len={largest}", "-timeout=10", "-verbosity=0", *options])


targets = run([program, "--list"])[1].split()
if len(sys.argv) > 1:
    status, output = fuzz(sys.argv[1], f"-max_total_time={sys.argv[2] if len(sys.argv) > 2 else 60}", "-verbosity=1")
    print(output)
    sys.exit(status)

for header in sorted((HEADERS / "procfs").glob("*.hpp")):
    if re.search(r"kernel_file file = ", header.read_text()):
        missing = "" if header.stem in targets or header.stem == "records" else f"decoders.cpp has no target {header.stem}"
        report.check(f"fuzz: {header.relative_to(HEADERS)} has its target", missing)
for target in targets:
    seeds = list((HERE / "corpus" / target).glob("*"))
    report.check(f"fuzz: {target} has seeds", "" if seeds else f"corpus/{target} is empty")
    found = [seed.name for seed in seeds if re.fullmatch("[0-9a-f]{40}", seed.name)]
    report.check(f"fuzz: each seed of {target} says what it is", f"{len(found)} as libFuzzer names what it finds: {found[0]}" if found else "")
stray = sorted({folder.name for folder in (HERE / "corpus").iterdir()} - set(targets))
report.check("fuzz: every corpus has its target", ", ".join(stray))
for target, (status, output) in zip(targets, in_parallel(lambda t: fuzz(t, "-seed=1", f"-runs={RUNS}"), targets)):
    report.check(f"fuzz: {target}", first_lines(output, 30) if status else "")
report.close()
