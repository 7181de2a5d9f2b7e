"""MCP servers that a test starts itself, all by one keeper.

pytestmark = pytest.mark.usefixtures("ends_keeper")

server = Server("s", lambda answer: stdio(command("old"), answer))
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from chatstream.tools.mcp.channel import Answer
from chatstream.tools.mcp.stdio import Stdio
from chatstream.tools.spawning import Keeper

_made: list[Keeper] = []
_lock = threading.Lock()  # servers begin at the same time


def keeper() -> Keeper:
    """The keeper of this test."""
    with _lock:
        if not _made:
            _made.append(Keeper())
        return _made[0]


def end_keeper() -> None:
    """End it, if there is one."""
    with _lock:
        while _made:
            _made.pop().close()


def stdio(command: Sequence[str], answer: Answer, env: Mapping[str, str] | None = None) -> Stdio:
    """The process of a server."""
    return Stdio(keeper(), command, answer, env)
