"""What several runs share besides their connections: somebody who holds their requests.

One run needs nobody: a server that asks to wait is asked again later (`recovery.retry`). Many runs
that ask one server do (`many.gate`).
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
