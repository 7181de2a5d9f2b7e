"""A way to a server, whatever the wire: requests out, their responses in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.messages import Notification, Request, Response

Hear = Callable[[Notification], None]
"""Takes what the server says about a request while it works. Must not wait."""

Answer = Callable[[Request], Response]
"""Answers a request of the server. Must not wait."""


class Lost(ChatstreamError):
    """There is no way to the server any more. `sent`: it may have the request, and work on it."""

    code = "mcp"

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class Channel(Protocol):
    """A way to one server. Its methods may be called on any thread."""

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more."""

    def exchange(self, request: Request, hear: Hear) -> Generator[None, None, Response]:
        """Send a request; yields several times a second, and returns its response.

        Raises `Lost`. Who closes it gives the request up.
        """

    def tell(self, notification: Notification) -> None:
        """Send this. Never waits, and never fails."""

    def hang_up(self) -> None:
        """Nothing more is asked: let the server end. Never waits. Idempotent."""

    def close(self) -> None:
        """Hang up, and wait until nothing of the server is left here. Idempotent."""
