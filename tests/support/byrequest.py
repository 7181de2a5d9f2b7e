"""A loopback server whose replies depend on what is asked.

with ByRequest(lambda request: replies[request.json["model"]]) as server: ...
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.loopback import Reply, Request, Script


class ByRequest(Script):
    """The server."""

    def __init__(self, reply: Callable[[Request], Reply]) -> None:
        super().__init__(Reply())
        self._reply = reply

    def take(self, request: Request) -> Reply:
        """Record the request; its reply."""
        super().take(request)
        return self._reply(request)
