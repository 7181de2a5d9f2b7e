"""How far a long piece of work is, and how long it will still take.

1. Work has stages, each with a weight: its share of the whole. The fraction that is done is the
   weights of the stages that have ended and the share of the current one. Without stages the work
   is one stage.
2. A report of its total, or `next_stage`, ends a stage; what is reported next is of the next one. A
   stage that is skipped has ended.
3. The fraction never goes backwards, and is 1 only once the last stage has ended, or the work
   (`finish`). Whatever makes no sense is ignored: what is less than before or no number changes
   nothing, more than the total is the total, and a total that is not above 0 is not known.
4. Stages that are planned late, or once more, share what is left.
5. There is no ETA before `ETA_SECONDS` and `ETA_FRACTION`. It is the time left at the mean pace so
   far; the end that it predicts is smoothed. It never grows: it waits where the work turns out to
   be slower. Where it is wrong by far it is withdrawn, until it is true again.

Time is an argument. A meter is for one thread at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from chatstream.clock import Clock, monotonic
from chatstream.events import Progress

ETA_SECONDS = 2.0
ETA_FRACTION = 0.05
"""Before so much time has passed, and so much is done, nobody can tell when it ends."""

_SMOOTHING_SECONDS = 3.0  # after so long, two thirds of a new prediction are believed
_WRONG_FACTOR = 2.0  # an ETA is wrong by far when it takes this many times as long
_WRONG_SECONDS = 2.0  # and so much longer
_ALMOST = math.nextafter(1.0, 0.0)


class Meter:
    """How far one piece of work is; it begins now.

    `stage` is the name of the current stage, "" without stages, and `index` its place among them.
    `current` and `total` are of that stage, as they were last reported; `message` is that of the
    last report.
    """

    def __init__(self, stages: Iterable[tuple[str, float]] = (), clock: Clock = monotonic) -> None:
        self.message: str | None = None
        self._clock = clock
        self._began = clock()
        self._shown = 0.0
        self._base = 0.0  # what was done when these stages were planned
        self._known = False
        self._end: float | None = None  # when it ends, as predicted
        self._predicted_at = 0.0
        self._promised = math.inf  # the last ETA that was given
        self._names, self._weights = [""], [1.0]
        self.index = 0
        self._has_ended = False
        self.current = 0.0
        self.total: float | None = None
        self.plan(stages)

    def plan(self, stages: Iterable[tuple[str, float]]) -> None:
        """Say which stages there will be, each with its weight. The first one begins.

        A weight that is not above 0 is no share; if none is, all stages have the same.
        """
        planned = [(name, _number(weight)) for name, weight in stages]
        if not planned:
            return
        weights = [max(0.0, weight or 0.0) for _, weight in planned]
        largest = max(weights)
        self._names = [name for name, _ in planned]
        self._weights = [it / largest if largest else 1.0 for it in weights]
        self._base = self._shown
        self._known = True
        self._enter(0)

    def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """So much of the current stage is done, of so much. Without a total its last one holds."""
        if self._has_ended:
            self.next_stage()
        self.message = message
        number, whole = _number(done), _number(total)
        if whole is not None and whole > 0:
            self.total = whole
        if number is None:
            return
        self.current = max(self.current, number)
        if self.total is not None:
            self.current = min(self.current, self.total)
            self._known = True
            self._has_ended = self.current >= self.total
            self._show(1.0 if self._has_ended else self.current / self.total)

    def next_stage(self) -> None:
        """The current stage has ended; the next one begins, if there is one."""
        if self.index + 1 < len(self._names):
            self._enter(self.index + 1)
            self._show(0.0)
        else:
            self._known = self._has_ended = True
            self._show(1.0)

    def finish(self) -> None:
        """The work is done."""
        self._known, self._shown = True, 1.0

    @property
    def stage(self) -> str:
        """The name of the current stage."""
        return self._names[self.index]

    @property
    def fraction(self) -> float | None:
        """How much of all is done, 0 to 1; None while nothing is known about it."""
        return self._shown if self._known else None

    @property
    def percentage(self) -> float | None:
        """The same, 0 to 100."""
        return 100 * self._shown if self._known else None

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began

    def eta(self) -> float | None:
        """Seconds until the end; None while that cannot be told."""
        elapsed = self.elapsed
        if elapsed < ETA_SECONDS or self._shown < ETA_FRACTION:
            return None
        if self._shown >= 1.0:
            return 0.0
        left = elapsed * (1 - self._shown) / self._shown
        end = elapsed + left
        if self._end is None:
            self._end = end
        else:
            since = elapsed - self._predicted_at
            self._end += (end - self._end) * (1 - math.exp(-since / _SMOOTHING_SECONDS))
        self._predicted_at = elapsed
        eta = min(self._promised, max(0.0, self._end - elapsed))
        if left > _WRONG_FACTOR * eta + _WRONG_SECONDS:
            return None
        self._promised = eta
        return eta

    def event(self) -> Progress:
        """How far it is, as an event; percentage and times are rounded."""
        percentage, eta = self.percentage, self.eta()
        if percentage is not None and percentage < 100:
            percentage = min(round(percentage, 2), 99.99)
        return Progress(
            stage=self.stage,
            current=self.current,
            total=self.total,
            percentage=percentage,
            message=self.message,
            elapsed=round(self.elapsed, 3),
            eta=None if eta is None else round(eta, 1),
        )

    def _enter(self, index: int) -> None:
        self.index = index
        self._has_ended = False
        self.current, self.total = 0.0, None

    def _show(self, share: float) -> None:
        """This share of the current stage is done."""
        ended = math.fsum(self._weights[: self.index])
        raw = (ended + share * self._weights[self.index]) / math.fsum(self._weights)
        now = min(self._base + (1 - self._base) * raw, _ALMOST)
        if self._has_ended and self.index == len(self._names) - 1:
            now = 1.0
        self._shown = max(self._shown, now)


def _number(value: float | None) -> float | None:
    """A number that can be reckoned with, or None."""
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever was reported
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
