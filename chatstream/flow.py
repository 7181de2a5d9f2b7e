"""The shapes of the pipeline, and the two verbs that join and run them.

    Open    opens a source of events; may be called again, for another attempt
    Stage   a filter over passing events; never re-opens anything
    Sink    shows, prints, stores or relays events

Five signals travel with the events inside the pipeline and never leave it:

    Pulse   the reader has handed over all it holds and is about to wait, or has waited a
            moment: sinks flush, limits are checked, spinners turn
    Burst   the contents of one read, as if each came by itself: where tokens come faster than
            they are taken, a layer costs one step for all of them
    Finish  the protocol's own end mark was seen; the last stage makes `done` of it
    Key     the user pressed a key while the answer is written; for a screen
    Told    a line for the user that is no part of the run; for a screen
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from chatstream.cancel import CancelToken
from chatstream.events import Content, Event, FinishReason, ServerTimes
from chatstream.messages import ChatRequest

Open = Callable[[ChatRequest, CancelToken], Iterator[Event]]
Stage = Callable[[Iterator[Event]], Iterator[Event]]


class Pulse(Event):
    """Signal: nothing more is in hand. `alive`: a keep-alive came since the last one."""

    connected: bool = True
    alive: bool = False


class Burst(Event):
    """Signal: these pieces of the answer came with one read."""

    contents: list[Content]


class Finish(Event):
    """Signal: the answer is whole. `raw` is the wire's own word for the reason."""

    reason: FinishReason
    raw: str | None = None
    server: ServerTimes | None = None


class Key(Event):
    """Signal: the user pressed a key (or Ctrl+Z) on the terminal; only put in front of a screen.

    After "suspend" the process is about to stop. "continue" says that it was stopped, announced
    or not: what was drawn last may be gone. "typing" says that the user types for the shell, so no
    key will come before "continue".
    """

    pressed: Literal["pause", "go_on", "reasoning", "typing", "suspend", "continue"]


class Told(Event):
    """Signal: a line for the user, beside the answer; only put in front of a screen."""

    line: str


class Sink(Protocol):
    """Takes the events of one run."""

    def write(self, event: Event) -> None:
        """Take one event; it may be held until `flush`."""

    def flush(self) -> None:
        """Nothing more is in hand: show what is held. Also called while nothing comes."""

    def close(self) -> None:
        """Show what is held and let go of everything. Idempotent."""


def pipe(events: Iterator[Event], *stages: Stage) -> Iterator[Event]:
    """The events after all stages, the first stage nearest to the source."""
    for stage in stages:
        events = stage(events)
    return events


def drive(events: Iterator[Event], sink: Sink) -> None:
    """Pull every event into the sink and close both, whatever happens."""
    write = sink.write
    try:
        for event in events:
            if type(event) is Pulse:
                sink.flush()
            elif type(event) is Burst:
                for content in event.contents:
                    write(content)
            else:
                write(event)
    finally:
        try:
            sink.close()
        finally:
            close(events)


def singly(events: Iterator[Event]) -> Iterator[Event]:
    """A stage: each content by itself, for whoever looks at every one."""
    try:
        for event in events:
            if type(event) is Burst:
                yield from event.contents
            else:
                yield event
    finally:
        close(events)


def without_signals(events: Iterator[Event]) -> Iterator[Event]:
    """The events as they leave the pipeline."""
    each = singly(events)
    try:
        for event in each:
            if type(event) is not Pulse and type(event) is not Key:
                yield event
    finally:
        close(each)


def close(events: Iterator[Event]) -> None:
    """Close a source that is not read to its end, so that it lets go of its socket."""
    closer = getattr(events, "close", None)
    if closer is not None:
        closer()
