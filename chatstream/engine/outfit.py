"""What tools need to start programs or to reach the network: made for one run that has such tools.

1. `Outfit.built_in` makes `shell` and `http_get`; `executables` are those of
   `--tool-exec`. The keeper starts all programs of the run, including MCP servers. It and
   the sandbox are made when the first program needs them. `close` comes after all tools have ended.
2. `http_get` connects to no address of this machine or of a private network, unless the host is one
   of the setting `http_hosts`: HOST, or HOST:PORT. The check sees the very addresses that are
   dialled: there is only one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings

if TYPE_CHECKING:
    from chatstream.tools.builtin.fetching import Answered
    from chatstream.tools.sandbox import Sandbox
    from chatstream.tools.spawning import Keeper
    from chatstream.tools.tool import Tool


class Outfit:
    """Of one run. `executables` are those of `--tool-exec`.

    `warnings` say what the sandbox does not enforce.
    """

    def __init__(
        self,
        settings: Settings,
        roots: Sequence[Path],
        closed: Sequence[Path],
        executables: Sequence[Path] = (),
    ) -> None:
        self._settings = settings
        self._roots = roots
        self._closed = closed
        self._executables = executables
        self._keeper: Keeper | None = None
        self._sandbox: Sandbox | None = None
        self.built_in: Mapping[str, Callable[[], Tool]] = {
            "shell": self._shell,
            "http_get": self._http_get,
        }

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know about the sandbox."""
        return self._sandbox.warnings if self._sandbox is not None else ()

    def keeper(self) -> Keeper:
        """What starts the programs of this run. Raises `UsageError`."""
        if self._keeper is None:
            from chatstream.tools.spawning import Keeper

            self._keeper = Keeper()
        return self._keeper

    def close(self) -> None:
        """End all programs that are still running. Idempotent."""
        if self._keeper is not None:
            self._keeper.close()

    def executables(self, token: CancelToken | None) -> Sequence[Tool]:
        """The executables as tools. Raises `UsageError`, or the reason of the token."""
        if not self._executables:
            return ()
        from chatstream.tools.executables import executables

        return executables(self._executables, *self._programs(), token)

    def _shell(self) -> Tool:
        from chatstream.tools.builtin.shells import Shell

        return Shell(*self._programs())

    def _http_get(self) -> Tool:
        from chatstream.tools.builtin.fetching import HttpGet

        return HttpGet(self._fetch)

    def _programs(self) -> tuple[Keeper, Sandbox]:
        keeper = self.keeper()
        if self._sandbox is None:
            from chatstream.tools.sandbox import sandbox

            self._sandbox = sandbox(
                self._settings.sandbox,
                self._roots,
                keeper.scratch,
                self._closed,
                self._executables,
            )
        return keeper, self._sandbox

    def _fetch(self, url: str, token: CancelToken) -> Iterator[Answered | bytes]:
        """A `Fetch` of `tools.builtin.fetching`."""
        from chatstream.engine.fetching import responses, vet
        from chatstream.tools.builtin.fetching import Answered
        from chatstream.transport.exchange import Head

        with closing(
            responses(url, self._settings, token, vet(self._settings.http_hosts))
        ) as items:
            for item in items:
                if isinstance(item, Head):
                    yield Answered(item.status, item.headers)
                elif isinstance(item, bytes):
                    yield item
