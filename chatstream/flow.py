"""The shapes of the pipeline, and the two verbs that join and run them.

    Open    opens a source; may be called again, for another attempt
    Stage   a filter over passing arrivals; never re-opens anything
    Sink    shows, prints, stores or relays arrivals

The unit is the arrival: the events that one read brought. It is written down and shown as one, and
nothing more is in hand behind it. An empty one is a heartbeat, which comes several times a second
while nothing else does: limits are checked, spinners turn.

Five signals travel among the events inside the pipeline and never leave it:

    Finish    the protocol's own end mark was seen; the last stage makes `done` of it
    Logprobs  how probable the tokens before it were; for an analysis, which asks for it
    Key       the user pressed a key while the answer is written; for a screen
    Told      a line for the user that is not part of the run; for a screen
    Typed     the user's text for later, in a program that asks several questions; for a screen
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec

from chatstream.cancel import CancelToken
from chatstream.events import Content, Event, FinishReason, ServerTimes
from chatstream.messages import ChatRequest


class Arrival(msgspec.Struct, gc=False):
    """What came at `t` (-1.0: now). The receiver may change it.

    `connected`: the request is on the wire. `alive`: a keep-alive came with it. `stream`: the
    label of its run, where several are read as one. `held`: the run waits for its turn, and no
    limit on its time counts.
    """

    events: list[Event] = []
    t: float = -1.0
    connected: bool = True
    alive: bool = False
    stream: str | None = None
    held: bool = False


Open = Callable[[ChatRequest, CancelToken], Iterator[Arrival]]
Stage = Callable[[Iterator[Arrival]], Iterator[Arrival]]


class Finish(Event):
    """Signal: the answer is whole. `raw` is the wire's own word for the reason."""

    reason: FinishReason
    raw: str | None = None
    server: ServerTimes | None = None


class Logprobs(Event):
    """Signal: the sum of the natural logarithms of the probabilities of `tokens` tokens."""

    total: float
    tokens: int


Pressed = Literal["pause", "go_on", "reasoning", "details", "typing", "suspend", "continue"]


class Key(Event):
    """Signal: the user pressed a key (or Ctrl+Z) on the terminal; only put in front of a screen.

    After "suspend" the process is about to stop. "continue" says that it was stopped, announced
    or not: what was drawn last may be gone. "details" asks to see all of an open question. "typing"
    says that the user types for the shell, so no key will come before "continue".
    """

    pressed: Pressed


class Told(Event):
    """Signal: a line for the user, beside the answer; only put in front of a screen."""

    line: str


class Typed(Event):
    """Signal: the user's text for later; only for a screen.

    `queued` are the messages that wait, oldest first; `draft` is the line.
    """

    queued: list[str]
    draft: str


class Sink(Protocol):
    """Takes the arrivals of one run."""

    def write(self, arrival: Arrival) -> None:
        """Show what came; an empty one says that time has passed."""

    def close(self) -> None:
        """Show what is held and let go of everything. Idempotent."""


def pipe(arrivals: Iterator[Arrival], *stages: Stage) -> Iterator[Arrival]:
    """The arrivals after all stages, the first stage nearest to the source."""
    for stage in stages:
        arrivals = stage(arrivals)
    return arrivals


def drive(arrivals: Iterator[Arrival], sink: Sink) -> None:
    """Pull every arrival into the sink and close both, whatever happens."""
    try:
        for arrival in arrivals:
            sink.write(arrival)
    finally:
        try:
            sink.close()
        finally:
            close(arrivals)


def events_in(arrivals: Iterator[Arrival]) -> Iterator[Event]:
    """The events as they leave the pipeline."""
    try:
        for arrival in arrivals:
            yield from arrival.events
    finally:
        close(arrivals)


def only_content(events: list[Event]) -> str:
    """The text of events that are nothing but pieces of the answer, as most are; else ""."""
    deltas = [event.delta for event in events if type(event) is Content]
    return "".join(deltas) if len(deltas) == len(events) else ""


def close(source: Iterator[object]) -> None:
    """Close a source that is not read to its end, so that it lets go of its socket."""
    closer = getattr(source, "close", None)
    if closer is not None:
        closer()
