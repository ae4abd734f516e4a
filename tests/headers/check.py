#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Each header compiles alone, and twice in one TU; two TUs that include all headers make one program (ODR)."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import HEADERS, ROOT, STRICT, Report, compiler, extra_flags, first_lines, headers, in_parallel, run

report = Report()
names = [str(header.relative_to(ROOT / "include")) for header in headers()]
if run(["bash", "-c", f"echo '#include <elfutils/libdw.h>' | {' '.join(map(str, compiler()))} -E -x c++ - -o /dev/null"])[0]:
    names.remove("taskpeek/stack/debuginfo.hpp")
    report.skip("taskpeek/stack/debuginfo.hpp compiles alone", "libdw is not installed")
build = [*compiler(), *STRICT, *extra_flags(), "-I", ROOT / "include"]

with tempfile.TemporaryDirectory() as scratch_name:
    scratch = pathlib.Path(scratch_name)

    def alone(name):
        stem = name.replace("/", "_").removesuffix(".hpp")
        source = scratch / f"{stem}.cpp"
        source.write_text(f"#include <{name}>\n#include <{name}> // again: the guard holds\n")
        return run([*build, "-O0", "-c", source, "-o", scratch / f"{stem}.o"])

    for name, (status, output) in zip(names, in_parallel(alone, names)):
        report.check(f"{name} compiles alone", first_lines(output) if status else "")

    everything = "".join(f"#include <{name}>\n" for name in names)
    (scratch / "one.cpp").write_text(everything + "int other();\nint main() { return other(); }\n")
    (scratch / "two.cpp").write_text(everything + "int other();\nint other() { return 0; }\n")
    objects = [scratch / "one.o", scratch / "two.o"]
    outcomes = in_parallel(lambda o: run([*build, "-O0", "-c", o.with_suffix(".cpp"), "-o", o]), objects)
    outcomes.append(run([*build, *objects, "-o", scratch / "program"]))
    outcomes.append(run([scratch / "program"]) if outcomes[-1][0] == 0 else (1, "it did not link"))
    failures = [output for status, output in outcomes if status]
    report.check("two TUs with every header make one program", first_lines(failures[0]) if failures else "")

report.close()
