#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Every file: licence line, white space, line length, no trace of where it was written. `--fix` mends what has one answer."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, Report, relative, tracked

CODE = (".hpp", ".cpp", ".c", ".py", ".sh", "meson.build", "meson_options.txt", ".cmake", ".cmake.in", "CMakeLists.txt", ".mjs")
PROSE = (".md", ".json", ".wrap", ".clang-format", ".clang-tidy", ".gitignore", "Doxyfile", "LICENSE", "/dev", ".ci/run", ".txt")
LONGEST = 140  # characters beside string literals; 130 is the aim, a table may stick out a little
STANDARD_DIRECTORIES = {"/", "/tmp", "/home", "/root", "/usr", "/usr/src", "/opt", "/srv", "/var", "/mnt", "/media", "/build", "/src"}

fix = "--fix" in sys.argv[1:]
report = Report()
# A file must not name the directory that somebody happened to check the project out in.
traces = [str(ROOT) + "/"]
if str(ROOT.parent) not in STANDARD_DIRECTORIES and str(ROOT.parent.parent) not in STANDARD_DIRECTORIES - {"/"}:
    traces.append(str(ROOT.parent) + "/")


def recorded(path):
    return "tests/fixtures/" in relative(path) or "/corpus/" in relative(path)


for path in tracked():
    name = relative(path)
    is_code = name.endswith(CODE) or name in ("dev", ".ci/run")
    if recorded(path) or not (is_code or ("/" + name).endswith(PROSE)):
        continue
    text = path.read_text(errors="surrogateescape")
    if fix:
        mended = re.sub(r"[ \t]+$", "", text, flags=re.M) if not name.endswith(".md") else text
        mended = mended.rstrip("\n") + "\n"
        if name.endswith((".hpp", ".cpp", ".c", ".py")):
            mended = mended.expandtabs(4) if "\t" in re.sub(r'"[^"\n]*"', "", mended) else mended
        if name.startswith("include/"):
            mended = re.sub(r"(?:^#include <[^\n]+\n)+",
                            lambda block: "".join(sorted(block[0].splitlines(keepends=True))), mended, flags=re.M)
        if mended != text:
            path.write_text(mended, errors="surrogateescape")
            print(f"mended {name}")
            text = mended
    complaints = []
    lines = text.split("\n")
    if is_code and not any("SPDX-License-Identifier: BSL-1.0" in line for line in lines[:3]):
        complaints.append("no SPDX line among its first three")
    if name.endswith(".hpp") and "#pragma once" not in lines[1:2]:
        complaints.append("#pragma once is not its second line")
    if not text.endswith("\n") or text.endswith("\n\n"):
        complaints.append("does not end with one newline")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip() and not name.endswith(".md"):
            complaints.append(f"line {number}: white space at its end")
        if "\t" in line and is_code:
            complaints.append(f"line {number}: a tab")
        if "\r" in line:
            complaints.append(f"line {number}: a carriage return")
        length = len(re.sub(r'"(?:[^"\\]|\\.)*"', '""', line))
        if is_code and length > LONGEST:
            complaints.append(f"line {number}: {length} characters, {LONGEST} allowed")
        if any(trace in line for trace in traces):
            complaints.append(f"line {number}: names a directory of somebody's machine")
    report.check(f"text: {name}", "; ".join(complaints[:6]))
report.close()
