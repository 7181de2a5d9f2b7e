"""The answer's own bytes, for pipes and files; notes for people go to another output.

1. `output` gets the content deltas as UTF-8 and nothing else, each read at once.
2. Warnings, retries, the list of sources, figures and the closing line go to `notes`, cleaned of
   control characters, in the `colours` (parameters of SGR by kind of note) that are given. So does
   what becomes of calls of tools. A question is asked by somebody else (`terminal.asking`).
3. Where `output` is a terminal its text is cleaned too, and the last line gets its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chatstream import events as ev
from chatstream.escape import Escaper, clean
from chatstream.events import Content
from chatstream.flow import Arrival
from chatstream.sinks.output import Writer
from chatstream.sinks.sources import Sources
from chatstream.sinks.words import advice, ending, figures, note

if TYPE_CHECKING:
    from chatstream.sinks.calls import Unrun


class PlainSink:
    """Content on `output`, everything else on `notes`."""

    def __init__(
        self,
        output: Writer,
        notes: Writer,
        *,
        terminal: bool,
        reasoning: bool,
        stats: bool,
        colours: Mapping[str, str] | None = None,
    ) -> None:
        self._output = output
        self._notes = notes
        self._escaper = Escaper() if terminal else None
        self._reasoning = Escaper() if reasoning else None
        self._stats = stats
        self._colours = colours
        self._sources = Sources()
        self._unrun: Unrun | None = None  # once there are calls
        self._held: list[str] = []
        self._line_open = False  # the terminal's cursor is not at the start of a line
        self._note_open = False

    def write(self, arrival: Arrival) -> None:
        """Write what came, its content at once."""
        for event in arrival.events:
            if self._unrun is not None:
                for call in self._unrun.note(event):
                    self._flush()
                    self._note_line(str(note(call)), "advice")
            if type(event) is Content:
                self._held.append(event.delta)
            elif isinstance(event, ev.Reasoning):
                if self._reasoning is not None:
                    self._note_text(self._reasoning.feed(event.delta))
            else:
                self._other(event)
        self._flush()

    def _flush(self) -> None:
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
        self._flush()

    def _other(self, event: ev.Event) -> None:
        self._flush()
        self._sources.note(event)
        if isinstance(event, ev.Done | ev.Error):
            for line in self._sources.lines():
                self._note_line(line, "advice")
        if isinstance(event, ev.Done):
            self._end_line()
            for line in ending(event, stats=False):
                self._note_line(line, "warning")
            if self._stats:
                self._note_line(figures(event), "success")
        elif isinstance(event, ev.Error):
            stopped = event.code == "cancelled"
            self._note_line(ending(event, stats=False)[0], "warning" if stopped else "failure")
            for way in advice(event):
                self._note_line(way, "advice")
        elif isinstance(event, ev.Analysis):
            self._note_analysis(event)
        elif isinstance(event, ev.ToolCall):
            self._note_call(event)
        elif isinstance(event, ev.Approval | ev.ToolStart | ev.ToolComplete | ev.ToolError):
            self._note_fate(event)
        elif (said := note(event)) is not None:
            self._note_line(said, "warning")

    def _note_analysis(self, analysis: ev.Analysis) -> None:
        if analysis.final:
            from chatstream.sinks.analyses import analysis_lines

            for line in analysis_lines(analysis.figures):
                self._note_line(line, "advice")

    def _note_call(self, call: ev.ToolCall) -> None:
        """Nothing is said of it before its fate is known."""
        if self._unrun is None:
            from chatstream.sinks.calls import Unrun

            self._unrun = Unrun()
            self._unrun.note(call)

    def _note_fate(
        self, event: ev.Approval | ev.ToolStart | ev.ToolComplete | ev.ToolError
    ) -> None:
        from chatstream.sinks.calls import told

        said = told(event, lambda duration: f"{duration:.1f} s")
        if said is not None:
            failed = isinstance(event, ev.ToolError) and event.outcome == "failed"
            well = not isinstance(event, ev.ToolError)
            self._note_line(said, "failure" if failed else "advice" if well else "warning")
        elif isinstance(event, ev.Approval) and event.is_question:
            self._end_line()  # the question begins a line of its own
            self._end_note_line()
        elif isinstance(event, ev.Approval) and event.by == "nobody" and not event.replayed:
            from chatstream.sinks.questions import question_lines

            for line in question_lines(event):
                self._note_line(line.text, "advice")

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

    def _note_line(self, line: str, kind: str) -> None:
        self._end_line()
        self._end_note_line()
        line = clean(line)
        if self._colours:
            line = f"\x1b[{self._colours[kind]}m{line}\x1b[0m"
        self._note_text(line + "\n")
