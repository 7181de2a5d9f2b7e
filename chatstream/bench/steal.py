"""The share of this machine's CPU time that its hypervisor gave to others.

No program can prevent it. Linux counts it (`steal` in /proc/stat, see proc(5)); other systems do
not report it.
"""

from __future__ import annotations

from pathlib import Path

STAT = Path("/proc/stat")

NOTICE_SHARE = 0.02
"""The share of all cores' time from which on there is a warning."""

MIN_TICKS = 100
"""Ticks of all cores, of 10 ms each: of fewer, two or three are chance."""

_STEAL = 7  # user, nice, system, idle, iowait, irq, softirq, steal


class Steal:
    """Counts from the moment it is created."""

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._begin = self._read()

    @property
    def share(self) -> float:
        """Of the time of all cores, from 0 to 1; 0 where it is not known, or not yet."""
        begin, now = self._begin, self._read()
        if begin is None or now is None or now[1] - begin[1] < MIN_TICKS:
            return 0.0
        return (now[0] - begin[0]) / (now[1] - begin[1])

    @property
    def warning(self) -> str | None:
        """A warning, if the share is worth one."""
        if self.share < NOTICE_SHARE:
            return None
        return f"the host of this machine took away {self.share:.0%} of its CPU time meanwhile"

    def _read(self) -> tuple[int, int] | None:
        """The ticks that were stolen, and all ticks."""
        try:
            fields = self._stat.read_text("ascii").partition("\n")[0].split()
            counts = [int(it) for it in fields[1:9]]
            return counts[_STEAL], sum(counts)
        except (OSError, ValueError, IndexError):
            return None
