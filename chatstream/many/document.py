"""Sections that are written side by side, as one document: in their order, each as it comes.

1. The section whose turn it is goes out as it arrives. What arrives of later ones is kept until
   then. A section's turn ends with its run.
2. Text loses the white space at its ends, and an empty line comes before it. What stands before a
   section (`Section.opens`) comes with its first text, so a section without any leaves no trace,
   and so does the title. The document ends with one line end.
3. A model that begins with the heading of its section repeats what is already there: that line is
   left out, and so are the marks of any other heading in front of a heading of ours.
4. Text that is void is forgotten, if it was only kept; runs whose text was shown take none back.
"""

from __future__ import annotations

from chatstream.events import Content, Event, Terminal, voids
from chatstream.many.outline import Outline, Section, heading_in


class Document:
    """The document of this outline."""

    def __init__(self, outline: Outline) -> None:
        self._texts = [_Text(section) for section in outline.sections]
        self._turn = 0
        self._before = f"# {outline.title}\n\n" if outline.title else ""  # the next section
        self._has_begun = False

    def note(self, number: int, event: Event) -> None:
        """An event of the run that writes the section with this number, from 1."""
        self._texts[number - 1].note(event)

    def take(self) -> str:
        """The text that can be shown now and was not before."""
        ready = []
        while self._turn < len(self._texts):
            text = self._texts[self._turn]
            if shown := text.take():
                ready += [self._before, shown] if text.is_new else [shown]
                text.is_new = False
                self._before, self._has_begun = "\n\n", True
            if not text.ended:
                break
            self._turn += 1
            if self._turn == len(self._texts) and self._has_begun:
                ready.append("\n")
        return "".join(ready)


class _Text:
    """The text of one section, with what stands before it. `is_new` until some of it was shown."""

    def __init__(self, section: Section) -> None:
        self.ended = False
        self.is_new = True
        self._section = section
        self._held: list[str] = []
        self._white = ""  # what may be the end

    def note(self, event: Event) -> None:
        if isinstance(event, Content):
            self._held.append(event.delta)
        elif isinstance(event, Terminal):
            self.ended = True
        elif voids(event):
            self._held.clear()

    def take(self) -> str:
        text = self._white + "".join(self._held)
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
