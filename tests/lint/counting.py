#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""`./dev test` counts what programs say of themselves, and takes for failed what cannot be believed."""

import contextlib
import io
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import Report
from run import Total

CASES = {
    "a program that passed": ((0, "3 passed, 0 failed, 0 skipped"), (3, 0, 0)),
    "its other output": ((0, "hello\n3 passed, 0 failed, 0 skipped\n"), (3, 0, 0)),
    "a failure": ((1, "FAIL a: why\n2 passed, 1 failed, 0 skipped"), (2, 1, 0)),
    "a skip": ((0, "SKIP a: no root\n2 passed, 0 failed, 1 skipped"), (2, 0, 1)),
    "a skip without its reason": ((0, "2 passed, 0 failed, 1 skipped"), (2, 0, 1)),
    "a crash": ((-11, "3 passed, 0 failed, 0 skipped\nSegmentation fault"), (0, 1, 0)),
    "a crash after the count": ((-11, "3 passed, 0 failed, 0 skipped"), (3, 1, 0)),
    "a leak reported after the count": ((1, "3 passed, 0 failed, 0 skipped\nERROR: LeakSanitizer"), (0, 1, 0)),
    "a hang": (("timeout", "\nkilled after 300 s"), (0, 1, 0)),
    "silence": ((0, ""), (0, 1, 0)),
    "nothing run": ((0, "0 passed, 0 failed, 0 skipped"), (0, 1, 0)),
    "failures denied by the status": ((0, "FAIL a: why\n2 passed, 1 failed, 0 skipped"), (2, 2, 0)),
    "a line that only looks like the count": ((0, "about 3 passed, 0 failed, 0 skipped"), (0, 1, 0)),
}

report = Report()
for name, (said, wanted) in CASES.items():
    total = Total()
    with contextlib.redirect_stdout(io.StringIO()):
        total.add("stage", "program", *said)
    counted = (total.passed, total.failed, total.skipped)
    report.check(f"counting: {name}", "" if counted == wanted else f"counted {counted}, wanted {wanted}")
    if total.failed and not total.failures:
        report.check(f"counting: {name}", "the closing list does not name it")
report.close()
