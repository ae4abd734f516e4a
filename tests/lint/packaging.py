#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The recipes of package managers that are not on this machine: each can be read, and all tell one version and licence."""

import configparser
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, Report, relative, run

PACKAGING = ROOT / "packaging"
report = Report()
project = (ROOT / "meson.build").read_text()
version = re.search(r"version: '([\d.]+)'", project)[1]


def balanced(text):
    """Parentheses of CMake code, strings and comments apart."""
    code = re.sub(r'"(?:[^"\\]|\\.)*"|#[^\n]*', "", text)
    return code.count("(") == code.count(")")


port = json.loads((PACKAGING / "vcpkg/ports/taskpeek/vcpkg.json").read_text())
report.check("packaging: vcpkg version", "" if port["version"] == version else f"{port['version']}, meson.build says {version}")
report.check("packaging: vcpkg licence", "" if port["license"] == "BSL-1.0" else port["license"])
wanted = {"boost-outcome", "range-v3"}
named = {d if isinstance(d, str) else d["name"] for d in port["dependencies"]}
report.check("packaging: vcpkg dependencies", "" if wanted <= named else f"lacks {wanted - named}")

for script in [*PACKAGING.rglob("*.cmake"), *PACKAGING.rglob("*.cmake.in"), *PACKAGING.rglob("CMakeLists.txt")]:
    report.check(f"packaging: {relative(script)}", "" if balanced(script.read_text()) else "unbalanced parentheses")

for recipe in PACKAGING.rglob("*.py"):
    try:
        compile(recipe.read_text(), recipe, "exec")
        report.check(f"packaging: {relative(recipe)}")
    except SyntaxError as problem:
        report.check(f"packaging: {relative(recipe)}", str(problem))
conan_version = re.search(r'version = "([\d.]+)"', (PACKAGING / "conan/conanfile.py").read_text())[1]
report.check("packaging: conan version", "" if conan_version == version else f"{conan_version}, meson.build says {version}")

wrap = configparser.ConfigParser()
wrap.read(PACKAGING / "meson/taskpeek.wrap")
report.check("packaging: wrap revision", "" if wrap["wrap-git"]["revision"] == f"v{version}" else f"not v{version}")
dependency = wrap["provide"]["taskpeek"]
report.check("packaging: wrap provides", "" if re.search(rf"^{dependency} = declare_dependency", project, re.M) else f"no {dependency}")

config = (PACKAGING / "cmake/taskpeekConfig.cmake.in").read_text()
saved, found = config.find("set(_taskpeek_prefix"), config.find("find_dependency(")
report.check("packaging: CMake config saves its prefix first", "" if 0 < saved < found else "find_dependency overwrites it")
pc = run(["git", "-C", ROOT, "grep", "-nE", "^[^#]*requires", "--", "packaging/meson.build"])[1]
report.check("packaging: pkg-config requires nothing", pc.strip())
changes = ROOT / "CHANGELOG.md"
if changes.exists():
    report.check("packaging: CHANGELOG.md knows this version", "" if version in changes.read_text() else f"no word of {version}")
report.close()
