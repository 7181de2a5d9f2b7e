"""Every event as one line of JSON, written as it arrives. Nothing else goes to this output.

Events that came with one read are written in one call; each read is written at once.
"""

from __future__ import annotations

from chatstream.events import encode_lines
from chatstream.flow import Arrival
from chatstream.sinks.output import Output


class JsonlSink:
    """JSON Lines on `output`."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, arrival: Arrival) -> None:
        """Write what came."""
        if arrival.events:
            self._output.write(encode_lines(arrival.events))

    def close(self) -> None:
        """Nothing is held; the output stays open."""
