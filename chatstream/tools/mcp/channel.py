"""A connection to a server over any wire: requests out, their responses in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.messages import Notification, Request, Response

Hear = Callable[[Notification], None]
"""Called with what the server says about a request that it works on. Must not block."""

Answer = Callable[[Request], Response]
"""Answers a request of the server. Must not block."""


class Lost(ChatstreamError):
    """The server is lost. `sent`: it may have the request, and work on it."""

    code = "mcp"

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class Channel(Protocol):
    """A connection to one server. Its methods may be called on any thread."""

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more."""

    def exchange(self, request: Request, hear: Hear) -> Generator[None, None, Response]:
        """Send a request; yields several times a second, and returns its response.

        Raises `Lost`. To close the generator is to give the request up.
        """

    def tell(self, notification: Notification) -> None:
        """Send this. Never blocks, and never fails."""

    def hang_up(self) -> None:
        """No more requests will come: let the server end. Never blocks. Idempotent."""

    def close(self) -> None:
        """Hang up, and wait until nothing of the server is left here. Idempotent."""
