"""`shell`: a command, run by sh in the first root, inside the sandbox."""

from __future__ import annotations

from typing import Annotated

import msgspec

from chatstream.tools.builtin.base import Arguments, BuiltIn
from chatstream.tools.programs import run_program
from chatstream.tools.sandbox import Sandbox
from chatstream.tools.spawning import Keeper
from chatstream.tools.tool import Context, Returned, Subject

_NETWORK = {
    "nothing": ", and has no network",
    "all but TCP": ", and cannot connect over TCP",
    "everything": "",
}


class ShellArguments(Arguments, frozen=True, kw_only=True):
    """Of `shell`."""

    command: Annotated[
        str, msgspec.Meta(min_length=1, description="The command, as for sh -c; pipes are fine.")
    ]
    terminal: Annotated[
        bool,
        msgspec.Meta(description="Whether its output is a terminal, for programs that need one."),
    ] = False


class Shell(BuiltIn[ShellArguments]):
    """`shell`. The keeper starts the command, wrapped by the sandbox."""

    called = "shell"
    description = (
        "Run a shell command and return its output. Its input is empty, and what it leaves running "
        "in the background is ended."
    )
    effect = "run"
    confined = False
    arguments = ShellArguments
    subject = Subject("command", "command")

    def __init__(self, keeper: Keeper, sandbox: Sandbox) -> None:
        self.description = f"{self.description} {_seen(sandbox)}".strip()
        super().__init__()
        self._keeper = keeper
        self._sandbox = sandbox

    def work(self, given: ShellArguments, context: Context) -> Returned:
        order = self._sandbox.order(["/bin/sh", "-c", given.command])
        return run_program(self._keeper, order, context, terminal=given.terminal)


def _seen(sandbox: Sandbox) -> str:
    """What a model should know of the sandbox."""
    if sandbox.kind == "off":
        return ""
    return f"It sees the system and the folder of the project{_NETWORK[sandbox.reach]}."
