"""What several runs share besides their connections: a gatekeeper for their requests.

A single run does not need one: if a server asks it to wait, `recovery.retry` does. Many runs that
use one server do (`many.gate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chatstream.flow import Open
    from chatstream.providers import Endpoint


class Asked(Protocol):
    """The server that a run asks; every provider is one."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it is, and the key that is sent to it."""

    def used_up(self) -> float | None:
        """Seconds until the limits are reset that the last response says are used up, or None."""


class Gatekeeper(Protocol):
    """Holds requests until their server is ready for them. For several threads at once."""

    def around(self, server: Asked, source: Open) -> Open:
        """`source`, opened when `server` may be asked.

        Until then heartbeats come whose `held` is true.
        """
