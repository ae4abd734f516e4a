#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""What including a header costs, in preprocessed lines. Gated where the count is deterministic: g++ 12 with Boost 1.74."""

import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, Report, headers, in_parallel, run

THOUSAND_LINES = {"": 19, "text": 25, "procfs": 25, "io": 28, "task": 28, "taskpeek.hpp": 32}  # other floors are only told
NOT_GATED = {"error_code.hpp"}  # opt-in, for its <system_error>

gxx = shutil.which("g++-12") or shutil.which("g++")
report = Report()
if gxx is None:
    report.skip("include diet", "there is no g++ here")
    report.close()

version = run([gxx, "-dumpversion"])[1].strip()
boost = run(["bash", "-c", f"echo BOOST_LIB_VERSION | {gxx} -E -P -include boost/version.hpp -x c++ -"])[1].strip().strip('"')
gated = version.split(".")[0] == "12" and boost == "1_74"


def lines_of(header):
    status, output = run([gxx, "-std=c++20", "-E", "-P", "-I", ROOT / "include", "-x", "c++", header])
    return -1 if status else len(output.splitlines())


for header, lines in zip(headers(), in_parallel(lines_of, headers())):
    name = str(header.relative_to(HEADERS))
    floor = name.split("/")[0] if "/" in name or name in THOUSAND_LINES else ""
    allowed = THOUSAND_LINES.get(floor) if name not in NOT_GATED else None
    print(f"{lines:7,} of {f'{allowed}k' if allowed else 'any'}  {name}")
    if lines < 0:
        report.check(f"include diet: {name}", "it does not preprocess")
    elif gated and allowed:
        report.check(f"include diet: {name}", f"{lines} lines, {allowed},000 allowed" if lines > allowed * 1000 else "")
if not gated:
    report.skip("include diet", f"numbers hold for g++ 12 with Boost 1_74; here is g++ {version} with Boost {boost}")
report.close()
