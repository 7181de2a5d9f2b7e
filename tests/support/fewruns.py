"""Results of a few runs, each told by its TTFT or by how it failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatstream.bench.result import Arm, Result, Sample

FAILED = "truncated"


def sample(ttft: float | None = 1.0, arm: str = "a", **changes: Any) -> Sample:
    return Sample(number=1, arm=arm, ttft=ttft, **changes)


def runs(*ttfts: float | str, arm: str = "a") -> list[Sample]:
    """A run of each: a number is the TTFT of one that is ok, a word the status of another."""
    return [
        sample(it, arm) if isinstance(it, float) else sample(None, arm, status=it) for it in ttfts
    ]


def result(*samples: Sample, arms: Sequence[str] = ("a",), **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "version": 1,
        "chatstream": "0",
        "started_at": "2026-03-02T09:30:00Z",
        "target": "http://127.0.0.1:1",
        "samples": list(samples),
        "arms": [Arm(name=name, provider="p", model=name) for name in arms],
    }
    return Result(**fields | changes)
