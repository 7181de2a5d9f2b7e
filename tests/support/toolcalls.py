"""A call without a runner: a `Context` that writes down what a tool says.

said = Said()
tool.run({"a": 1}, said.context)
assert said.text == "…"
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from chatstream.cancel import CancelToken
from chatstream.tools.tool import Context

LIMIT = 60.0  # seconds that a test waits for another thread or process, however busy it is


class Said:
    """What one call has said, in its order. `spoken` is set once it has said something."""

    def __init__(self, call_id: str = "call00001") -> None:
        self.token = CancelToken()
        self.output: list[str] = []
        self.progress: list[object] = []
        self.spoken = threading.Event()
        self.context = Context(
            call_id, self.token, self._put, self._advance, self._plan, self._next_stage
        )

    @property
    def text(self) -> str:
        """All output."""
        return "".join(self.output)

    def _put(self, text: str) -> None:
        self.token.check()
        self.output.append(text)
        self.spoken.set()

    def _advance(self, done: float, total: float | None, message: str | None) -> None:
        self.progress.append((done, total, message))
        self.spoken.set()

    def _plan(self, weighted: Iterable[tuple[str, float]]) -> None:
        self.progress.append([*weighted])

    def _next_stage(self) -> None:
        self.progress.append("next stage")
