"""A tool's context without a runner: what the tool says is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.tools.tool import Context, Tool


class Said(Context):
    """What a tool says."""

    def __init__(self) -> None:
        self.outputs: list[str] = []
        self.reports: list[tuple[float, float | None, str | None]] = []
        self.planned: list[tuple[str, float]] = []
        super().__init__(
            "call1",
            CancelToken(),
            self.outputs.append,
            lambda done, total, message: self.reports.append((done, total, message)),
            self._take,
            lambda: None,
        )

    def _take(self, stages: Iterable[tuple[str, float]]) -> None:
        self.planned += stages


def result(tool: Tool, said: Said | None = None, **arguments: Any) -> str:
    """What the model is given for a call with these arguments."""
    said = said or Said()
    tool.check(arguments)
    returned = tool.run(arguments, said)
    return "".join(said.outputs) + str(returned)
