# SPDX-License-Identifier: BSL-1.0
"""Debian's kernels, fetched with an apt state of our own, and booted in emulation on a few statically linked programs.

Nothing of this machine's package management is changed: no architecture is added, nothing is installed. What was fetched and built
stays in build/kernels."""

import concurrent.futures
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import ROOT, first_lines, run

BUILD = ROOT / "build" / "kernels"
NOBODY = 65534
MACHINES = {
    # Debian's name: compiler, emulator, console
    "amd64": ("x86_64-linux-gnu-g++", ["qemu-system-x86_64", "-M", "q35"], "ttyS0"),
    "arm64": ("aarch64-linux-gnu-g++", ["qemu-system-aarch64", "-M", "virt"], "ttyAMA0"),
}


class Unavailable(Exception):
    """Something that the sources of this machine do not offer: a reason to skip."""


class Failed(Exception):
    """Something that should have worked: a reason to fail."""


# --- packages ---


def apt(arch, *command, cwd=None):
    """apt with a state and a cache of our own, for another architecture; which servers to ask is this machine's own configuration."""
    state = BUILD / f"apt-{arch}"
    config = state / "apt.conf"
    if not config.exists():
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        config.write_text(f"""APT::Architecture "{arch}";
#clear APT::Architectures;
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "{'root' if os.geteuid() == 0 else ''}";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{state}/state";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
""")
    return run([*command, "-c", config], cwd=cwd, env={**os.environ, "LC_ALL": "C"})


def unpacked(arch, series):
    """The kernels of a series that are in the cache, the newest first."""
    def age(path):
        return [int(n) for n in re.findall(r"\d+", path.name)]

    present = (p for p in BUILD.glob(f"linux-image-{series}.*-cloud-{arch}") if next(p.glob("boot/vmlinuz-*"), None))
    return sorted(present, key=age, reverse=True)


fetching = threading.Lock()  # apt lets one process at a time use its state


def kernel(arch, series):
    """The directory of the newest of Debian's kernels of a series: those "for clouds", which have all that matters here and are small."""
    with fetching:
        present = unpacked(arch, series)
        return present[0] if present else fetched(arch, series)


def fetched(arch, series):
    """The same, from where this machine gets its packages."""
    if not shutil.which("apt-get"):
        raise Unavailable("this is no Debian, whose kernels are to be booted")
    status, update = apt(arch, "apt-get", "-q", "update")
    _, names = apt(arch, "apt-cache", "pkgnames", f"linux-image-{series}.")
    offered = [n for n in names.split() if re.fullmatch(rf"linux-image-{re.escape(series)}\.\d+[^ ]*-cloud-{arch}", n)]
    if not offered and status:
        raise Failed(f"apt-get update failed{first_lines(update[-1500:])}")
    if not offered:
        raise Unavailable(f"the package sources of this machine offer no Linux {series} for {arch}")
    name = max(offered, key=lambda n: [int(x) for x in re.findall(r"\d+", n)])
    target, partial = BUILD / name, BUILD / f"partial-{name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    status, output = apt(arch, "apt-get", "-q", "download", name, cwd=partial)
    packages = list(partial.glob("*.deb"))
    if status or len(packages) != 1:
        raise Failed(f"{name} cannot be fetched{first_lines(output)}")
    status, output = run(["dpkg", "-x", packages[0], partial])
    if status:
        raise Failed(f"{name} cannot be unpacked{first_lines(output)}")
    packages[0].unlink()
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


def module(directory, name):
    """A kernel module's bytes. It must depend on no other one: there is no modprobe."""
    found = [p for p in directory.glob(f"lib/modules/*/kernel/**/{name}.ko*")]
    if not found:
        raise Failed(f"{directory.name} has no module {name}")
    data = found[0].read_bytes()
    return lzma.decompress(data) if found[0].suffix == ".xz" else data


# --- programs ---


def build(arch, programs):
    """Builds {name: (sources, flags)}, statically linked, side by side; gives {name: path}."""
    compiler = MACHINES[arch][0]
    if not shutil.which(compiler):
        raise Unavailable(f"{compiler} is not installed")
    folder = BUILD / f"programs-{arch}"
    folder.mkdir(parents=True, exist_ok=True)
    ccache = ["ccache"] if shutil.which("ccache") else []
    wanted = {(source, tuple(flags)) for sources, flags in programs.values() for source in sources}
    # Boost, range-v3, CLI11, fmt, nlohmann-json and doctest are headers only: those of this machine serve any other
    common = ["-std=c++20", "-O1", "-pthread", "-DFMT_HEADER_ONLY", "-DEXAMPLES_VERSION=\"in a guest\"", "-I", ROOT / "include",
              "-I", ROOT / "tests", "-idirafter", "/usr/include"]

    def compiled(item):
        source, flags = item
        out = folder / f"{source.replace('/', '-')}{''.join(flags)}.o"
        status, output = run([*ccache, compiler, *common, *flags, "-c", ROOT / source, "-o", out])
        return item, out, f"{source} does not compile for {arch}{first_lines(output, 30)}" if status else ""

    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = list(pool.map(compiled, sorted(wanted)))
    for _, _, complaint in done:
        if complaint:
            raise Failed(complaint)
    objects = {item: out for item, out, _ in done}
    for name, (sources, flags) in programs.items():
        status, output = run([compiler, "-static", "-pthread", *(objects[source, tuple(flags)] for source in sources), "-o", folder / name])
        if status:
            raise Failed(f"{name} does not link for {arch}{first_lines(output, 30)}")
    return {name: folder / name for name in programs}


def archive(files):
    """A cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst) of {path: (mode, bytes)}."""
    out = bytearray()

    def add(name, mode, data, device=(0, 0)):
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        for piece in (header.encode() + name.encode() + b"\0", data):
            out.extend(piece)
            out.extend(bytes(-len(out) % 4))

    for folder in ("dev", "bin", "modules"):
        add(folder, 0o40755, b"")
    add("dev/console", 0o20600, b"", (5, 1))
    for name, (mode, data) in files.items():
        add(name, 0o100000 | mode, data)
    add("TRAILER!!!", 0, b"")
    return bytes(out)


# --- boots ---


class Answers(dict):
    """What each job printed: {name: (status, bytes)}."""

    console = ""

    def text(self, name):
        return self.bytes(name).decode(errors="replace")

    def bytes(self, name):
        if name not in self:
            raise Failed(f"the guest did not get to {name}; its console ended{first_lines(self.console[-1500:], 30)}")
        return self[name][1]


def boot(label, arch, directory, programs, jobs, cpu="max", append="", modules=(), timeout=600):
    """Boots a kernel on the programs, and gives what the jobs printed. A job is (name, user id, program or :word, arguments…)."""
    _, emulator, console = MACHINES[arch]
    if not shutil.which(emulator[0]):
        raise Unavailable(f"{emulator[0]} is not installed")
    files = {("init" if name == "init" else f"bin/{name}"): (0o755, path.read_bytes()) for name, path in programs.items()}
    files["bin/sleep"] = files["init"]
    files |= {f"modules/{name}.ko": (0o644, module(directory, name)) for name in modules}
    files["jobs"] = (0o644, "".join("\t".join(map(str, job)) + "\n" for job in jobs).encode())
    initramfs, log = BUILD / f"{label}.cpio", BUILD / f"{label}.console"
    initramfs.write_bytes(archive(files))
    image = next(directory.glob("boot/vmlinuz-*"))
    command = [*emulator, "-accel", "tcg", "-cpu", cpu, "-smp", "2", "-m", "1024", "-display", "none", "-nodefaults", "-no-reboot",
               "-kernel", image, "-initrd", initramfs, "-serial", f"file:{log}",
               "-append", f"console={console} panic=-1 quiet loglevel=1 {append}"]
    log.unlink(missing_ok=True)
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
            late = ""
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            late = f"\nstopped after {timeout} s"
    data = log.read_bytes() if log.exists() else b""
    answers = Answers()
    answers.console = data.decode(errors="replace") + said.decode(errors="replace") + late
    at = 0
    while mark := re.compile(rb"\n@@job (\S+) (\d+) (\d+)\n").search(data, at):
        at = mark.end() + int(mark[3])
        if data[at:at + 7] != b"\n@@end\n":
            raise Failed(f"the console of {label} is garbled behind {mark[1].decode()}{first_lines(answers.console[-1500:], 30)}")
        answers[mark[1].decode()] = (int(mark[2]), data[mark.end():at])
    return answers
