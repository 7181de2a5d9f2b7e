"""Python's garbage collector in this process: when it is late, and when it rests.

1. Imports allocate much and free nothing, and collecting while they run is a tenth of a start. So
   the command line begins with `delay`, and the first answer ends that with `settle`.
2. The collector is delayed then, not off. A command that shows no answer, and one that fails
   before its answer, collects as soon as it has made more than any start makes.
3. It is off in `resting` alone: while time is measured, a collection looks like a late token.
4. Programs that use the Python API keep the collector as it is.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

START_OBJECTS = 100_000
"""More objects than any command makes by its first answer (25,000 to 50,000)."""

_usual: tuple[int, int, int] | None = None  # the thresholds before `delay`


def delay() -> None:
    """Collect nothing before the start has made `START_OBJECTS` objects. Idempotent."""
    global _usual
    if _usual is None:
        _usual = gc.get_threshold()
        gc.set_threshold(START_OBJECTS, *_usual[1:])


def settle() -> None:
    """End the delay. What the start has made is never looked at again. Idempotent."""
    global _usual
    if _usual is not None:
        gc.freeze()
        gc.set_threshold(*_usual)
        _usual = None


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Collect before, and nothing meanwhile."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
