#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""crash_handler: it dies of SIGSEGV whatever went wrong, says before where, what is mapped there and what the others do, and
allocates nothing for that."""

import os
import pathlib
import re
import signal

from programs import EXAMPLES, Checks, call

checks = Checks()
counter = pathlib.Path(os.environ.get("TASKPEEK_TARGETS", "build/g++/tests/targets")) / "count_in_handler.so"


def stacks_of(text):
    """Title and lines of each thread's stack."""
    parts = re.split(r"^Thread ", text, flags=re.M)[1:]
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1]) for part in parts]


def crash(*arguments):
    done = call("crash_handler", *arguments, env={**os.environ, "LD_PRELOAD": str(counter)} if counts else None)
    checks.equal(f"{arguments}: it dies of its signal", done.status, -signal.SIGSEGV)
    if counts:
        told = re.search(r"^allocations in the handler: (.)$", done.err, re.M)
        checks.true(f"{arguments}: nothing is allocated", told and told[1] == "0", done.err)
    return done.err, stacks_of(done.err)


# The address sanitizer's own malloc wants to be the first.
counts = b"__asan_init" not in (EXAMPLES / "crash_handler").read_bytes()
if not counts:
    checks.skip("allocations in crash_handler's handler", "a sanitizer interposes malloc")
plain = call("crash_handler")
checks.equal("it dies of its signal", plain.status, -signal.SIGSEGV)
checks.true("the address", "0x1234 is in no vma" in plain.err and "(above)" in plain.err and "(below)" not in plain.err, plain.err)
stacks = stacks_of(plain.err)
checks.true("its own stack, whole", "which crashed" in stacks[0][0] and stacks[0][1].count("crash_handler+0x") >= 3
            and "truncated" not in stacks[0][1], plain.err)
checks.true("the other thread's, whole", len(stacks) == 2 and "  #1  " in stacks[1][1] and "truncated" not in stacks[1][1], plain.err)

text, stacks = crash("null")
checks.true("a null pointer", "0x0 is in no vma" in text and "truncated" not in text, text)
text, stacks = crash("overflow")
checks.true("an overflow is called one", "the stack has overflowed" in text and "(above)" in text and "[stack]" in text, text)
checks.true("an overflow: many frames, and that there are more", stacks[0][1].count("crash_handler+0x") > 100 and "truncated" in stacks[0][1], text[:3000])
checks.true("an overflow: the other thread", "  #1  " in stacks[1][1], text[-2000:])
text, stacks = crash("overflow", "--in-thread")
checks.true("an overflow of another thread's stack: its guard", "the stack has overflowed" in text and "<- here" in text and " ---" in text, text[:3000])
text, stacks = crash("jump")
checks.true("a call of what is no code, and who made it", "#0  0x1230  (no code)" in text and stacks[0][1].count("crash_handler+0x") >= 3
            and "truncated" not in stacks[0][1], text)
text, stacks = crash("code")
checks.true("a write to code: its vma", re.search(r"^  0x[0-9a-f]+-0x[0-9a-f]+ r-x .*crash_handler  <- here$", text, re.M), text)
text, stacks = crash("noncanonical")
checks.true("an address that is none", "does not tell the address" in text and stacks[0][1].count("crash_handler+0x") >= 3, text)
text, stacks = crash("wild", "--in-thread", "--threads", 24)
checks.equal("24 others, the first, and the one that crashed", len(stacks), 26)
waiting = [lines for title, lines in stacks[1:] if "not blocked" not in title]
checks.true("those that wait are shown whole", len(waiting) >= 19 and all("  #1  " in w and "truncated" not in w for w in waiting), text)
checks.true("those that run are said to", sum("not blocked: running" in title or "not blocked: moved" in title for title, _ in stacks) >= 1, text)

help_text = call("crash_handler", "--help")
checks.true("--help", help_text.status == 0 and "Usage" in help_text.text and max(map(len, help_text.text.splitlines())) <= 80, help_text.text)
checks.equal("unknown ways to crash are refused", call("crash_handler", "softly").status, 2)
checks.close()
