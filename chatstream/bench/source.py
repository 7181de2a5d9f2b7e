"""What a benchmark asks: one source for each stream that is open at the same time.

The loop that measures is one thread. Nothing here ever waits, except `Wires.wait`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from chatstream.bench.result import Arm
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival, Stage
from chatstream.messages import ChatRequest
from chatstream.timing import Trace


class Source(Protocol):
    """Asks one server, one request at a time."""

    @property
    def trace(self) -> Trace:
        """What the wire did in the latest exchange; a new object for each."""

    @property
    def news(self) -> bool:
        """Whether something has arrived that `open` has not yielded yet."""

    def open(
        self, request: ChatRequest, token: CancelToken, raw: Stage, answer: Stage
    ) -> Iterator[Arrival]:
        """Ask. Yields an empty arrival whenever it holds nothing more; raises a `ChatstreamError`.

        `raw` is put over what the server sent, `answer` over that with the model's thinking
        separated from its answer (`<think>`). Events have the receive times of the `trace`.
        """

    def close(self) -> None:
        """Close its connection. Idempotent."""


class Wires(Protocol):
    """All the sources of a benchmark, and the one place where it waits."""

    def source(self, arm: Arm) -> Source:
        """A new source, with a connection of its own."""

    def wait(self) -> None:
        """Take what arrives, for all sources, with its receive times. About 1 ms at most."""
