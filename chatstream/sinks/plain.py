"""The answer's own bytes, for pipes and files; notes for people go to another output.

1. `output` gets the content deltas as UTF-8 and nothing else, each read at once.
2. Warnings, retries and the closing line go to `notes`, cleaned of control characters.
3. Where `output` is a terminal its text is cleaned too, and the last line gets its end.
"""

from __future__ import annotations

from chatstream import events as ev
from chatstream.events import Content
from chatstream.sinks.escape import Escaper, clean
from chatstream.sinks.output import Output
from chatstream.sinks.words import ending, note


class PlainSink:
    """Content on `output`, everything else on `notes`."""

    def __init__(
        self, output: Output, notes: Output, *, terminal: bool, reasoning: bool, stats: bool
    ) -> None:
        self._output = output
        self._notes = notes
        self._escaper = Escaper() if terminal else None
        self._reasoning = Escaper() if reasoning else None
        self._stats = stats
        self._held: list[str] = []
        self._line_open = False  # the terminal's cursor is not at the start of a line
        self._note_open = False

    def write(self, event: ev.Event) -> None:
        """Take an event; content waits for `flush`."""
        if type(event) is Content:
            self._held.append(event.delta)
        elif isinstance(event, ev.Reasoning):
            if self._reasoning is not None:
                self._note_text(self._reasoning.feed(event.delta))
        else:
            self._other(event)

    def flush(self) -> None:
        """Write the content that is held."""
        if not self._held:
            return
        text = "".join(self._held)
        self._held.clear()
        if self._escaper is not None:
            text = self._escaper.feed(text)
        if not text:
            return
        self._end_note_line()
        self._output.write(text.encode("utf-8", "replace"))
        self._line_open = not text.endswith("\n")

    def close(self) -> None:
        """Write what is held."""
        self.flush()

    def _other(self, event: ev.Event) -> None:
        self.flush()
        if isinstance(event, ev.Done | ev.Error):
            self._end_line()
            for line in ending(event, stats=self._stats):
                self._note_line(line)
        elif (said := note(event)) is not None:
            self._note_line(said)

    def _note_text(self, text: str) -> None:
        if text:
            self._notes.write(text.encode("utf-8", "replace"))
            self._note_open = not text.endswith("\n")

    def _end_note_line(self) -> None:
        if self._note_open:
            self._note_text("\n")

    def _end_line(self) -> None:
        """On a terminal a note begins a line of its own."""
        if self._escaper is not None and self._line_open:
            self._output.write(b"\n")
            self._line_open = False

    def _note_line(self, line: str) -> None:
        self._end_line()
        self._end_note_line()
        self._note_text(clean(line) + "\n")
