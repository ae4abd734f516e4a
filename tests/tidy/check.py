#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""clang-tidy (.clang-tidy says which checks, and why not others) over every header, the examples and the benchmarks.
`--headers` leaves it at the headers."""

import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, Report, first_lines, headers, in_parallel, run

report = Report()
tidy = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
if tidy is None:
    report.skip("clang-tidy", "it is not installed")
    report.close()


def complaints(source):
    """One diagnostic a line, notes left out."""
    status, output = run([tidy, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", source, "--", "-std=c++20", "-I", ROOT / "include"],
                         cwd=ROOT)
    found = [line for line in output.splitlines() if re.search(r": (error|warning): ", line)]
    return first_lines("\n".join(found), 40) if found else "" if status == 0 else first_lines(output)


with tempfile.TemporaryDirectory() as scratch_name:
    everything = pathlib.Path(scratch_name) / "headers.cpp"
    everything.write_text("".join(f"#include <{header.relative_to(HEADERS.parent)}>\n" for header in headers()))
    sources = {everything: "headers"}
    if "--headers" not in sys.argv[1:]:
        for folder in ("examples", "benchmarks"):
            sources |= {source: f"{folder}/{source.name}" for source in sorted((ROOT / folder).glob("*.cpp"))}
    for name, found in zip(sources.values(), in_parallel(complaints, sources)):
        report.check(f"clang-tidy: {name}", found)
report.close()
