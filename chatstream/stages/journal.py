"""Every event is written down before anyone sees it.

1. The events of one arrival are written together, and only then passed on. So nothing that a
   sink has shown is missing from the journal.
2. A journal that cannot be written (a full disk, a read-only folder) is given up with one
   `warning`, and the answer continues. The warning takes a sequence number, so later events move
   by one.
3. A reader that stops ends the run, but not the journal: the run is abandoned, and its remaining
   events are written, the terminal one included.
4. A tool that may change something does not start once the journal is given up: the run ends. A
   resume would know nothing of that start, and start the tool again. A run that no resume can find,
   because nothing of it was written, goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from chatstream.errors import JournalError
from chatstream.events import Event, Metadata, ToolStart, Warn
from chatstream.flow import Arrival, Stage, close, events_in


class Writer(Protocol):
    """Takes the events of a run, batch by batch. `OSError` and `JournalError` end it."""

    def write(self, events: Sequence[Event]) -> None:
        """Write all of these events, or raise."""

    def close(self) -> None:
        """Nothing more comes. Idempotent."""


def journal(
    writer: Writer, abandon: Callable[[], None], stop: Callable[[], None] = lambda: None
) -> Stage:
    """The stage; `abandon` makes the run end soon, with an event that says so.

    So does `stop`, before a tool starts whose start could not be written down.
    """
    return lambda events: _Journalled(writer, abandon, stop).run(events)


class _Journalled:
    def __init__(
        self, writer: Writer, abandon: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._abandon = abandon
        self._stop = stop
        self._given_up = False
        self._resumes = False  # a resume would find this run, or the one that it continues

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            for arrival in arrivals:
                if arrival.events:
                    self._write(arrival)
                yield arrival
        except GeneratorExit:
            self._abandon()
            self._write_rest(arrivals)
            raise
        finally:
            self._writer.close()
            close(arrivals)

    def _write(self, arrival: Arrival) -> None:
        """Write the events down; with a warning among them if they cannot be."""
        events = arrival.events
        if self._given_up:
            _move(events)
        else:
            opening = events[0]
            self._resumes |= isinstance(opening, Metadata) and opening.continues is not None
            try:
                self._writer.write(events)
                self._resumes = True
            except (OSError, JournalError) as error:
                self._given_up = True
                _warn(events, error)
        last = events[-1]
        if self._given_up and type(last) is ToolStart and last.effect != "read" and self._resumes:
            self._stop()

    def _write_rest(self, arrivals: Iterator[Arrival]) -> None:
        rest = list(events_in(arrivals))
        if rest and not self._given_up:
            with suppress(OSError, JournalError):
                self._writer.write(rest)


def _warn(held: list[Event], error: Exception) -> None:
    """The warning goes in front, but never before the event that opens the run."""
    place = 1 if held[0].seq == 0 else 0
    reason = getattr(error, "strerror", None) or str(error)
    lost = "this answer is not saved" if place else "the rest of this answer is not saved"
    hint = getattr(error, "hint", None)
    warning = Warn(
        "journal",
        f"the journal cannot be written: {reason}; {lost}" + (f" ({hint})" if hint else ""),
        seq=held[0].seq + place,
        t=held[0].t,
    )
    _move(held[place:])
    held.insert(place, warning)


def _move(events: Iterable[Event]) -> None:
    for event in events:
        event.seq += 1
