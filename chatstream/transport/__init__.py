"""The only outbound socket: one HTTP exchange as a generator of what happens.

requests and urllib3 are used here and nowhere else, and their errors become ours here. They are
imported when a name from `exchange` is first used, because a connection may begin earlier
(`ahead`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatstream.transport.exchange import Call, Head, Tick, Transport

__all__ = ["Call", "Head", "Tick", "Transport"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from chatstream.transport import exchange

        return getattr(exchange, name)
    raise AttributeError(f"module 'chatstream.transport' has no attribute {name!r}")
