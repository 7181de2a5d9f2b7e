"""Every event is written down before anyone sees it.

1. The events of one arrival are written together, and only then passed on. So nothing that a
   sink has shown is missing from the journal.
2. A journal that cannot be written (a full disk, a read-only folder) is given up with one
   `warning`, and the answer continues. The warning takes a sequence number, so later events move
   by one.
3. A reader that stops ends the run, but not the journal: the run is abandoned, and its remaining
   events are written, the terminal one included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from chatstream.errors import JournalError
from chatstream.events import Event, Warn
from chatstream.flow import Arrival, Stage, close, events_in


class Writer(Protocol):
    """Takes the events of a run, batch by batch. `OSError` and `JournalError` end it."""

    def write(self, events: Sequence[Event]) -> None:
        """Write all of these events, or raise."""

    def close(self) -> None:
        """Nothing more comes. Idempotent."""


def journal(writer: Writer, abandon: Callable[[], None]) -> Stage:
    """The stage; `abandon` makes the run end soon, with an event that says so."""
    return lambda events: _Journalled(writer, abandon).run(events)


class _Journalled:
    def __init__(self, writer: Writer, abandon: Callable[[], None]) -> None:
        self._writer = writer
        self._abandon = abandon
        self._given_up = False

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
        if self._given_up:
            _move(arrival.events)
            return
        try:
            self._writer.write(arrival.events)
        except (OSError, JournalError) as error:
            self._given_up = True
            _warn(arrival.events, error)

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
