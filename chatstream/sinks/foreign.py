"""Renderers of other packages: sinks that we did not write, and that may fail in any way.

1. A renderer is made with an output, whose `write` takes text, and gets copies of all events. If
   the output is a terminal, their texts have passed `escape`, so writing them is harmless.
2. It shows the answer. The plain sink shows warnings, failures and the command that resumes on
   `notes`, as it does for a pipe.
3. If a renderer fails, one line names it. The plain sink then shows the last arrival and the rest,
   and also everything before if the renderer has written nothing.
4. It runs on a thread of its own, one call at a time. If the run is cancelled and it does not
   return, it has failed, and can write nothing more.
5. If the output cannot be written to, that is not the renderer's failure: the run ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.escape import Escaper, clean
from chatstream.events import AnyEvent, Content, Event, Reasoning, Warn
from chatstream.flow import Arrival, Sink
from chatstream.plugins import FAILURES, Apart, what
from chatstream.sinks.output import Writer


class Text:
    """The output that a renderer gets."""

    def __init__(self, output: Writer) -> None:
        self._output = output
        self.failure: OSError | None = None
        self.is_left = False  # its renderer did not return
        self.is_open = False  # the last line has no line end yet
        self.is_used = False

    def write(self, text: str) -> None:
        """Write all of it, at once. Raises `BrokenPipeError`, `OSError`."""
        if self.is_left:
            raise BrokenPipeError("the answer is shown without this renderer")
        if text:
            self.put(text)

    def end_line(self) -> None:
        """Begin a new line, unless that is the case."""
        if self.is_open:
            self.put("\n")

    def put(self, text: str) -> None:
        """The same as `write`, for whoever shows the answer then."""
        try:
            self._output.write(text.encode("utf-8", "replace"))
        except OSError as error:
            self.failure = error
            raise
        self.is_open, self.is_used = not text.endswith("\n"), True


class Beside:
    """The notes. On a terminal, each starts on a new line."""

    def __init__(self, notes: Writer, text: Text) -> None:
        self._notes = notes
        self._text = text

    def write(self, data: bytes) -> None:
        """Take all of it."""
        self._text.end_line()
        self._notes.write(data)


Make = Callable[[Text], Sink]


class ForeignSink:
    """The renderer that `make` makes, under these rules. `called` names it in messages.

    `plain` makes a plain sink for these notes. `token` is that of the run. `terminal`: the output
    is a terminal.
    """

    def __init__(
        self,
        called: str,
        make: Make,
        output: Writer,
        notes: Writer,
        plain: Callable[[Writer], Sink],
        token: CancelToken,
        *,
        terminal: bool,
    ) -> None:
        self._called = called
        self._apart = Apart(token)
        self._text = Text(output)
        self._plain = plain(Beside(notes, self._text) if terminal else notes)
        self._escapers = {Content: Escaper(), Reasoning: Escaper()} if terminal else {}
        self._unseen: list[Arrival] = []  # texts, as long as the renderer has written nothing
        self._sink: Sink | None = None
        try:
            self._sink = self._apart.call(partial(make, self._text))
        except FAILURES as error:
            self._give_up(error)

    def write(self, arrival: Arrival) -> None:
        """Show what came."""
        if self._sink is not None:
            texts = [it for it in arrival.events if isinstance(it, Content)]
            others = [it for it in arrival.events if not isinstance(it, Content)]
            given = replace(arrival, events=[*map(self._given, arrival.events)])
            try:
                self._apart.call(partial(self._sink.write, given))
            except FAILURES as error:
                self._give_up(error)
            else:
                if texts and not self._text.is_used:
                    self._unseen.append(Arrival([*texts]))
                self._plain.write(replace(arrival, events=others))
                return
        self._plain.write(arrival)

    def close(self) -> None:
        """Show what is held. Idempotent."""
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                self._apart.call(sink.close)
            except FAILURES as error:
                self._give_up(error)
        self._apart.close()
        if self._escapers:
            self._text.end_line()
        self._plain.close()

    def _give_up(self, error: BaseException) -> None:
        """Stop using the renderer. If the output failed, raise that instead."""
        self._text.is_left = self._apart.is_left
        if self._text.failure is not None:
            raise self._text.failure
        self._sink = None
        message = f"the {self._called} failed, so the answer is shown as plain text: {what(error)}"
        self._plain.write(Arrival([Warn("plugin", message)]))
        if not self._text.is_used:
            for arrival in self._unseen:
                self._plain.write(arrival)
        self._unseen.clear()

    def _given(self, event: Event) -> Event:
        """A copy for the renderer."""
        if isinstance(event, Content | Reasoning):
            escaper = self._escapers.get(type(event))
            return replace(event, delta=escaper.feed(event.delta) if escaper else event.delta)
        data = msgspec.to_builtins(event)
        copied: Event = msgspec.convert(_cleaned(data) if self._escapers else data, AnyEvent)
        return copied


def _cleaned(value: Any) -> Any:
    """JSON-like data with all texts escaped for a terminal."""
    match value:
        case str():
            return clean(value)
        case list():
            return [_cleaned(it) for it in value]
        case dict():
            return {key: _cleaned(it) for key, it in value.items()}
    return value
