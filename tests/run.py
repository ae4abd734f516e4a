#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The stages of `./dev test`, one after the other, and their sum.

`./dev test` has installed the packages. Each stage builds what it tests and runs programs and scripts that all speak alike: they
end with the line `N passed, N failed, N skipped` and exit with 0 only if none failed. Whatever ends otherwise (a crash, a hang,
no such line, a status that contradicts it) counts as one failure more, so that nothing is lost in silence.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from report import ROOT, first_lines, run

BUILD = ROOT / "build"
CLOSING_LINE = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")
CORES = len(os.sched_getaffinity(0))
STRICT_OPTIONS = ["-Dwerror=true", "-Dtests=enabled"]
SANITIZED = ["-Doptimization=0", "-Ddebug=true", "-Db_lundef=false"]


class Total:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures, self.skips = [], {}

    def fail(self, what):
        self.failed += 1
        self.failures.append(what)

    def skip(self, what):
        self.skipped += 1
        self.skips[what] = self.skips.get(what, 0) + 1

    def add(self, stage, name, status, output):
        """Adds what a program said of itself, if it can be believed."""
        lines = output.splitlines()
        closing = CLOSING_LINE.fullmatch(lines[-1]) if lines else None
        if closing is None:
            return self.fail(f"{stage}/{name}: ended with status {status} and without a count{first_lines(chr(10).join(lines[-30:]), 30)}")
        passed, failed, skipped = map(int, closing.groups())
        failures = [line[5:] for line in lines if line.startswith("FAIL ")]
        skips = [line[5:] for line in lines if line.startswith("SKIP ")]
        self.passed += passed
        self.failed += failed
        self.failures += [f"{stage}/{name}: {line}" for line in failures]
        if failed:
            print(output, flush=True)
        for line in skips[:skipped]:
            self.skip(line)
        for _ in range(skipped - len(skips)):
            self.skip(f"{stage}/{name}: skipped a case and gave no reason")
        if (status == 0) != (failed == 0):
            self.fail(f"{stage}/{name}: status {status} contradicts {failed} failures")
        if passed + failed + skipped == 0:
            self.fail(f"{stage}/{name}: ran nothing")


total = Total()


@contextlib.contextmanager
def stage(name):
    """Times what it holds and counts it. One that raises has failed, and the next one runs all the same."""
    print(f"\n== {name}", flush=True)
    start, before = time.monotonic(), (total.passed, total.failed, total.skipped)
    try:
        yield
    except Exception as problem:  # whatever it is, the other stages still have something to tell
        total.fail(f"{name}: {problem}")
    done = [now - then for now, then in zip((total.passed, total.failed, total.skipped), before)]
    print(f"   {done[0]} passed, {done[1]} failed, {done[2]} skipped in {time.monotonic() - start:.0f} s", flush=True)


def through_ccache(compiler):
    return f"ccache {compiler}" if shutil.which("ccache") else compiler


def configure(name, compiler, options):
    """Sets build/<name> up, anew where it was set up otherwise or with other tools."""
    folder = BUILD / name
    wanted = json.dumps([options, run(["meson", "--version"])[1], run([compiler, "--version"])[1]])
    stamp = folder / "taskpeek-options.json"
    if folder.exists() and (not stamp.exists() or stamp.read_text() != wanted):
        shutil.rmtree(folder)
    if not stamp.exists():
        status, output = run(["meson", "setup", folder, *options], cwd=ROOT, env={**os.environ, "CXX": through_ccache(compiler)})
        if status:
            raise RuntimeError(f"meson setup {folder.relative_to(ROOT)} failed{first_lines(output, 60)}")
        stamp.write_text(wanted)
    return folder


def compile_targets(folder, targets=()):
    """Builds them, or everything; goes on after the first error, so that all are seen."""
    status, output = run(["ninja", "-C", folder, "-k", "0", "-j", CORES, *targets])
    if status:
        lines = output.splitlines()
        errors = [line for line in lines if re.search(r"\berror:|^FAILED:", line)] or lines[-20:]
        print("\n".join(lines[-200:]), flush=True)
        raise RuntimeError(f"{folder.relative_to(ROOT)} does not build{first_lines(chr(10).join(errors), 8)}")


def run_test(test, env):
    """One program; a hung one is killed with all that it started."""
    limit = float(test.get("timeout") or 300)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(test["cmd"], cwd=test.get("workdir") or ROOT, env={**os.environ, **test.get("env", {}), **env},
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(limit)
            late = ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            status, late = "timeout", f"\nkilled after {limit:.0f} s"
        log.seek(0)
        return status, log.read().decode(errors="replace") + late


def run_tests(stage_name, folder, suites=None, env=None, without=frozenset()):
    """The tests that meson knows of: those that may share the machine side by side, then the others alone."""
    status, output = run(["meson", "introspect", "--tests", folder])
    if status:
        raise RuntimeError(f"meson introspect failed{first_lines(output)}")
    tests = [t for t in json.loads(output) if suites is None or any(s.split(":")[-1] in suites for s in t["suite"])]
    tests = [t for t in tests if t["name"] not in without]
    if not tests:
        raise RuntimeError(f"{folder.relative_to(ROOT)} has no tests")
    env = env or {}
    side_by_side = [t for t in tests if t["is_parallel"]]
    alone = [t for t in tests if not t["is_parallel"]]
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for test, (status, output) in zip(side_by_side, pool.map(lambda t: run_test(t, env), side_by_side)):
            total.add(stage_name, test["name"], status, output)
    for test in alone:
        started = time.monotonic()
        status, output = run_test(test, env)
        total.add(stage_name, test["name"], status, output)
        if (seconds := time.monotonic() - started) > 5:
            print(f"   {test['name']} took {seconds:.0f} s", flush=True)


def run_script(stage_name, script, env=None, arguments=(), timeout=900):
    command = [sys.executable, str(script)] if script.suffix == ".py" else [str(script)]
    test = {"cmd": [*command, *map(str, arguments)], "timeout": timeout}
    started = time.monotonic()
    status, output = run_test(test, env or {})
    name = script.parent.name if script.stem == "check" else script.stem
    total.add(stage_name, name, status, output)
    print(f"   {name}: {time.monotonic() - started:.1f} s", flush=True)


SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:abort_on_error=1:allocator_may_return_null=1:handle_segv=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


FAST = ["-Doptimization=2", "-Ddebug=false"]
SOON_BUILT = ["-Doptimization=0", "-Ddebug=false"]
WITH_EXAMPLES, NO_EXAMPLES = ["-Dexamples=enabled"], ["-Dexamples=disabled"]
ASAN = [*SANITIZED, "-Db_sanitize=address,undefined", *WITH_EXAMPLES, *STRICT_OPTIONS]


def configure_whole():
    return configure("g++", "g++", [*FAST, *WITH_EXAMPLES, *STRICT_OPTIONS])


def configure_benchmarks():
    return configure("bench", "g++", [*FAST, *WITH_EXAMPLES, "-Dtests=disabled", "-Dbenchmarks=enabled", "-Dwerror=true"])


def link_examples():
    """build/examples/NAME: where the documents say that the programs are."""
    links = BUILD / "examples"
    links.mkdir(exist_ok=True)
    for old in links.iterdir():
        old.unlink()
    for program in sorted((BUILD / "g++" / "examples").iterdir()):
        if program.is_file() and os.access(program, os.X_OK):
            (links / program.name).symlink_to(os.path.relpath(program, links))


def all_tests(label, compiler, options):
    with stage(f"{label}: all tests"):
        folder = configure(label, compiler, [*options, *STRICT_OPTIONS])
        compile_targets(folder)
        run_tests(label, folder)


def compile_checks(label, compiler, flags=""):
    with stage(f"{label}: headers alone, programs that must not compile"):
        for check in ("headers", "must_not_compile"):
            run_script(label, ROOT / "tests" / check / "check.py", {"CXX": compiler, "CXXFLAGS": flags})


def sanitized(what, label, compiler, options, suites, targets=(), without=frozenset()):
    with stage(f"{label}: {what}"):
        folder = configure(label, compiler, options)
        compile_targets(folder, targets)
        run_tests(label, folder, suites, SANITIZER_ENV, without)


# The thread sanitizer gives each process, forked children too, a thread of its own and replaces what lies on their stacks: tests
# that count another process's threads or look at its stacks would test that.
NOT_UNDER_TSAN = frozenset({"capture", "facts", "headroom", "saved", "symbols", "unwind", "unwind_places"})


def lint():
    with stage("lint"):
        for script in sorted((ROOT / "tests" / "lint").glob("*.py")):
            run_script("lint", script)


def tidy(*arguments):
    with stage("clang-tidy"):
        run_script("tidy", ROOT / "tests" / "tidy" / "check.py", arguments=arguments, timeout=1800)


def boost_1_81():
    """The headers of Boost 1.81, unpacked below build/: Debian's package conflicts with that of 1.74."""
    unpacked = BUILD / "boost-1.81"
    include = unpacked / "usr" / "include"
    if not (include / "boost" / "outcome" / "basic_result.hpp").exists():
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        # apt's own user cannot write here; root may download without it
        for command in ("apt-get -o APT::Sandbox::User=root download libboost1.81-dev", "dpkg -x libboost1.81-dev_*.deb .",
                        "rm libboost1.81-dev_*.deb"):
            status, output = run(["bash", "-c", command], cwd=unpacked)
            if status:
                raise RuntimeError(f"{command}{first_lines(output)}")
    return include


def newer_boost():
    """Whether everything compiles with it is what matters; of running, the decoders tell enough."""
    with stage("boost181: everything builds, decoders run"):
        folder = configure("boost181", "g++", [*SOON_BUILT, *NO_EXAMPLES, f"-Dcpp_args=-isystem{boost_1_81()}", *STRICT_OPTIONS])
        compile_targets(folder)
        run_tests("boost181", folder, {"decoders"})


def elsewhere():
    """Kernels booted in emulation, pages opened in a browser: each a program of its own that ends like the others."""
    with stage("later kernels and browsers"):
        for folder in ("kernels", "browser"):
            for script in sorted((ROOT / "tests" / folder).glob("*")):
                if script.is_file() and os.access(script, os.X_OK):
                    run_script(folder, script, {"TASKPEEK_BUILD": str(BUILD / "g++")}, timeout=2400)


def test(everything):
    all_tests("g++", "g++", [*FAST, *WITH_EXAMPLES])
    sanitized("decoders under ASan and UBSan", "asan", "g++", ASAN, {"decoders"}, ["decoders-tests"])
    compile_checks("g++", "g++")
    lint()
    with stage("consumers"):
        run_script("consumers", ROOT / "tests" / "consumers" / "check.py")
    if not everything:
        return
    for label, compiler in (("clang14", "clang++-14"), ("clang19", "clang++-19")):
        all_tests(label, compiler, [*SOON_BUILT, *WITH_EXAMPLES])
        compile_checks(label, compiler)
    all_tests("noexcept", "g++", [*SOON_BUILT, *NO_EXAMPLES, "-Dcpp_eh=none", "-Dcpp_rtti=false"])
    compile_checks("noexcept", "g++", "-fno-exceptions -fno-rtti")
    newer_boost()
    sanitized("the rest under ASan and UBSan", "asan", "g++", ASAN, {"live", "property", "examples"})
    sanitized("live tests under TSan", "tsan", "clang++-19", [*SANITIZED, "-Db_sanitize=thread", *NO_EXAMPLES, *STRICT_OPTIONS],
              {"live"}, ["live-tests"], NOT_UNDER_TSAN)
    with stage("fuzz"):
        run_script("fuzz", ROOT / "tests" / "fuzz" / "check.py", timeout=1800)
    with stage("benchmarks build"):
        compile_targets(configure_benchmarks(), ["benchmark-programs"])
        total.passed += 1
    tidy()
    elsewhere()


def close(started):
    if total.skips:
        print("\nSkipped:")
        for what, times in sorted(total.skips.items()):
            print(f"  {what}" + (f" ({times} times)" if times > 1 else ""))
    if total.failures:
        print("\nFailed:")
        for what in total.failures:
            print(f"  {what}")
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return 1 if total.failed else 0


def build(what):
    """Builds and says nothing more than it must."""
    try:
        if what == "bench":
            compile_targets(configure_benchmarks(), ["benchmark-programs"])
            compile_targets(configure_whole(), ["examples/user_stacks", "tests/targets/deep-O2"])  # for benchmarks/stacks.py
        else:
            compile_targets(configure_whole(), ["examples"] if what == "examples" else [])
            link_examples()
    except RuntimeError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def bench(json_file):
    """Runs the benchmark programs one after the other, and puts what each measured into one list."""
    if build("bench"):
        return 1
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        built = [p for p in (BUILD / "bench" / "benchmarks").iterdir() if p.is_file() and os.access(p, os.X_OK)]
        scripts = [ROOT / "benchmarks" / name for name in ("include_cost.py", "stacks.py")]
        for program in sorted(built + scripts, key=lambda p: p.name):
            measured = pathlib.Path(scratch) / f"{program.name}.json"
            print(f"== {program.name}", flush=True)
            if subprocess.run([program, "--json", measured], stdin=subprocess.DEVNULL, check=False).returncode:
                print(f"{program.name} failed", file=sys.stderr)
                return 1
            rows += json.loads(measured.read_text())
    if json_file:
        pathlib.Path(json_file).write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("test").add_argument("--all", action="store_true", help="every compiler, sanitizer and kernel")
    commands.add_parser("lint")
    commands.add_parser("build").add_argument("what", nargs="?", choices=["all", "examples", "bench"], default="all")
    commands.add_parser("bench").add_argument("--json", metavar="FILE")
    chosen = arguments.parse_args()
    if chosen.command == "bench":
        return bench(chosen.json)
    if chosen.command == "build":
        return build(chosen.what)
    started = time.monotonic()
    if chosen.command == "lint":
        lint()
        tidy("--headers")
    else:
        test(chosen.all)
    return close(started)


if __name__ == "__main__":
    sys.exit(main())
