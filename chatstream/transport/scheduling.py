"""To be woken soon although other programs are busy.

A thread that sleeps most of the time still waits for its turn behind a busy one, up to that one's
time slice (3 ms). From Linux 6.12 on a thread may say that it needs short turns only, and is then
let in sooner (`sched_setattr` with a slice; the kernel's Documentation/scheduler/sched-eevdf.rst).
It gets no more of the processor than before. Needs no rights. Elsewhere nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import sys

SLICE = 100_000
"""Nanoseconds; the shortest that the kernel allows. A round of the loop takes less."""

_SET = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # the numbers of sched_setattr
_SCHED_OTHER = 0


def take_short_turns(nanoseconds: int = SLICE) -> bool:
    """Ask it for this thread; 0 puts it back. Whether the kernel agreed."""
    number = _SET.get(os.uname().machine) if sys.platform == "linux" else None
    if number is None or os.sched_getscheduler(0) != _SCHED_OTHER:
        return False
    import ctypes
    import struct

    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, _SCHED_OTHER, 0, niceness, 0, nanoseconds, 0, 0)
    with contextlib.suppress(OSError, AttributeError):
        return int(ctypes.CDLL(None).syscall(number, 0, attributes, 0)) == 0
    return False
