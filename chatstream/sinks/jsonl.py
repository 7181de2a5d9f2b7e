"""Every event as one line of JSON, written as it arrives. Nothing else goes to this output.

Events that came with one read are written in one call; each read is written at once.
"""

from __future__ import annotations

from chatstream.events import Event, encode_lines
from chatstream.sinks.output import Output


class JsonlSink:
    """JSON Lines on `output`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._held: list[Event] = []
        self.write = self._held.append

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            lines = encode_lines(self._held)
            self._held.clear()  # before the write: what a broken pipe refused is not tried again
            self._output.write(lines)

    def close(self) -> None:
        """Write what is held; the output stays open."""
        self.flush()
