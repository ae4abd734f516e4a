# SPDX-License-Identifier: BSL-1.0
"""Pages in a headless Chromium: gets playwright-core, runs a check of tests/browser/*.mjs, and adds up what it counted.

    with Browser(report) as browser:
        browser.check("flame_graph", page, "what the check is told")

To look at the pages oneself: TASKPEEK_PICTURES=folder tests/browser/show_vas.py
"""

import os
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "examples")]
BUILD = pathlib.Path(os.environ.get("TASKPEEK_BUILD", HERE.parent.parent / "build" / "g++"))
os.environ.setdefault("TASKPEEK_EXAMPLES", str(BUILD / "examples"))

from report import ROOT, first_lines, run

PLAYWRIGHT = ROOT / "build" / "playwright"
VERSION = "1.65.1"  # newer ones should do: it is Debian's Chromium that they drive


def missing():
    """What a check of pages needs and this machine lacks; gets playwright-core if it must."""
    if not (shutil.which("chromium") or os.environ.get("TASKPEEK_CHROMIUM")):
        return "needs Debian's chromium"
    if not shutil.which("node"):
        return "needs Debian's nodejs"
    if (PLAYWRIGHT / "node_modules" / "playwright-core" / "package.json").exists():
        return ""
    if not shutil.which("npm"):
        return "needs npm to get playwright-core"
    PLAYWRIGHT.mkdir(parents=True, exist_ok=True)
    status, output = run(["npm", "install", "--prefix", PLAYWRIGHT, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
                          f"playwright-core@{VERSION}"], timeout=300)
    return f"npm could not get playwright-core: {first_lines(output, 4)}" if status else ""


class Browser:
    def __init__(self, report):
        self.report = report
        if reason := missing():
            report.skip("pages in a browser", reason)
            report.close()

    def check(self, script, *arguments):
        """Runs SCRIPT.mjs on the arguments, of which the first is the page."""
        environment = {**os.environ, "TASKPEEK_PLAYWRIGHT": str(PLAYWRIGHT)}
        environment.setdefault("TASKPEEK_CHROMIUM", shutil.which("chromium") or "")
        status, output = run(["timeout", "300", "node", HERE / f"{script}.mjs", *arguments], env=environment)
        counts = re.search(r"^(\d+) passed, (\d+) failed", output, re.M)
        for line in output.splitlines():
            if line.startswith("FAIL "):
                case, _, complaint = line[5:].partition(": ")
                self.report.check(f"{script}: {case}", complaint or "failed")
            elif not re.match(r"\d+ passed", line):
                print(line)
        if counts is None:
            self.report.check(f"{script}: it runs to its end", f"status {status}{first_lines(output, 20)}")
        else:
            self.report.passed += int(counts[1])
