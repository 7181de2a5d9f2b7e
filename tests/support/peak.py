"""The most memory that a command has.

Linux counts into the peak of a process what it was before its `exec`: a copy of its parent, which a
test or a benchmark makes larger than what it measures. So a small interpreter starts the command
and measures it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print("", usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(command: Sequence[str]) -> list[str]:
    """The command, whose last word on standard error is then its peak."""
    return [sys.executable, "-I", "-S", "-c", _MEASURE, *command]


def peak_in(said: bytes) -> float:
    """The peak, in MB, from what such a command has written to standard error."""
    return int(said.split()[-1]) * 1024 / 1e6
