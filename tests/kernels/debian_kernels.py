#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Debian's kernels for x86-64 and arm64, booted in emulation on statically linked programs: is the kernel's half where the kernel has
it, and do decoders, address spaces, finder and stacks work on Linux 6.1 and 6.12, and on arm64?

What a guest is asked is compared with what it says of itself: kallsyms, kcore, modules, iomem, vmallocinfo, read in the plainest way
(init.cpp). `debian_kernels.py NAME` boots one of the guests alone."""

import collections
import concurrent.futures
import json
import pathlib
import struct
import sys

from guest import NOBODY, Failed, Unavailable, boot, build, kernel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import Report

TOP = 1 << 64
SYMBOLS = "_stext _etext __start_rodata __end_rodata _sdata _edata __bss_start __bss_stop page_offset_base vmalloc_base vmemmap_base".split()
BASES = {"direct_map": "page_offset_base", "vmalloc": "vmalloc_base", "vmemmap": "vmemmap_base"}
FILES = """auxv cgroup children cmdline comm cwd environ exe fd fdinfo io limits maps ns oom_score oom_score_adj root schedstat smaps
smaps_rollup stack stat statm status syscall wchan""".split()
LIVE_TESTS = ["finder", "residency", "process", "live_records", "rlimit", "system", "kernel_side"]
# Recorded trees are not in the guest, and a statically linked program has too few vmas for the other one.
NOT_HERE = "-tce=*recorded*,*executes another program*"
CALLS = 16  # of tests/targets/deep.cpp, from thread_main to what blocks

# asked: for the kernel's half alone, for how it is to live there as well, or for every file of every process, too
Guest = collections.namedtuple("Guest", "arch series cpu append begin asked")
HALF, LIVE, ALL = range(3)
GUESTS = {
    "x86-64, 6.1, 5 levels": Guest("amd64", "6.1", "max", "", 0xff00000000000000, ALL),
    "x86-64, 6.1, 4 levels, no KASLR": Guest("amd64", "6.1", "qemu64", "nokaslr", 0xffff800000000000, HALF),
    "x86-64, 6.12, 4 levels": Guest("amd64", "6.12", "qemu64", "", 0xffff800000000000, LIVE),
    "arm64, 6.1": Guest("arm64", "6.1", "max,pauth-impdef=on", "", 0xffff000000000000, ALL),
    "arm64, 6.12, 52 bits": Guest("arm64", "6.12", "max,pauth-impdef=on", "", 0xfff0000000000000, LIVE),
    "arm64, 6.12, 48 bits": Guest("arm64", "6.12", "cortex-a72", "nokaslr", 0xffff000000000000, HALF),
}

report = Report()


def programs(arch):
    def example(name):
        return [f"examples/{name}.cpp"], ["-g0"]

    wanted = {name: example(name) for name in ("show_vas", "proc_json", "list_tasks")}
    wanted["init"] = (["tests/kernels/init.cpp"], ["-g0"])
    wanted["specimen"] = (["tests/specimens/vas_specimen.cpp"], ["-g0"])
    wanted["deep"] = (["tests/targets/deep.cpp", "tests/targets/deep_library.cpp"], ["-O2", "-g", "-fomit-frame-pointer"])
    for name in LIVE_TESTS:
        wanted[f"test-{name}"] = ([f"tests/{name}.test.cpp", "tests/main.cpp"], ["-g0"])
    if arch == "arm64":
        wanted |= {name: example(name) for name in ("user_stacks", "stack_headroom", "kernel_stacks")}
    return build(arch, wanted)


def jobs(guest):
    wanted = [
        ("insmod", 0, ":insmod", "/modules/loop.ko"),
        ("insmod2", 0, ":insmod", "/modules/tun.ko"),
        ("symbols", 0, ":symbols", *SYMBOLS),
        ("values", 0, ":values", *BASES.values()),
        ("kcore", 0, ":head", "/proc/kcore", 65536),
        ("modules", 0, ":cat", "/proc/modules"),
        ("iomem", 0, ":cat", "/proc/iomem"),
        ("&specimen", 0, "/bin/specimen"),
        ("&theirs", NOBODY, "/bin/specimen"),
        ("vas", 0, "/bin/show_vas", "@specimen", "--json"),
        ("kernel", 0, "/bin/show_vas", "1", "--kernel", "--json"),
        ("vmallocinfo", 0, ":cat", "/proc/vmallocinfo"),
        ("cpus", 0, ":cat", "/proc/cpuinfo"),
        ("vas theirs", NOBODY, "/bin/show_vas", "@theirs", "--json"),
        ("kernel refused", NOBODY, "/bin/show_vas", "1", "--kernel", "--json"),
        ("restrict", 0, ":write", "/proc/sys/kernel/kptr_restrict", "2"),
        ("kernel without symbols", 0, "/bin/show_vas", "1", "--kernel", "--json"),
        ("allow", 0, ":write", "/proc/sys/kernel/kptr_restrict", "0"),
    ]
    if guest.asked >= LIVE:
        wanted += [(f"test-{name}", 0, f"/bin/test-{name}", NOT_HERE) for name in LIVE_TESTS]
    if guest.asked == ALL:
        wanted += [("list_tasks", 0, "/bin/list_tasks", "--threads", "--json"), ("tasks", 0, ":each", "/bin/proc_json", *FILES)]
    if guest.asked >= LIVE and guest.arch == "arm64":
        wanted += [
            ("&deep", 0, "/bin/deep", "48"),
            ("no_stop", 0, "/bin/user_stacks", "@deep", "--json"),
            ("brief_stop", 0, "/bin/user_stacks", "@deep", "--json", "--stop"),
            ("kernel_stacks", 0, "/bin/kernel_stacks", "@deep", "--json"),
            ("headroom", 0, "/bin/stack_headroom", "@deep", "--json"),
        ]
    return [tuple(field.replace(" ", "-") if i == 0 else field for i, field in enumerate(job)) for job in wanted]


class Half:
    """The kernel's half as show_vas has it."""

    def __init__(self, regions):
        self.regions = [(int(r["start"], 16), int(r["end"], 16), r["name"], r["source"], r["evidence"]) for r in regions]

    def at(self, address):
        return next((r for r in self.regions if r[0] <= address < r[1]), (0, 0, "nothing", "nothing", ""))

    def spell(self, address):
        start, end, name, source, _ = self.at(address)
        return f"{name}, {source}, {start:x}-{end:x}"

    def expect(self, start, end, name, source):
        """Is there exactly this region?"""
        return "" if (start, end, name, source) in [r[:4] for r in self.regions] else f"wanted {name} {start:x}-{end:x}, {source}: {self.spell(start)}"

    def inside(self, start, end, name, source=None):
        """Has every piece of the range this name?"""
        for r in self.regions:
            if r[0] < end and r[1] > start and (r[2] != name or source not in (None, r[3])):
                return f"wanted {name} {start:x}-{end:x}: {self.spell(max(start, r[0]))}"
        return ""


def tiling(ranges, begin, end):
    at = begin
    for r in ranges:
        if r[0] != at or r[1] <= r[0]:
            return f"at {at:x}: {r}"
        at = r[1]
    return "" if at == end else f"ends at {at:x}"


def headers(core):
    """(address, size, physical address) of each PT_LOAD; physical None where kcore has none."""
    offset, = struct.unpack_from("<Q", core, 32)
    size, count = struct.unpack_from("<HH", core, 54)
    parts = [struct.unpack_from("<IIQQQQQQ", core, offset + size * i) for i in range(count)]
    return [(p[3], p[6], None if p[4] == TOP - 1 else p[4]) for p in parts if p[0] == 1]


def pairs(text):
    return {name: int(value, 16) for name, value in (line.split() for line in text.splitlines())}


def check_kernel_half(check, guest, answers):
    told = json.loads(answers.text("kernel"))
    half = Half(told["kernel"])
    x86 = guest.arch == "amd64"
    check("the hole between the halves", half.expect(TOP - guest.begin, guest.begin, "non_canonical_hole", "documented default"))
    check("the regions tile the kernel's half", tiling(half.regions[1:], guest.begin, TOP))
    sources = {r[3] for r in half.regions}
    check("every region names its source", "" if sources <= {"measured", "derived", "documented default"} else str(sources))

    symbols, values = pairs(answers.text("symbols")), pairs(answers.text("values"))
    parts = headers(answers.bytes("kcore"))
    for name, first, last in (("text", "_stext", "_etext"), ("rodata", "__start_rodata", "__end_rodata"), ("data", "_sdata", "_edata"),
                              ("bss", "__bss_start", "__bss_stop")):
        if first in symbols and last in symbols:
            check(f"kernel {name}", half.expect(symbols[first], symbols[last], f"kernel_{name}", "measured"))
        else:  # no CONFIG_KALLSYMS_ALL
            known = [r for r in half.regions if r[2] == f"kernel_{name}"]
            image = next(p for p in parts if p[0] <= symbols["_stext"] < p[0] + p[1])
            within = all(image[0] <= r[0] and r[1] <= image[0] + image[1] and r[3] == "derived" for r in known)
            check(f"kernel {name}, without its symbols", "" if within and (known or name == "bss") else str(known))
    check("the text is told", "" if "_stext" in symbols and "_etext" in symbols else str(symbols))

    if x86:
        check("the base variables are told", "" if set(values) == set(BASES.values()) else str(values))
        for name, variable in BASES.items():
            start, _, found, source, _ = half.at(values[variable])
            check(f"{name} begins where {variable} says", "" if (start, found, source) == (values[variable], name, "measured")
                  else half.spell(values[variable]))
        moved = values["page_offset_base"] not in (0xffff888000000000, 0xff11000000000000)
        check("KASLR did what was asked", "" if moved == ("nokaslr" not in guest.append) else f"{values}")
        for name, at in (("cpu_entry_area", 0xfffffe0000000000), ("fixmap", 0xffffffffff5ff000), ("vsyscall", 0xffffffffff600000),
                         ("modules", 0xffffffffc0000000)):
            check(name, "" if half.at(at)[2] == name else half.spell(at))
    else:
        check("fixmap", "" if any(r[2] == "fixmap" for r in half.regions) else "none")
    mapped = {"amd64": lambda start: start < 0xffffffff80000000, "arm64": lambda start: True}[guest.arch]
    image = next(p for p in parts if p[0] <= symbols["_stext"] < p[0] + p[1])
    memory = [p for p in parts if p[2] is not None and p is not image]
    check("kcore's memory is in the direct map", "".join(half.inside(p[0], p[0] + p[1], "direct_map") for p in memory) if memory else "there is none")
    if x86:
        off = [f"{p[0]:x}" for p in memory if p[0] - p[2] != values["page_offset_base"]]
        check("kcore's memory lies as page_offset_base has it", ", ".join(off))
    vmalloc = max((p for p in parts if p[2] is None and mapped(p[0])), key=lambda p: p[1])
    strange = [half.spell(max(r[0], vmalloc[0])) for r in half.regions if r[0] < vmalloc[0] + vmalloc[1] - 1 and r[1] > vmalloc[0]
               and r[2] not in ("vmalloc", "modules") and not r[2].startswith("kernel_")]
    check("kcore's vmalloc is vmalloc, the image and modules", ", ".join(strange))
    maps = [p for p in parts if p[2] is None and mapped(p[0]) and p[0] > vmalloc[0] + vmalloc[1]]
    check("kcore's vmemmap is vmemmap", "".join(half.inside(p[0], p[0] + p[1], "vmemmap") for p in maps) if maps else "there is none")
    inside = [half.at(a)[2] for a in range(image[0], image[0] + image[1], 0x10000)]
    check("kcore's image is of the kernel", "" if all(n.startswith("kernel_") for n in inside) else str(set(inside)))

    modules = [line.split() for line in answers.text("modules").splitlines()]
    check("modules are loaded", "" if {m[0] for m in modules} >= {"loop", "tun"} else answers.text("modules") + answers.text("insmod"))
    check("each module is in a region of modules", "".join(half.spell(int(m[5], 16)) for m in modules
                                                           if half.at(int(m[5], 16))[2:4] != ("modules", "derived")))

    usage, areas = told["kernel_usage"], [line.split() for line in answers.text("vmallocinfo").splitlines()]
    cpus = sum(line.startswith("processor") for line in answers.text("cpus").splitlines())
    check("an IRQ stack for each CPU", "" if usage["irq_stack_count"] == cpus == 2 and usage["irq_stack_size"] == 20480 else str(usage))
    check("thread stacks are of 16 KiB and a guard page", "" if usage["thread_stack_size"] == 20480 else str(usage))
    tasks = sum(area[2].split("+")[0] in ("kernel_clone", "fork_idle", "copy_process", "dup_task_struct") for area in areas)
    check("as many thread stacks as vmallocinfo has, give or take those born meanwhile",
          "" if abs(tasks - usage["thread_stack_count"]) <= 4 and tasks > 40 else f"{tasks}, {usage}")
    check("modules' sizes", "" if usage["modules"] == sum(int(m[1]) for m in modules) and usage["module_count"] == len(modules) else str(usage))
    check("nothing is hidden from root", "" if told["hidden"] == [] else str(told["hidden"]))

    blind = json.loads(answers.text("kernel-without-symbols"))
    derived = Half(blind["kernel"])
    check("without symbols, nothing is measured", "" if all(r[3] != "measured" for r in derived.regions) else str(derived.regions))
    check("without symbols, the regions tile, too", tiling(derived.regions[1:], guest.begin, TOP))
    rules = {h["file"]: h["rule"] for h in blind["hidden"]}
    check("the rule that hides symbols is said", "" if "kptr_restrict is 2" in rules.get("/proc/kallsyms", "") else str(rules))
    text = derived.at(symbols["_stext"])
    check("without symbols, the text is where iomem and kcore have it",
          "" if text[2:4] == ("kernel_text", "derived") and text[0] in (symbols["_stext"], image[0]) and text[1] >= symbols["_etext"]
          else derived.spell(symbols["_stext"]))
    if x86:
        for name, variable in BASES.items():
            found = derived.at(values[variable] + 0x1000)
            check(f"without symbols, {name} is derived", "" if found[2:4] == (name, "derived") else derived.spell(values[variable] + 0x1000))

    # an unprivileged process learns the documented layout and why no more, and no address that the kernel keeps to itself
    secret = {f"{v:x}" for v in [*symbols.values(), *values.values()] if v} if "nokaslr" not in guest.append else set()
    for job, of_whole in (("vas-theirs", True), ("kernel-refused", False)):
        output = answers.text(job)
        refused = json.loads(output[output.index("{"):output.rindex("}") + 1])
        shown = Half(refused["kernel"])
        check(f"{job}: all is documented", "" if {r[3] for r in shown.regions} == {"documented default"} else str(shown.regions))
        check(f"{job}: kernel addresses stay secret", ", ".join(sorted(s for s in secret if s in output)))
        files = {h["file"] for h in refused["hidden"]}
        check(f"{job}: what is hidden is said", "" if files == {"/proc/kallsyms", "/proc/modules", "/proc/kcore", "/proc/iomem",
                                                               "/proc/vmallocinfo"} else str(files))
        check(f"{job}: the regions tile", tiling(shown.regions if of_whole else shown.regions[1:], guest.begin, TOP))


def check_specimen(check, guest, answers, job, specimen):
    told = json.loads(answers.text(job))
    user = [(int(r["start"], 16), int(r["end"], 16), r["class"], r.get("tid")) for r in told["user"]]
    whole = user + Half(told["kernel"]).regions
    check(f"{specimen}: both halves tile the address space", tiling(whole, 0, TOP))
    facts = [line.split() for line in answers.text(specimen).splitlines()]
    facts = [(f[0], int(f[1], 16), int(f[2])) for f in facts if len(f) == 3]
    check(f"{specimen}: tells what it has", "" if len(facts) > 15 else str(facts))
    for what, address, tid in facts:
        found = next(r for r in user if r[0] <= address < r[1]) if what != "heap_end" else next((r for r in user if r[1] == address), user[0])
        wanted = "heap" if what == "heap_end" else what
        # where ld puts read-only data into the segment of the code, as for static programs on arm64, it is mapped as text
        right = found[2] == wanted or (guest.arch == "arm64" and (wanted, found[2]) == ("rodata", "text"))
        right = right and (tid == 0 or wanted not in ("thread_stack", "main_stack") or found[3] == tid)
        check(f"{specimen}: {what} at {address:x}", "" if right else f"{found[2]}, thread {found[3]} and not {tid}")
    mapped = sum(r[1] - r[0] for r, j in zip(user, told["user"]) if "perms" in j)
    unknown = sum(r[1] - r[0] for r in user if r[2] == "unknown")
    check(f"{specimen}: at most 2 % are unknown", "" if unknown <= mapped / 50 else f"{unknown} of {mapped}")


def check_tasks(check, answers):
    listed = json.loads(answers.text("list_tasks"))
    names = {t["comm"]: t for t in listed}
    kernel_threads = {t["tgid"] for t in listed if t["kernel_thread"]}
    known = names.get("init", {}).get("tgid") == 1 and names.get("kthreadd", {}).get("tgid") in kernel_threads
    check("list_tasks: init and kernel threads", "" if known else str(names))
    check("list_tasks: the threads of the specimen", "" if sum(t["comm"] == "specimen" for t in listed) >= 10 else str(len(listed)))
    decoder, output, at, read = json.JSONDecoder(), answers.text("tasks"), 0, {}
    while (at := output.find("{", at)) >= 0:
        task, at = decoder.raw_decode(output, at)
        read[task["tgid"]] = task["files"]
    check("proc_json: as many processes as list_tasks has", "" if len(read) > 40 and len(set(read) & kernel_threads) > 30 else f"{len(read)} read")
    wrong = collections.Counter()
    for tgid, files in read.items():
        if set(files) != set(FILES):
            wrong[f"{tgid}: {sorted(set(FILES) ^ set(files))} missing"] += 1
        for name, content in files.items():
            error = content.get("error") if isinstance(content, dict) else None
            if isinstance(error, dict) and "code" in error and not (tgid in kernel_threads and error["code"] == "kernel_thread"):
                wrong[f"{name}: {error['message']}"] += 1
    check("proc_json: every file of every process is decoded", "; ".join(f"{what} ({n} times)" for what, n in wrong.most_common(12)))


def check_live_tests(check, answers):
    for name in LIVE_TESTS:
        status, output = answers.get(f"test-{name}", (1, b"it was not run"))
        text = output.decode(errors="replace")
        closing = text.splitlines()[-1] if text else ""
        check(f"tests of {name}", "" if status == 0 and ", 0 failed, " in closing and not closing.startswith("0 ") else text[-2500:])


def check_stacks(check, answers):
    """deep.cpp: in each thread, 17 calls that alternate between two functions, from thread_main to block()."""
    chain = (["deep_in_program", "deep_through_library"] * CALLS)[:CALLS + 1]
    for mode in ("no_stop", "brief_stop"):
        told = json.loads(answers.text(mode))
        threads = [t for t in told["threads"] if t["tid"] != told["tgid"]]
        check(f"{mode}: all threads are there", "" if len(threads) == 48 else str(len(threads)))
        complete = inferred = 0
        wrong = []
        for t in threads:
            calls = [(f["symbol"] or "?").replace("(anonymous namespace)::", "").split("(")[0] for f in t["frames"]]
            deep = [c for c in calls if c.startswith("deep_")]
            doubtful = sum(f["quality"] != "exact" for f in t["frames"])
            whole = t["end"] == "complete"
            complete += whole
            inferred += whole and doubtful > 0
            right = deep == chain and "thread_main" in calls and calls.index("thread_main") > max(
                (i for i, c in enumerate(calls) if c.startswith("deep_")), default=-1)
            if mode == "brief_stop" and not (whole and right and doubtful == 0):
                wrong.append(f"{t['comm']} ({t['end']}, {doubtful} doubtful): {' '.join(calls)}")
            if mode == "no_stop" and not doubtful and (not right if whole else deep != chain[:len(deep)]):
                wrong.append(f"{t['comm']} ({t['end']}, {doubtful} doubtful): {' '.join(calls)}")
        check(f"{mode}: half of the stacks are complete", "" if complete * 2 >= len(threads) else f"{complete} of {len(threads)}")
        check(f"{mode}: the known chain of calls", "; ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""))
        print(f"   {mode}: {complete} of {len(threads)} stacks complete, {inferred} of them with inferred frames")
    stacks = json.loads(answers.text("kernel_stacks"))
    framed = [t["tid"] for t in stacks["threads"] if any(f["symbol"] == "invoke_syscall" for f in t["frames"])]
    check("kernel_stacks: the system call of each blocked thread", "" if len(framed) == len(stacks["threads"]) >= 40 else str(framed))
    room = json.loads(answers.text("headroom"))
    wrong = [t for t in room["threads"] if not t["on_own_stack"] or not 0 < t["used_now"] <= t["high_water"] <= t["size"]]
    check("stack_headroom: each thread's use of its stack", str(wrong[:2]) if wrong or len(room["threads"]) < 40 else "")


def look(label, guest, built):
    def check(case, complaint=""):
        report.check(f"{label}: {case}", complaint)

    try:
        directory = kernel(guest.arch, guest.series)
        name = "".join(c if c.isalnum() else "-" for c in label)
        answers = boot(name, guest.arch, directory, built, jobs(guest), guest.cpu, guest.append, modules=("loop", "tun"))
        check_kernel_half(check, guest, answers)
        check_specimen(check, guest, answers, "vas", "specimen")
        check_specimen(check, guest, answers, "vas-theirs", "theirs")
        if guest.asked >= LIVE:
            check_live_tests(check, answers)
        if guest.asked == ALL:
            check_tasks(check, answers)
        if guest.asked >= LIVE and guest.arch == "arm64":
            check_stacks(check, answers)
    except Unavailable as reason:
        report.skip(label, reason)
    except (Failed, ValueError, KeyError, IndexError, StopIteration) as problem:
        check("can be asked", f"{type(problem).__name__}: {problem}")


def main():
    wanted = {label: g for label, g in GUESTS.items() if not sys.argv[1:] or label in sys.argv[1:]}
    built = {}
    for arch in dict.fromkeys(g.arch for g in wanted.values()):
        try:
            built[arch] = programs(arch)
        except Unavailable as reason:
            report.skip(f"kernels for {arch}", reason)
        except Failed as problem:
            report.check(f"programs for {arch}", str(problem))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: look(*item, built[item[1].arch]), ((l, g) for l, g in wanted.items() if g.arch in built)))
    report.close()


main()
