"""One run: its events for whoever reads them, and for any number of others who watch.

1. Whoever reads `arrivals`, or iterates over the run, drives it: nothing is asked before, and a
   slow reader slows the server down. A run is read once. `start` reads it on a thread of its own
   instead; it then depends on no reader.
2. Watchers see every event, from the first to the terminal one, whenever they come. Each has a
   place of its own in what was kept, so one that stalls, raises or leaves holds nobody up.
   What is kept is the events themselves, about 15 MB for 100,000 tokens. A run that is begun with
   `keeps` False keeps nothing and cannot be watched.
3. `close` ends the run if it has not ended. Afterwards no thread, socket or journal is open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Self

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.errors import Cancelled
from chatstream.events import Event, Metadata, Stats, Terminal
from chatstream.flow import Arrival, close, events_in
from chatstream.messages import Message, ToolCall, ToolResult

if TYPE_CHECKING:
    from chatstream.engine.spending import Budget
    from chatstream.engine.tooling import Tooling
    from chatstream.store.reading import Record


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and who reads the answer.

    `messages` are the new ones, and `earlier` those of the conversation before them. `parent` is
    the run whose answer they follow, and `spent` the dollars that answers without a journal have
    cost. Runs with one `budget` share the limit of their cost. `most` is the share of the model's
    window that all of them may take if turns can be left out. `record` is the run whose answer is
    to be continued; where the server cannot do that and the question `starts_over`, it is asked
    again. `resettable`: what was shown can be taken back. `on_screen`: the answer is shown on a
    screen, and nothing else reads it. `keeps_images`: the answer's images are saved. `keeps`:
    others may watch the run. `tooling` runs the calls of the model; without it they are left to the
    reader.
    """

    messages: tuple[Message, ...]
    earlier: tuple[Message, ...] = ()
    parent: str | None = None
    spent: float = 0.0
    budget: Budget | None = None
    most: float = 1.0
    record: Record | None = None
    starts_over: bool = False
    resettable: bool = True
    on_screen: bool = False
    keeps_images: bool = False
    keeps: bool = False
    tooling: Tooling | None = None

    @property
    def conversation(self) -> tuple[Message, ...]:
        """Everything that is sent.

        Calls that never got a result are left out, and so is an answer that has nothing else:
        OpenAI and Anthropic refuse a request with one.
        """
        messages = (*self.earlier, *self.messages)
        if not any(it.has_calls for it in messages):
            return messages
        settled = ((it, _settled(messages, at)) for at, it in enumerate(messages))
        return tuple(it for was, it in settled if it is was or it.content or it.tool_calls)


def _settled(messages: Sequence[Message], at: int) -> Message:
    """A message without the calls that the messages of tools right after it do not answer."""
    message = messages[at]
    if message.role != "assistant" or not message.tool_calls:
        return message
    results = takewhile(lambda it: it.role == "tool", messages[at + 1 :])
    answered = {part.id for it in results for part in it.parts if isinstance(part, ToolResult)}
    parts = [it for it in message.parts if not isinstance(it, ToolCall) or it.id in answered]
    if len(parts) == len(message.parts):
        return message
    return Message(message.role, parts, message.complete)


class Run:
    """One run. `arrivals` are those of the pipeline; `ended` is called once they are over."""

    def __init__(
        self,
        question: Question,
        opening: Metadata,
        token: CancelToken,
        arrivals: Iterator[Arrival],
        *,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.question = question
        self.opening = opening
        self.token = token
        self.terminal: Terminal | None = None
        self.active = True
        self.arrivals = self._read(arrivals)
        self._source = arrivals
        self._ended = ended
        self._kept: list[Event] | None = [] if question.keeps else None
        self._thread: threading.Thread | None = None
        self._moved = threading.Condition()

    @property
    def id(self) -> str:
        """The id of the run, as in its journal."""
        return str(self.opening.run)

    @property
    def stats(self) -> Stats | None:
        """The timings and counts of the run, once it has ended."""
        return self.terminal.stats if self.terminal is not None else None

    @property
    def partial(self) -> Message:
        """The answer so far. Raises `RuntimeError` for a run that keeps nothing."""
        from chatstream.transcript import Transcript

        answer = Transcript()
        for event in list(self._log()):
            answer.add(event)
        return answer.message

    def note_end(self, terminal: Terminal) -> None:
        """The pipeline has made the terminal event."""
        self.terminal = terminal

    def cancel(self, reason: Cancelled | None = None) -> None:
        """End the run from any thread, or from a signal handler."""
        self.token.cancel(reason)

    def __iter__(self) -> Iterator[Event]:
        """The events as they leave the pipeline; reading them drives the run."""
        return events_in(self.arrivals)

    def start(self) -> Self:
        """Let a thread of its own drive the run."""
        self._log()
        self._thread = threading.Thread(target=self._drive, name=f"run {self.id}", daemon=True)
        self._thread.start()
        return self

    def watch(self) -> Iterator[Event]:
        """Every event from the first on, and those to come as they come.

        Ends with the run. Raises `RuntimeError` for a run that keeps nothing.
        """
        kept = self._log()
        return self._watch(kept)

    def close(self) -> None:
        """End the run, and wait until everything it used is closed. Idempotent.

        For the thread that reads it, or any thread once it is started.
        """
        if self._thread is not None:
            self.token.cancel(Cancelled("closed"))
            self._thread.join()
        else:
            close(self.arrivals)
            close(self._source)
        self._finish()  # a generator that was never begun runs no `finally`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            if self._kept is None:
                yield from arrivals
            else:
                for arrival in arrivals:
                    if arrival.events:
                        self._kept += arrival.events
                        self._wake()
                    yield arrival
        finally:
            try:
                close(arrivals)
            finally:
                self._finish()

    def _drive(self) -> None:
        for _ in self.arrivals:
            pass

    def _finish(self) -> None:
        if self.active:
            self.active = False
            self._ended()
            self._wake()

    def _log(self) -> list[Event]:
        if self._kept is None:
            raise RuntimeError("this run keeps no events")
        return self._kept

    def _watch(self, kept: list[Event]) -> Iterator[Event]:
        at = 0
        while True:
            # The end is looked at first: all that was kept before it is then read below.
            is_last = not self.active
            fresh = kept[at:]
            if fresh:
                at += len(fresh)
                yield from fresh
            elif is_last:
                return
            else:
                self._wait(kept, at)

    def _wait(self, kept: list[Event], at: int) -> None:
        """Until something comes, or for a moment.

        The driver appends without the lock, so a wake-up may be missed: the wait ends after
        `POLL_SECONDS` all the same.
        """
        with self._moved:
            if self.active and len(kept) == at:
                self._moved.wait(POLL_SECONDS)

    def _wake(self) -> None:
        with self._moved:
            self._moved.notify_all()
