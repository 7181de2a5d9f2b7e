"""Sections that are written side by side, as one document: in their order, each as it comes.

1. The section whose turn it is goes out as it arrives. What arrives of later ones is kept until
   then. A section's turn ends with its run.
2. Text loses the white space at its ends, and an empty line comes before it. What stands before a
   section (`Section.opens`) comes with its first text, so a section without any leaves no trace.
   The document ends with one line end.
3. Text that is void is forgotten, if it was only kept; runs whose text was shown take none back.
"""

from __future__ import annotations

from chatstream.events import Content, Event, Terminal, voids
from chatstream.many.outline import Outline, Section


class Document:
    """The document of this outline."""

    def __init__(self, outline: Outline) -> None:
        self._texts = [_Text(section) for section in outline.sections]
        self._turn = 0
        self._ready = f"# {outline.title}" if outline.title else ""
        self._has_begun = bool(self._ready)

    def note(self, number: int, event: Event) -> None:
        """An event of the run that writes the section with this number, from 1."""
        self._texts[number - 1].note(event)

    def take(self) -> str:
        """The text that can be shown now and was not before."""
        ready, self._ready = [self._ready], ""
        while self._turn < len(self._texts):
            text = self._texts[self._turn]
            if shown := text.take():
                ready.append("\n\n" * (self._has_begun and text.is_new))
                ready.append(shown)
                self._has_begun, text.is_new = True, False
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
        self._opens = section.opens
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
        shown = text.rstrip()
        self._white = text[len(shown) :]
        return self._opens + shown if shown and self.is_new else shown
