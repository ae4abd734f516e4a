#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""docs/support.md is true: each field that a record lists has its row, and each row a test that names the field."""

import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, Report

LEDGER = ROOT / "docs" / "support.md"
FIELD_COLUMNS = ["field", "since", "until", "type", "test"]
ENTRY_COLUMNS = ["entry", "status", "where/why"]
STATUSES = {"supported", "planned", "refused"}
SINCE = re.compile(r"≤?\d+\.\d+(\.\d+)?|\?")  # "?": not proven
UNTIL = re.compile(r"(\d+\.\d+(\.\d+)?|\?)?")

report = Report()
if not LEDGER.exists():
    report.check("ledger", "there is no docs/support.md")
    report.close()


def plain(cell):
    return cell.strip().strip("`").strip().replace("\\|", "|")


def tables(text):
    """(heading, columns, rows) of each table below a `##` heading."""
    found, heading, current = [], "", None
    for line in text.splitlines():
        if line.startswith("#"):
            heading, current = line.lstrip("#").strip(), None
        elif line.startswith("|"):
            cells = [plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            if current is None:
                current = (heading, [cell.lower() for cell in cells], [])
                found.append(current)
            elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                current[2].append(cells)
        else:
            current = None
    return found


def file_of(heading):
    """The kernel file that a heading names: "smaps" of "## `smaps`" or "## smaps (since 2.6.14)"."""
    return re.sub(r"\s*\(.*\)$", "", heading).strip().strip("`")


rows = {}       # kernel file -> field -> test files
entries = {}    # entry of /proc/<pid> -> status
tests_text = {path.name: path.read_text(errors="replace") for path in (ROOT / "tests").rglob("*.test.cpp")}

for heading, columns, body in tables(LEDGER.read_text()):
    if columns == FIELD_COLUMNS:
        file = file_of(heading)
        for row in body:
            complaints = []
            if len(row) != len(columns):
                report.check(f"ledger: {file}: {row}", f"{len(row)} cells of {len(columns)}")
                continue
            field, since, until, kind, test = row
            rows.setdefault(file, {})[field] = test
            complaints += [f"since {since!r}"] if not SINCE.fullmatch(since) else []
            complaints += [f"until {until!r}"] if not UNTIL.fullmatch(until) else []
            if not kind:
                complaints.append("no type")
            named = re.findall(r"[\w]+\.test\.cpp", test)
            if not named:
                complaints.append("no test")
            for name in named:
                if name not in tests_text:
                    complaints.append(f"there is no {name}")
                elif field not in tests_text[name]:
                    complaints.append(f"{name} never mentions it")
            report.check(f"ledger: {file}: {field}", "; ".join(complaints))
    elif columns == ENTRY_COLUMNS:
        for row in body:
            complaints = []
            if len(row) != len(columns):
                report.check(f"ledger: {row}", f"{len(row)} cells of {len(columns)}")
                continue
            name, status, why = row
            entries[name.rstrip("/")] = status
            if status not in STATUSES:
                complaints.append(f"{status!r} is none of {', '.join(sorted(STATUSES))}")
            if not why:
                complaints.append("it says neither where nor why")
            for header in re.findall(r"[\w/]+\.hpp", why):
                if status == "supported" and not any((HEADERS / p / header).exists() for p in ("", "..", "procfs", "task", "io")):
                    complaints.append(f"there is no {header}")
            report.check(f"ledger: entry {name}", "; ".join(complaints))

    elif "test" in columns:
        for row in body:
            named = re.findall(r"[\w]+\.test\.cpp", row[-1])
            known = [name for name in named if row[0] in tests_text.get(name, "") or (len(row) > 1 and row[1] in tests_text.get(name, ""))]
            report.check(f"ledger: {heading}: {' '.join(row[:2])}", "" if known else f"{row[-1] or 'no test'} does not mention it")

for header in sorted((HEADERS / "procfs").glob("*.hpp")):
    fields = re.findall(r'\bvisit\(\s*"([^"]+)"', header.read_text())
    ledger = {field for file, fields_of_file in rows.items() if file.split("/")[0] == header.stem for field in fields_of_file}
    missing = [field for field in fields if field not in ledger]
    if fields:
        report.check(f"ledger: every field of {header.name}", "no row for " + ", ".join(missing) if missing else "")

# On the kernel that the ledger is written for, the directory itself is the judge.
report.check("ledger: entries of /proc/<pid>", "" if entries else "there is no table of them")
if re.match(r"6\.18\b", os.uname().release) and entries:
    present = set(os.listdir("/proc/self")) | set(os.listdir("/proc/thread-self"))
    missing = sorted(present - set(entries))
    report.check("ledger: every entry of this kernel's /proc/<pid>", ", ".join(missing))
else:
    report.skip("ledger: every entry of this kernel's /proc/<pid>", f"this is Linux {os.uname().release}, not 6.18")
report.close()
