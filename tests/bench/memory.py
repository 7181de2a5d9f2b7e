"""Memory at its peak: it does not grow with the answer, and is small."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.rig import Rig
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
                partial(rig.peak, many),
                partial(rig.peak, few),
                pairs=rig.pairs(),
                unit="MB",
            )
            yield compare(
                f"memory: {dialect} {flag}, 10,000 tokens / {MOST:.0f} MB",
                1.00,
                partial(rig.peak, some),
                lambda: MOST,
                pairs=rig.pairs(),
                unit="MB",
            )
