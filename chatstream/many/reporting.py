"""The progress of a batch, on standard error: a bar on a terminal, otherwise a line now and then.

It shows the prompts done and their total, answers and tokens per second, dollars, failures, how
many requests wait at the server (a local one answers few at once), and how long a limit lasts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.events import Progress
from chatstream.many.batch import Batch
from chatstream.many.files import Result
from chatstream.many.gate import Gates
from chatstream.progressing import Meter
from chatstream.terminal import exits
from chatstream.terminal.progress import Draw, bar, can_draw
from chatstream.wording import bounded, counted, in_words

DRAW_SECONDS = 0.2
LINE_SECONDS = 10.0
"""Between two drawings of the bar, and between two lines without a bar."""

MOST_TOLD = 5
"""Failures that are shown one by one."""

_AGAIN = "run it again to continue"


class Reporter:
    """Tells of one batch. `total` requests, None if nobody knows yet.

    `waits` is the word for those that have no token yet while others have.
    """

    def __init__(
        self,
        batch: Batch,
        gates: Gates,
        total: int | None,
        *,
        waits: str = "waiting",
        quiet: bool,
        clock: Clock = monotonic,
    ) -> None:
        self._batch = batch
        self._gates = gates
        self._total = total
        self._waits = waits
        self._quiet = quiet
        self._clock = clock
        self._meter = Meter(clock=clock)
        self._draws = can_draw() and not quiet
        self._next = clock() + (DRAW_SECONDS if self._draws else LINE_SECONDS)
        self._told = 0  # failures
        self._warned: set[str] = set()
        self._draw: Draw = lambda _: None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """The bar is there, if there can be one."""
        with bar(quiet=self._quiet, clock=self._clock) as self._draw:
            yield

    def look(self, result: Result | None, before: int) -> None:
        """Something came, or time has passed. `before`: those that had their lines already."""
        if result is not None and result.error is not None:
            self._tell_failure(result)
        self.warn(self._batch.unsaved)
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (DRAW_SECONDS if self._draws else LINE_SECONDS)
        tally = self._batch.tally
        done = tally.answered + tally.failed
        if self._total is not None:
            self._meter.report(done, max(1, self._total - before))
        event = self._meter.event()
        event.message = self._words(done + before)
        if self._draws:
            self._draw(_named(event))
        else:
            eta = f" · {in_words(event.eta)} left" if event.eta is not None else ""
            exits.note(f"batch: {event.message}{eta}")

    def warn(self, warning: str | None) -> None:
        """Show this warning, if there is one, and once."""
        if warning is not None and warning not in self._warned:
            self._warned.add(warning)
            self._draw(None)
            exits.warn([warning])

    def conclude(self, out: Path | None, before: int, failed: int, token: CancelToken) -> None:
        """The last words."""
        batch, tally = self._batch, self._batch.tally
        parts = [f"{tally.answered:,} answered"]
        if tally.found:
            parts.append(f"{tally.found:,} of them in an earlier run")
        if failed:
            parts.append(f"{failed:,} failed")
        if before:
            parts.append(f"{before:,} already in the output")
        parts += self._figures(tally.answered)
        exits.note(f"batch: {', '.join(parts)} in {in_words(self._meter.elapsed)}")
        if token.cancelled or batch.stopped is not None:
            if batch.stopped is not None:
                why = batch.stopped
                hint = f"; {why.hint}" if why.hint else ""
                exits.note(f"error: stopped: {why.message}{hint}")
            exits.note(_AGAIN if out is not None else "the other prompts were not asked")
        elif failed and out is not None:
            exits.note(f"--retry-failed asks the {counted(failed, 'failed line')} again")

    def _tell_failure(self, result: Result) -> None:
        assert result.error is not None
        self._told += 1
        if self._told > MOST_TOLD:
            return
        self._draw(None)
        message = bounded(" ".join(result.error.message.split()))
        where = "" if message.startswith("line ") else f"{result.id}: "
        exits.note(f"failed: {where}{message}")
        if self._told == MOST_TOLD:
            exits.note("failed: see the output for the other failures")

    def _words(self, done: int) -> str:
        running, writing = self._batch.under_way
        of = f"/{self._total:,}" if self._total is not None else ""
        parts = [f"{done:,}{of}", *self._figures(self._batch.tally.answered)]
        if self._batch.tally.failed:
            parts.append(f"{self._batch.tally.failed:,} failed")
        if wait := self._gates.wait():
            parts.append(f"the server asks for a wait of {in_words(wait)}")
        elif writing and running > writing:
            parts.append(f"{running - writing} {self._waits}")
        return " · ".join(parts)

    def _figures(self, answered: int) -> list[str]:
        tally, elapsed = self._batch.tally, self._meter.elapsed
        parts = []
        if answered and elapsed > 0:
            parts.append(f"{_number(answered / elapsed)} answers/s")
        if tally.tokens and elapsed > 0:
            parts.append(f"{_number(tally.tokens / elapsed)} tokens/s")
        if tally.cost:
            unknown = f" (unknown for {tally.cost_unknown:,})" if tally.cost_unknown else ""
            parts.append(f"${tally.cost:.4g}{unknown}")
        return parts


def _named(event: Progress) -> Progress:
    event.stage = "batch"
    return event


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.1f}"
