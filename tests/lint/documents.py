#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The C++ in README.md and docs/tour.md compiles as it stands, without a warning, and what they link to exists."""

import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, STRICT, Report, compiler, first_lines, in_parallel, run

report = Report()
documents = [ROOT / "README.md", ROOT / "docs" / "tour.md"]


def blocks(document):
    """(line, code) of each block of C++."""
    text = document.read_text()
    for found in re.finditer(r"^```cpp\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, found.start(1)) + 1, found[1]


def complaints(block):
    document, line, code = block
    with tempfile.TemporaryDirectory() as scratch_name:
        source = pathlib.Path(scratch_name) / "block.cpp"
        source.write_text(f'#line {line} "{document.name}"\n{code}')
        status, output = run([*compiler(), *STRICT, "-fsyntax-only", "-I", ROOT / "include", source])
        return first_lines(output) if status else ""


everything = [(document, line, code) for document in documents for line, code in blocks(document)]
for (document, line, _), found in zip(everything, in_parallel(complaints, everything)):
    report.check(f"documents: {document.relative_to(ROOT)}:{line}", found)

for document in sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")}):
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", document.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        missing = "" if (document.parent / target).exists() else "there is no such file"
        report.check(f"documents: {document.relative_to(ROOT)} links to {target}", missing)
report.close()
