"""The meaning of one answer's bytes: what the dialects share, without any I/O.

A dialect's reply is fed what arrives, in order, and gives events. It also keeps what the exchange
has to know: whether the answer is whole, whether anything of it was understood, and what was odd.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from chatstream.errors import ChatstreamError
from chatstream.events import Event, Warn
from chatstream.flow import Finish
from chatstream.providers.failures import error_in, failure_in
from chatstream.providers.lenient import json_or_text, values_in
from chatstream.providers.odd import (
    Oddities,
    error_inside,
    holds_a_piece,
    is_cut,
    is_unknown_field,
)
from chatstream.wire import SSEFrame


class Reply(ABC):
    """The meaning of one answer's bytes. Fed in order; never does any I/O."""

    def __init__(self) -> None:
        self.complete = False  # the answer is whole, though more may follow
        self.provisional = False  # tokens came after that: only the end of the body ends it
        self.ended = False  # nothing more belongs to it
        self.failure: ChatstreamError | None = None  # the server said that it failed
        self.understood = False  # something of an answer, be it only why it ended
        self.odd = Oddities()
        self.keep_alives = 0
        self.odd_text = False  # lone surrogates may have been seen

    def values(self, text: str, *, at_end: bool = False, stray: bool = False) -> list[Any]:
        """The JSON values of a frame that was refused; what else it holds is odd.

        `at_end`: a text that breaks off is the end of a response that was cut. `stray`: it is a
        line outside the rules of event streams, and may be a field that nobody knows.
        """
        self.odd_text = True
        value = text.partition(":")[2]
        if stray and value.lstrip()[:1] == "{" and is_unknown_field(text):
            text = value  # data under another name
        values, rest = values_in(text)
        if at_end and is_cut(rest):
            if self.complete and holds_a_piece(rest):
                self.odd.add(rest, skipped=True)
        elif rest:
            failure = error_inside(rest)
            framed, _ = values_in(rest.removeprefix("data:"))  # server-sent events in a line
            if failure is not None and not self.complete:
                self.failure = failure
            elif framed:
                self.odd.add_value(framed[0], rest)
            else:
                self.odd.add(rest, skipped=not (stray and is_unknown_field(rest)))
        return values

    def after_the_end(self, frame: SSEFrame, events: list[Event], t: float) -> None:
        """A frame that follows the end mark: a failure there is no failure of the answer."""
        if frame.event == "error":
            events.append(late(failure_in(json_or_text(frame.data)), t))
        elif "error" in frame.data and (failure := error_in(json_or_text(frame.data))):
            events.append(late(failure, t))

    @abstractmethod
    def feed(self, data: bytes, t: float) -> list[Event]:
        """The events that `data`, received at `t`, completes. Sets the fields above."""

    @abstractmethod
    def feed_eof(self, t: float) -> list[Event]:
        """The events that the end of the body completes."""

    @abstractmethod
    def feed_whole(self, body: bytes, t: float) -> list[Event]:
        """The events of an answer that came as one JSON body. Raises `ValueError`."""

    @abstractmethod
    def totals(self) -> list[Event]:
        """What is known only at the end: whole tool calls, usage, a refusal."""

    @abstractmethod
    def finish(self) -> Finish:
        """Why a complete answer ended."""


def late(failure: ChatstreamError, t: float) -> Warn:
    """The warning of a failure that the server reports after the end of its answer."""
    words = f"after the end of the answer the server reported: {failure.message}"
    return Warn("late_error", words, t=t)
