"""Memory at its peak: it does not grow with the answer, and is small."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from functools import partial

from tests.bench.rig import Failed, Rig
from tests.bench.rows import Row, compare

MOST = 50.0  # MB


def rows(rig: Rig) -> Iterator[Row]:
    """A long answer against a short one; one of 10,000 tokens against the limit."""
    for dialect in ("ollama", "openai"):
        for flag in ("--plain", "--json"):
            many, some, few = (rig.ask(dialect, f"t={t}", flag) for t in (100_000, 10_000, 1_000))
            yield compare(
                f"memory: {dialect} {flag}, 100,000 / 1,000 tokens",
                1.10,
                partial(_peak, rig, many),
                partial(_peak, rig, few),
                pairs=rig.pairs(),
                unit="MB",
            )
            yield compare(
                f"memory: {dialect} {flag}, 10,000 tokens / {MOST:.0f} MB",
                1.00,
                partial(_peak, rig, some),
                lambda: MOST,
                pairs=rig.pairs(),
                unit="MB",
            )


def _peak(rig: Rig, command: list[str]) -> float:
    peak = rig.spend(command).peak
    # Linux counts what a process was before its exec, a copy of this one, into its peak.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    if own >= peak:
        raise Failed(f"the benchmark itself has {own:.0f} MB: nothing smaller can be measured")
    return peak
