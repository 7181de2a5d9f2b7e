"""What a benchmark finds: a row with a ratio for each pair of runs, and its target.

Only ratios of runs made side by side are judged; times depend on the machine and the hour, and
are shown for information.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs` hold a measurement for each pair; `limit` is for their ratio."""

    what: str
    limit: float
    ours: Sequence[float]
    theirs: Sequence[float]
    unit: str

    @property
    def ratios(self) -> list[float]:
        """One for each pair."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.limit

    def __str__(self) -> str:
        ratios, ours, theirs = self.ratios, *map(statistics.median, (self.ours, self.theirs))
        span = f"{min(ratios):.2f}-{max(ratios):.2f}"
        verdict = "met" if self.met else "NOT MET"
        medians = f"{ours:.3g} : {theirs:.3g} {self.unit}"
        return (
            f"{self.what:<49} {self.ratio:5.2f}  {span:<11}  ≤ {self.limit:.2f}  {verdict:<7}  "
            f"{medians}, {len(ratios)} pairs"
        )


def compare(
    what: str, limit: float, ours: Measure, theirs: Measure, *, pairs: int, unit: str = "s"
) -> Row:
    """Measure in turns. The first pair does not count: it compiles byte code and fills caches."""
    found = [(ours(), theirs()) for _ in range(pairs + 1)][1:]
    return Row(what, limit, [a for a, _ in found], [b for _, b in found], unit)
