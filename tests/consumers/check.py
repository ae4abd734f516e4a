#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Users of four kinds build the same program, each in its own way, and run it: it must find itself among all threads."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, STRICT, Report, compiler, first_lines, run

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "program" / "main.cpp"
CXX = " ".join(compiler())


class Broken(Exception):
    pass


def must(command, **options):
    status, output = run(command, **options)
    if status:
        raise Broken(f"{' '.join(map(str, command))}: status {status}{first_lines(output, 30)}")
    return output


def runs(program):
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    output = process.communicate(timeout=60)[0]
    wanted = f"{process.pid} {program.name[:15]}\n"
    if process.returncode or output != wanted:
        raise Broken(f"it printed {output!r} with status {process.returncode}, and not {wanted!r}")


def readme(scratch):
    """The program that README.md shows, as it stands there."""
    blocks = re.findall(r"^```cpp\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    programs = [block for block in blocks if "int main(" in block]
    if not programs:
        raise Broken("README.md shows no program")
    for number, program in enumerate(programs):
        source = scratch / f"readme{number}.cpp"
        source.write_text(program)
        must([*compiler(), *STRICT, "-I", ROOT / "include", source, "-o", source.with_suffix("")])
        if str(os.getpid()) not in must([source.with_suffix("")]):
            raise Broken("it does not tell of the process that started it")


def plain(scratch):
    must([*compiler(), "-std=c++20", "-I", ROOT / "include", PROGRAM, "-o", scratch / "plain"])
    runs(scratch / "plain")


def installed(scratch):
    """Our package in a prefix, moved away from where it was installed."""
    must(["meson", "setup", scratch / "build", ROOT, "--prefix", scratch / "first", "-Dtests=disabled", "-Dexamples=disabled"],
         env={**os.environ, "CXX": CXX})
    must(["meson", "install", "-C", scratch / "build"])
    (scratch / "first").rename(scratch / "moved")
    return scratch / "moved"


def pkg_config(scratch):
    prefix = installed(scratch)
    env = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "share" / "pkgconfig")}
    flags = must(["pkg-config", "--cflags", "--libs", "taskpeek"], env=env).split()
    if requires := must(["pkg-config", "--print-requires", "--print-requires-private", "taskpeek"], env=env).split():
        raise Broken(f"it requires {requires}, of which Debian has no .pc file")
    must([*compiler(), "-std=c++20", PROGRAM, *flags, "-o", scratch / "pkgconfig"])
    runs(scratch / "pkgconfig")


def cmake(scratch):
    prefix = installed(scratch)
    must(["cmake", "-S", HERE / "cmake", "-B", scratch / "consumer", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}"],
         env={key: value for key, value in os.environ.items() if key != "CXX"})
    must(["cmake", "--build", scratch / "consumer"])
    runs(scratch / "consumer" / "consumer")


def meson_subproject(scratch):
    project = scratch / "project"
    shutil.copytree(HERE / "meson", project)
    shutil.copy(PROGRAM, project)
    ours = project / "subprojects" / "taskpeek"
    ours.parent.mkdir()
    ours.symlink_to(ROOT, target_is_directory=True)
    must(["meson", "setup", project / "build", project], env={**os.environ, "CXX": CXX})
    targets = must(["meson", "introspect", "--targets", project / "build"])
    if "doctest_main" in targets or "list_tasks" in targets:
        raise Broken("a subproject builds tests or examples that nobody asked for")
    must(["ninja", "-C", project / "build"])
    runs(project / "build" / "consumer")


report = Report()
USERS = {
    "README.md's program": readme,
    "plain -I": plain,
    "pkg-config": pkg_config,
    "CMake find_package from a moved prefix": cmake,
    "meson subproject": meson_subproject,
}
for name, use in USERS.items():
    with tempfile.TemporaryDirectory() as scratch_name:
        try:
            use(pathlib.Path(scratch_name).resolve())
            report.check(name)
        except Broken as problem:
            report.check(name, str(problem))
report.close()
