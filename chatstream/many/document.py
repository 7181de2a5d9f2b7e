"""Sections that are written side by side, as one document, in order and as they arrive.

1. The current section is passed on as it arrives; later sections are kept until their turn. A
   section's turn ends with its run.
2. Text loses the white space at its ends, and an empty line comes before it. The title and
   `Section.opens` come with the first text after them, so a section without text leaves no trace.
   The document ends with one line end.
3. A model that begins with the heading of its section repeats what is already there: that line is
   left out, and so are the marks of any other heading in front of a heading of ours.
4. Void text is dropped if it has not been shown; a run whose text was shown cannot void it. The
   text of an earlier run (`replayed`) is kept back until its continuation comes, or the end.
5. Messages about a section, such as its failure, become warnings that name the section. They are
   kept like text, so they appear where its text is or would be.
6. If a section ends within a code block, the block is closed, so that what follows is not code.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.events import Content, Done, Error, Event, Terminal, Warn, voids
from chatstream.fences import Fences
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
        self._recalled = ""  # what may still turn out to be void
        self._white = ""  # what may be the end
        self._fences = Fences()
        self._line = ""  # the last one that was shown
        self._warnings: list[Event] = []

    def note(self, event: Event) -> None:
        said = told(event)
        if isinstance(event, Content) and event.replayed:
            self._recalled = event.delta
        elif isinstance(event, Content):
            if self._recall():
                said = "continued where it broke off"
            self._held.append(event.delta)
        elif isinstance(event, Terminal):
            self._recall()
            self.ended = True
        elif voids(event):
            self._recalled = ""
            self._held.clear()
            if self.is_new:
                self._white = ""
        if isinstance(event, Done) and self.is_new and not has_text(self._pending, self._section):
            said = NO_TEXT
        if said:
            self._warnings.append(Warn("section", f"{self._label}: {said}"))

    def _recall(self) -> bool:
        """Take over the text of an earlier run; False without such a text."""
        recalled, self._recalled = self._recalled, ""
        if recalled:
            self._held.append(recalled)
        return recalled != ""

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
        shown += self._end_of_code(shown)
        return self._section.opens + shown if shown and self.is_new else shown

    def _end_of_code(self, shown: str) -> str:
        """What closes the block of code that the section ends in; `shown` is its latest text."""
        *lines, self._line = (self._line + shown).split("\n")
        for line in lines:
            self._fences.line(line)
        if not self.ended:
            return ""
        self._fences.line(self._line)
        fence = self._fences.open
        ends_by_itself = self._fences.heeds_text  # in a list or a quote
        return "" if fence is None or ends_by_itself else f"\n{fence.mark}"

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
    if isinstance(event, Warn):
        return None if event.code == "not_continued" else event.message
    return note(event)
