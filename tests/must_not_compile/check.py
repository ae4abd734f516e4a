#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Every *.cpp beside this script compiles as it is, and does not with -DMUST_NOT_COMPILE.

So a case proves that the one guarded use is refused, and not that the file is broken. A line `// expect: <regex>` names what the
diagnostic must say, when the reason matters; it must hold for g++ and clang alike.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, STRICT, Report, compiler, extra_flags, first_lines, in_parallel, run

report = Report()
cases = sorted(pathlib.Path(__file__).parent.glob("*.cpp"))
# Errors only: whether a program is refused must not hang on a warning.
plain = [flag for flag in STRICT if flag != "-Werror"]
build = [*compiler(), *plain, *extra_flags(), "-I", ROOT / "include", "-fsyntax-only"]


def complaint(case):
    text = case.read_text()
    if "MUST_NOT_COMPILE" not in text:
        return "it never asks for MUST_NOT_COMPILE"
    status, output = run([*build, case])
    if status:
        return "it does not even compile without the forbidden use" + first_lines(output)
    status, output = run([*build, "-DMUST_NOT_COMPILE", case])
    if status == 0:
        return "it compiles"
    for expected in re.findall(r"// expect: (.*)", text):
        if not re.search(expected, output):
            return f"refused, but not because of /{expected}/" + first_lines(output)
    return ""


for case, why in zip(cases, in_parallel(complaint, cases)):
    report.check(case.stem, why)
report.close()
