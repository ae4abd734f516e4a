#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""crash_handler: it dies of SIGSEGV, and says before where, with the other thread's stack."""

import signal

from programs import Checks, call

checks = Checks()
done = call("crash_handler")
checks.equal("it dies of its signal", done.status, -signal.SIGSEGV)
checks.true("the address", "0x1234 is in no vma" in done.err and "(above)" in done.err, done.err)
crashed, _, other = done.err.partition("which crashed:")[2].partition("\nThread ")
checks.true("its own stack, whole", crashed.count("crash_handler+0x") >= 3 and "truncated" not in crashed, done.err)
checks.true("the other thread's, whole", "  #1  " in other and "truncated" not in other, done.err)
checks.close()
