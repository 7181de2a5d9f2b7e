"""Executables as tools: `--tool-exec FILE`.

    $ ./weather --describe
    {"name": "weather", "description": "…", "parameters": {"type": "object", …}, "effect": "net"}
    $ echo '{"city": "Rome"}' | ./weather
    sunny

1. `--describe` prints one JSON object: a name, a description, and, where it has arguments, their
   JSON Schema. `effect` is "run" if it is left out.
2. For a call it is started without arguments; those of the call are a JSON object on standard
   input. What it prints is the result, and the model is told its exit status.
3. It runs in the sandbox, in the first root. One whose effect is "net" has the network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.errors import UsageError
from chatstream.events import Effect
from chatstream.tools.programs import run_program
from chatstream.tools.sandbox import Sandbox
from chatstream.tools.spawning import Keeper
from chatstream.tools.tool import Context, Returned, Tool, ToolFailure
from chatstream.wording import excerpt

DESCRIBE_SECONDS = 10.0
_MOST_BYTES = 256 * 1024


class Described(msgspec.Struct, frozen=True):
    """What an executable says about itself."""

    name: str
    description: str
    parameters: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    effect: Effect = "run"


class Executable(Tool):
    """An executable as a tool."""

    origin = "file"

    def __init__(self, path: Path, described: Described, keeper: Keeper, sandbox: Sandbox) -> None:
        super().__init__(described.name, described.description, described.parameters)
        self.effect = described.effect
        self._path = path
        self._keeper = keeper
        self._sandbox = sandbox

    def run(self, arguments: dict[str, Any], context: Context) -> Returned:
        order = self._sandbox.order([str(self._path)], network=self.effect == "net")
        given = msgspec.json.encode(arguments)
        return run_program(self._keeper, order, context, given=given)


def executables(
    paths: Sequence[Path], keeper: Keeper, sandbox: Sandbox, token: CancelToken | None = None
) -> list[Executable]:
    """These executables as tools, each of which is asked what it is.

    Raises `UsageError` for a file that cannot be run or does not describe a tool, or the reason of
    the token.
    """
    token = token or CancelToken()
    return [Executable(it, _described(it, keeper, sandbox, token), keeper, sandbox) for it in paths]


def _described(path: Path, keeper: Keeper, sandbox: Sandbox, token: CancelToken) -> Described:
    if not path.is_file():
        raise UsageError(f"there is no executable {path}", hint="check --tool-exec")
    if not os.access(path, os.X_OK):
        raise UsageError(f"{path} cannot be executed", hint=f"chmod +x {path}")
    said = _Said(token)
    try:
        order = sandbox.order([str(path), "--describe"])
        ended = run_program(keeper, order, said.context)
    except ToolFailure as error:
        raise _unusable(path, error.message) from error
    finally:
        said.close()
    token.check()
    text = said.text
    if said.is_late:
        raise _unusable(path, f"it did not end within {DESCRIBE_SECONDS:g} s")
    if ended.exit_status:
        words = f": {excerpt(text)}" if text.strip() else ""
        raise _unusable(path, f"it ended with status {ended.exit_status}{words}")
    try:
        return msgspec.json.decode(text, type=Described)
    except msgspec.DecodeError as error:
        raise _unusable(path, f"what it prints does not describe a tool: {error}") from error


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} --describe failed: {why}",
        hint='it has to print {"name": …, "description": …, "parameters": {JSON Schema}}',
    )


class _Said:
    """What an executable prints about itself, within limits of time and size."""

    def __init__(self, token: CancelToken) -> None:
        import threading

        self.text = ""
        self.is_late = False
        child, self._untie = token.child()
        self._token = child
        self.context = Context(
            "describe", child, self._take, lambda *_: None, lambda _: None, lambda: None
        )
        self._timer = threading.Timer(DESCRIBE_SECONDS, self._late)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        self._timer.cancel()
        self._untie()

    def _take(self, text: str) -> None:
        if len(self.text) < _MOST_BYTES:
            self.text += text

    def _late(self) -> None:
        self.is_late = True
        self._token.cancel()
