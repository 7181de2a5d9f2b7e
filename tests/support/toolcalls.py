"""Calls without a runner, and the tools of a file.

said = Said()
tool.run({"a": 1}, said.context)
assert said.text == "…"

file = FromFile(tmp_path, "def add(a: int) -> int: …")
assert file.call("add", a=1) == 2
file.close()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.inbox import Inbox
from chatstream.tools.tool import Context, Tool
from chatstream.tools.toolsfile import tools_of_file
from tests.support.waiting import LIMIT as LIMIT


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


class FromFile:
    """The tools of a file with this code, which run in a process of their own."""

    def __init__(self, folder: Path, code: str) -> None:
        self.path = folder / "own_tools.py"
        self.write(code)
        self.tools = {it.name: it for it in tools_of_file(self.path)}

    def write(self, code: str) -> None:
        """Change the file."""
        self.path.write_text(dedent(code))

    def call(self, name: str, /, **arguments: Any) -> object:
        """What a call returns."""
        return self.tools[name].run(arguments, Said().context)

    def start(self, name: str, /, **arguments: Any) -> Started:
        """A call on a thread of its own."""
        return Started(self.tools[name], arguments)

    def close(self) -> None:
        """End the process."""
        for tool in self.tools.values():
            tool.close()


class Started:
    """A call that runs."""

    def __init__(self, tool: Tool, arguments: dict[str, Any]) -> None:
        self.said = Said()
        self._tool = tool
        self._arguments = arguments
        self._ended: Inbox[Callable[[], object]] = Inbox()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Stop it, as the runner does."""
        self.said.token.cancel(Cancelled("stopped"))
        self._tool.stop(self.said.context)

    def end(self) -> object:
        """What it returns or raises, once it has ended."""
        return self._ended.get(LIMIT)()

    def _run(self) -> None:
        try:
            value = self._tool.run(self._arguments, self.said.context)
        except BaseException as error:
            self._ended.put(partial(_raise, error))
        else:
            self._ended.put(lambda: value)


def _raise(error: BaseException) -> object:
    raise error
