"""The tools of MCP servers, as tools like any other; and all servers of a run together.

1. Whatever a server says about its tools, each of them may reach anything: its effect is "net",
   and it is not confined. So it is asked about, unless a rule allows it. What it returns is
   written by others, unless the user trusts the server.
2. A tool whose description has changed since it was approved is suspect (`Tool.caution`): no rule
   allows it until somebody has allowed a call of it.
3. Servers are started side by side, and end side by side: closing one tool closes all servers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.escape import clean
from chatstream.tools.mcp.approved import Approved
from chatstream.tools.mcp.names import of_tools
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Offered
from chatstream.tools.tool import Context, Tool

CHANGED = "its description has changed since it was approved"


class MCPTool(Tool):
    """A tool of a server. `reached` is the `key_of` the server; `close` ends all servers.

    `trusted`: what the server returns does not count as written by others.
    """

    effect = "net"
    origin = "mcp"

    def __init__(
        self,
        name: str,
        offered: Offered,
        server: Server,
        reached: str,
        approved: Approved,
        close: Callable[[], None],
        *,
        trusted: bool = False,
    ) -> None:
        super().__init__(name, clean(offered.description), _parameters(offered))
        self._offered = offered
        self._server = server
        self._reached = reached
        self._approved = approved
        self._close = close
        self._trusted = trusted
        self.caution = CHANGED if approved.changed(reached, offered) else None

    @property
    def foreign(self) -> bool:
        """Whether others write what the server returns."""
        return not self._trusted

    @property
    def is_stale(self) -> bool:
        """Whether its server now offers something else."""
        return self._server.changed

    def run(self, arguments: dict[str, Any], context: Context) -> str:
        """The result from the server, as text. Raises `ToolFailure`."""
        self._approved.approve(self._reached, self._offered)  # otherwise it would not run
        self.caution = None
        return self._server.call(self._offered.name, arguments, context)

    def close(self) -> None:
        """End all servers."""
        self._close()


def _parameters(offered: Offered) -> dict[str, Any]:
    """The schema, with what every service requires, and without what some refuse."""
    schema = {key: value for key, value in offered.parameters.items() if key != "$schema"}
    return {"type": "object", "properties": {}} | schema


class Fleet:
    """The servers of a run, each with its `key_of`. They begin at once, each on its own thread.

    `trusted` are the names of those that the user trusts.
    """

    def __init__(
        self,
        servers: Sequence[tuple[Server, str]],
        approved: Approved,
        token: CancelToken,
        *,
        trusted: Collection[str] = (),
    ) -> None:
        self._servers = tuple(servers)
        self._approved = approved
        self._trusted = trusted
        self._token, self._untie = token.child()
        self._begun: list[tuple[Offered, ...] | BaseException | None] = [None] * len(servers)
        self._threads = [
            threading.Thread(target=partial(self._begin, at), name=it.name, daemon=True)
            for at, (it, _) in enumerate(servers)
        ]
        for thread in self._threads:
            thread.start()

    def tools(self, starting: Callable[[Sequence[str]], None] = lambda names: None) -> list[Tool]:
        """The tools of all servers, in their order, once they have begun.

        `starting` is told which ones are still starting, several times a second, and at the end
        that none are. Raises what a server has failed with, as soon as one has, or the reason of
        the token; then all have ended.
        """
        try:
            self._wait(starting)
            made = self._tools()
            if not made:
                self.close()  # there is no tool that would
            return made
        except BaseException:
            self.close()
            raise
        finally:
            self._untie()

    def close(self) -> None:
        """End all servers. Idempotent."""
        self._token.cancel()  # those that are beginning
        for server, _ in self._servers:
            server.hang_up()
        for thread in self._threads:
            thread.join()
        ending = [threading.Thread(target=it.close, name=it.name) for it, _ in self._servers]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self._servers = ()

    def _begin(self, at: int) -> None:
        try:
            self._begun[at] = self._servers[at][0].begin(self._token)
        except BaseException as error:  # raised where the tools are asked for
            self._begun[at] = error

    def _wait(self, starting: Callable[[Sequence[str]], None]) -> None:
        """Wait until all have begun. Raises what one has failed with."""
        while waited := [it for it in self._threads if it.is_alive()]:
            starting([it.name for it in waited])
            waited[0].join(POLL_SECONDS)  # in slices, so that a signal is handled
            self._check()
        self._check()
        starting([])

    def _check(self) -> None:
        for begun in self._begun:
            if isinstance(begun, BaseException):
                raise begun

    def _tools(self) -> list[Tool]:
        made: list[Tool] = []
        for (server, reached), begun in zip(self._servers, self._begun, strict=True):
            assert isinstance(begun, tuple)
            names = of_tools(server.name, [it.name for it in begun])
            for name, offered in zip(names, begun, strict=True):
                args = (name, offered, server, reached, self._approved, self.close)
                made.append(MCPTool(*args, trusted=server.name in self._trusted))
        return made
