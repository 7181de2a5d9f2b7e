"""The sources that an answer cites, as a list for its end.

1. A source is listed once, in the order of the first citation, with the number that the text has
   for it; where the server gives none, with the next one.
2. Lines are cleaned and have no line ends: title and address are remote text.
3. At most `MAX_SOURCES` are listed; one line tells how many more there are.
"""

from __future__ import annotations

from chatstream import events as ev
from chatstream.sinks.words import MAX_URL_CHARACTERS, one_line

MAX_SOURCES = 100
HEADING = "Sources:"


class Sources:
    """Those of one answer."""

    def __init__(self) -> None:
        self._cited: dict[tuple[str, int | None], None] = {}  # in their order, each once
        self._titles: dict[str, str] = {}

    def note(self, event: ev.Event) -> None:
        """Take any event of the run but its deltas. A new answer has its own sources."""
        match event:
            case ev.Citation():
                self._cited[event.url, event.number] = None
                if event.title:
                    self._titles.setdefault(event.url, event.title)
            case _ if ev.voids(event):
                self._cited.clear()
                self._titles.clear()

    def lines(self) -> list[str]:
        """The heading and a line for each source; nothing where none was cited."""
        numbered = {url for url, number in self._cited if number is not None}
        cited = [it for it in self._cited if it[1] is not None or it[0] not in numbered]
        if not cited:
            return []
        last = 0
        lines = [HEADING]
        for url, number in cited[:MAX_SOURCES]:
            last = number if number is not None else last + 1
            lines.append(f"[{last}] {self._source(url)}")
        if len(cited) > MAX_SOURCES:
            lines.append(f"and {len(cited) - MAX_SOURCES} more; --json has them all")
        return lines

    def _source(self, url: str) -> str:
        address = one_line(url, MAX_URL_CHARACTERS)
        title = one_line(self._titles.get(url, ""))
        return f"{title} · {address}" if title and title != address else address
