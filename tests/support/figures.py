"""What tests tell besides their verdict, printed once at the end of all.

    def test_it(figures: Figures) -> None:
        figures.count("cuts in memory", 17)  # summed up over all tests
        figures.line("peak: 28.1 MB")

Both travel in the report of the test, so it does not matter which process it ran in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

_COUNT, _LINE = "chatstream.count", "chatstream.line"


class Figures:
    """Takes the figures of one test. `record` is pytest's own `record_property`."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def count(self, what: str, number: int) -> None:
        """Add to a number that is told for all tests together."""
        self._record(_COUNT, [what, number])

    def line(self, text: str) -> None:
        """A line for this test alone."""
        self._record(_LINE, text)


def told(stats: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """The lines of all reports, then the sums."""
    sums: Counter[str] = Counter()
    for reports in stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "teardown":
                for name, value in report.user_properties:
                    if name == _LINE:
                        yield str(value)
                    elif name == _COUNT and isinstance(value, list):
                        what, number = value
                        sums[str(what)] += int(number)
    for what, number in sorted(sums.items()):
        yield f"{what}: {number:,}"
