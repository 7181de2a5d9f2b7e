"""Real MCP servers, each with a call that works, one that fails, and an ear on what it is sent.

its = Real("git", tmp_path)
with closing(its.server()) as server:
    server.begin(CancelToken())
    its.signal(signal.SIGSTOP)
    ...
    its.until_heard("tools/call")
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chatstream.clock import Clock, monotonic
from chatstream.tools.mcp.messages import INITIALIZED, MODERN
from chatstream.tools.mcp.names import of_tools
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Limits
from tests.support.real.install import mcp_server
from tests.support.stdio import stdio
from tests.support.summing import Call
from tests.support.toolcalls import LIMIT

NAMES = ("time", "git", "everything", "filesystem", "memory")

SLOW = "trigger-long-running-operation"
"""Of server-everything: it takes `duration` seconds and tells its progress in `steps`."""

_SPY = 'echo $$ > "$0/pid"; exec "$@" < <(exec tee "$0/heard")'


class Work(NamedTuple):
    """A call, and some words of what it gives or of why it fails."""

    tool: str
    arguments: dict[str, Any]
    words: str


class Real:
    """The server of this name, which may use the folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.line = mcp_server(name)
        self.env = {"MEMORY_FILE_PATH": str(folder / "memory.json")}
        self._folder = folder
        (folder / "a.txt").write_text("ä\n")
        if name == "filesystem":
            self.line.append(str(folder))
        if name == "git":
            subprocess.run(["git", "init", "-q", folder], check=True)

    @property
    def versions(self) -> Sequence[str]:
        """The revisions of the protocol that it may speak."""
        return [MODERN] if self.name in ("time", "git") else INITIALIZED

    @property
    def works(self) -> Work:
        """A call that works."""
        file = str(self._folder / "a.txt")
        return {
            "time": Work("get_current_time", {"timezone": "Europe/Berlin"}, "Europe/Berlin"),
            "git": Work("git_status", {"repo_path": str(self._folder)}, "a.txt"),
            "everything": Work("echo", {"message": "hi"}, "Echo: hi"),
            "filesystem": Work("read_text_file", {"path": file}, "ä\n"),
            "memory": Work("read_graph", {}, '"entities"'),
        }[self.name]

    @property
    def fails(self) -> Work:
        """A call that fails, and may try to."""
        nobody = [{"entityName": "nobody", "contents": ["x"]}]
        return {
            "time": Work("get_current_time", {"timezone": "No/where"}, "Invalid timezone"),
            "git": Work("git_status", {"repo_path": "/nowhere"}, "/nowhere"),
            "everything": Work("echo", {}, "expected string"),
            "filesystem": Work("read_text_file", {"path": "/etc/passwd"}, "Access denied"),
            "memory": Work("add_observations", {"observations": nobody}, "nobody not found"),
        }[self.name]

    def call(self, work: Work) -> Call:
        """The call of a model that does this."""
        (name,) = of_tools(self.name, [work.tool])
        return Call(name, work.arguments)

    @property
    def spied(self) -> list[str]:
        """Its command line, with an ear on what it is sent."""
        return ["bash", "-c", _SPY, str(self._folder), *self.line]

    def server(
        self,
        line: Sequence[str] | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        clock: Clock = monotonic,
    ) -> Server:
        """The server, started by this command line instead of `spied`."""
        line = line or self.spied
        return Server(
            self.name, lambda answer: stdio(line, answer, self.env), limits=limits, clock=clock
        )

    def entry(self, mark: str) -> dict[str, Any]:
        """Its entry in a file of MCP servers; `mark` is in the environment of all that it is."""
        program, *args = self.spied
        return {"command": program, "args": args, "env": {**self.env, "MARK": mark}}

    def signal(self, number: int) -> None:
        """Send a signal to the server itself."""
        os.kill(int((self._folder / "pid").read_text()), number)

    def until_heard(self, words: str) -> None:
        """Wait until it was sent a message with these words."""
        wait = threading.Event()
        for _ in range(int(LIMIT / 0.02)):
            if words in (self._folder / "heard").read_text():
                return
            wait.wait(0.02)
        raise AssertionError(f"{words!r} was never sent to {self.name}")


def config_of(folder: Path, mark: str, names: Sequence[str] = NAMES) -> tuple[Path, list[Real]]:
    """A file for `--mcp-config` with these servers, each with a folder of its own, and they."""
    found = []
    for name in names:
        (folder / name).mkdir()
        found.append(Real(name, folder / name))
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {it.name: it.entry(mark) for it in found}}))
    return path, found
