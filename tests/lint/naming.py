#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Each header has its test, and each test, example and benchmark is built."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, Report, headers

report = Report()
listed = (ROOT / "tests" / "meson.build").read_text()
tests = sorted((ROOT / "tests").rglob("*.test.cpp"))

for header in headers():
    test = ROOT / "tests" / f"{header.stem}.test.cpp"
    report.check(f"naming: {header.relative_to(HEADERS)} has a test", "" if test.exists() else f"there is no tests/{test.name}")

seen = {}
for test in tests:
    name = str(test.relative_to(ROOT / "tests"))
    text = test.read_text()
    cases = re.findall(r'\b(?:TEST_CASE|TEST_CASE_TEMPLATE|TEST_CASE_FIXTURE)\((?:[\w:]+,\s*)?"((?:[^"\\]|\\.)*)"', text)
    complaints = []
    if f"'{name}'" not in listed:
        complaints.append("tests/meson.build does not list it, so it never runs")
    if not re.fullmatch(r"[a-z0-9_]+\.test\.cpp", test.name):
        complaints.append("its name is not snake_case")
    if not cases:
        complaints.append("it has no TEST_CASE")
    if re.search(r"DOCTEST_CONFIG_IMPLEMENT|int main\(", text):
        complaints.append("main is in main.cpp")
    for case in cases:
        if not case.strip():
            complaints.append("a TEST_CASE has no name")
        elif seen.setdefault(case, name) != name or cases.count(case) > 1:
            complaints.append(f'the name "{case}" is taken ({seen[case]})')
    report.check(f"naming: tests/{name}", "; ".join(complaints))

for name in re.findall(r"'([\w/.]+\.test\.cpp)'", listed):
    report.check(f"naming: listed tests/{name}", "" if (ROOT / "tests" / name).exists() else "there is no such file")

for check in sorted((ROOT / "tests" / "examples").glob("*.py")):
    if re.search(r"\.close\(\)", check.read_text()):
        complaint = "" if f"'{check.stem}'" in listed else "tests/meson.build does not list it, so it never runs"
        report.check(f"naming: tests/examples/{check.name}", complaint)

for folder in ("examples", "benchmarks"):
    build = (ROOT / folder / "meson.build").read_text()
    for source in sorted((ROOT / folder).glob("*.cpp")):
        mentioned = re.search(rf"'{source.stem}(\.cpp)?'", build)
        report.check(f"naming: {folder}/{source.name}", "" if mentioned else f"{folder}/meson.build does not build it")
report.close()
