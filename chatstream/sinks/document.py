"""Several answers one after the other, as one Markdown document: a heading, and the answer.

1. The first answer is written as it arrives. Of the others everything is held until their turn
   comes, in the order asked; what is there by then is written at once.
2. Each answer has its own sink, made by `make`: it writes or draws the answer, and reports
   failures beside it.
3. An answer that is not whole says so in the document as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chatstream import events as ev
from chatstream.flow import Arrival, Sink
from chatstream.sinks.words import one_line


class DocumentSink:
    """Writes the runs with these labels. `part` writes the line end between two answers, and `tell`
    a line beside them.
    """

    def __init__(
        self,
        labels: Sequence[str],
        make: Callable[[], Sink],
        part: Callable[[bytes], object],
        tell: Callable[[str], object],
    ) -> None:
        self._labels = [*labels]
        self._make = make
        self._part = part
        self._tell = tell
        self._turn = 0
        self._held: dict[str, list[Arrival]] = {label: [] for label in labels}
        self._sink: Sink | None = None  # of the answer whose turn it is, once it has begun
        self._tail = ""  # the end of what was written of it

    def write(self, arrival: Arrival) -> None:
        """Write what came, if it is its turn; else hold it."""
        if arrival.stream is None:
            return
        self._held[arrival.stream].append(arrival)
        self._go_on()

    def close(self) -> None:
        """Write what is held, even if its turn would never come. Idempotent."""
        while self._turn < len(self._labels):
            self._go_on()
            self._end()

    def _go_on(self) -> None:
        """Write what is there of the answer whose turn it is, and of those after it."""
        while self._turn < len(self._labels):
            turn = self._turn
            held = self._held[self._labels[turn]]
            self._held[self._labels[turn]] = []
            for arrival in held:
                self._show(arrival)
            if self._turn == turn:
                return

    def _show(self, arrival: Arrival) -> None:
        sink = self._begun()
        end = next((it for it in arrival.events if isinstance(it, ev.Terminal)), None)
        arrival.events = [it for it in arrival.events if it is not end]
        for event in arrival.events:
            if isinstance(event, ev.Content):
                self._tail = (self._tail + event.delta)[-2:]
        sink.write(arrival)
        if end is None:
            return
        if isinstance(end, ev.Error):
            stopped = end.code == "cancelled"
            what = "stopped" if stopped else f"error: {one_line(end.message)}"
            self._say("\n" * (2 - len(self._tail) + len(self._tail.rstrip("\n"))))
            self._say(f"*{what}*\n")
            self._tell(f"answer {self._name}:")
        elif not self._tail.endswith("\n"):
            self._say("\n")
        sink.write(Arrival([end]))
        self._end()

    def _begun(self) -> Sink:
        """The sink of the answer whose turn it is, with its heading."""
        if self._sink is None:
            if self._turn:
                self._part(b"\n")
            self._sink = self._make()
            self._say(f"## {self._name}\n\n")
        return self._sink

    @property
    def _name(self) -> str:
        return f"{self._turn + 1}. {one_line(self._labels[self._turn])}"

    def _end(self) -> None:
        if self._sink is not None:
            self._sink.close()
        self._sink = None
        self._turn += 1

    def _say(self, text: str) -> None:
        self._tail = (self._tail + text)[-2:]
        if self._sink is not None and text:
            self._sink.write(Arrival([ev.Content(text)]))
