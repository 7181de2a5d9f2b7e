"""Room for the files and connections of many runs: the system limits how many may be open.

1. A run has its connection, what wakes its reader, and its journal.
2. The limit of this process is raised as far as the user may. If that is too little, nothing is
   asked: a run without a descriptor would fail after it has cost something.
"""

from __future__ import annotations

import contextlib

from chatstream.errors import UsageError

PER_RUN = 4
OTHERS = 64
"""What the program itself has open, with room to spare."""


def make_room(jobs: int) -> None:
    """Let this many runs be open at once. Raises `UsageError` if they cannot be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    needed = OTHERS + PER_RUN * jobs
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    with contextlib.suppress(ValueError, OSError):
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft < needed:
        possible = max(1, (soft - OTHERS) // PER_RUN)
        raise UsageError(
            f"--jobs {jobs} needs {needed:,} open files, but the system allows {soft:,}",
            hint=f"use --jobs {possible}, or allow more with `ulimit -n {needed}`",
        )
