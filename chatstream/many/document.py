"""Sections that are written side by side, as one document: in their order, each as it comes.

1. The section whose turn it is goes out as it arrives. What arrives of later ones is kept until
   then. A section's turn ends with its run.
2. Text loses the white space at its ends, and an empty line comes before it. What stands before a
   section (`Section.opens`) comes with its first text, so a section without any leaves no trace,
   and so does the title. The document ends with one line end.
3. A model that begins with the heading of its section repeats what is already there: that line is
   left out, and so are the marks of any other heading in front of a heading of ours.
4. Text that is void is forgotten, if it was only kept; runs whose text was shown take none back.
5. What a person should know of a section, such as its failure, is a warning that names the section.
   It is kept like text, so it stands where that text is or would be.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.events import Content, Done, Error, Event, Terminal, Warn, voids
from chatstream.many.outline import Outline, Section, heading_in
from chatstream.sinks.words import UNUSUAL_ENDS, note, one_line

NO_TEXT = "the answer has no text"


class Document:
    """The document of this outline."""

    def __init__(self, outline: Outline) -> None:
        pairs = zip(outline.labels, outline.sections, strict=True)
        self._texts = [_Text(label, section) for label, section in pairs]
        self._turn = 0
        self._title = f"# {outline.title}\n\n" if outline.title else ""
        self._has_begun = False
        self._late: list[Event] = []  # warnings of sections that have ended

    def note(self, number: int, event: Event) -> None:
        """An event of the run that writes the section with this number, from 1."""
        self._texts[number - 1].note(event)

    def take(self) -> list[Event]:
        """The text and the warnings that can be shown now and were not before."""
        return [*self._taken()]

    def _taken(self) -> Iterator[Event]:
        while self._turn < len(self._texts):
            text = self._texts[self._turn]
            if shown := text.take():
                if text.is_new:
                    yield from self._begin()
                    text.is_new = False
                yield Content(shown)
            if not text.ended:
                yield from text.take_warnings()
                return
            self._late += text.take_warnings()
            self._turn += 1
            if self._turn == len(self._texts):
                yield from self._end()

    def _begin(self) -> Iterator[Event]:
        """What comes before the text of a section; warnings stand between paragraphs."""
        if before := "\n\n" if self._has_begun else self._title:
            yield Content(before)
        self._has_begun = True
        yield from self._late
        self._late.clear()

    def _end(self) -> Iterator[Event]:
        if self._has_begun:
            yield Content("\n")
        yield from self._late


class _Text:
    """The text of one section, with what stands before it. `is_new` until some of it was shown."""

    def __init__(self, label: str, section: Section) -> None:
        self.ended = False
        self.is_new = True
        self._label = label
        self._section = section
        self._held: list[str] = []
        self._white = ""  # what may be the end
        self._warnings: list[Event] = []

    def note(self, event: Event) -> None:
        if isinstance(event, Content):
            self._held.append(event.delta)
        elif isinstance(event, Terminal):
            self.ended = True
        elif voids(event):
            self._held.clear()
            if self.is_new:
                self._white = ""
        said = told(event)
        if isinstance(event, Done) and self.is_new and not has_text(self._pending, self._section):
            said = NO_TEXT
        if said:
            self._warnings.append(Warn("section", f"{self._label}: {said}"))

    def take_warnings(self) -> list[Event]:
        warnings, self._warnings = self._warnings, []
        return warnings

    @property
    def _pending(self) -> str:
        return self._white + "".join(self._held)

    def take(self) -> str:
        text = self._pending
        self._held.clear()
        if self.is_new:
            text = text.lstrip()
            if text.startswith("#"):
                first, end, rest = text.partition("\n")
                if not (end or self.ended):
                    self._white = text  # the line may be the heading
                    return ""
                text = (self._beginning(first) + end + rest).lstrip()
        shown = text.rstrip()
        self._white = text[len(shown) :]
        return self._section.opens + shown if shown and self.is_new else shown

    def _beginning(self, line: str) -> str:
        words = heading_in(line)
        if words.casefold() == self._section.heading.casefold():
            return ""
        return words if words and self._section.opens.endswith("# ") else line


def has_text(answer: str, section: Section) -> bool:
    """Whether a whole answer has more than the heading of its section."""
    text = _Text("", section)
    text.note(Content(answer))
    text.ended = True
    return text.take() != ""


def told(event: Event) -> str | None:
    """What a person should know of an event of a section; None for nothing."""
    if isinstance(event, Error):
        return None if event.code == "cancelled" else one_line(event.message)
    if isinstance(event, Done):
        return UNUSUAL_ENDS.get(event.finish_reason)
    return event.message if isinstance(event, Warn) else note(event)
