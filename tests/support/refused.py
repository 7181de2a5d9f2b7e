"""A port of loopback that refuses every connection.

It is bound, and nobody listens on it, for as long as this process lives. A port that was only free
a moment ago may be that of another test's server by the time somebody connects to it.
"""

from __future__ import annotations

import atexit
import functools
import socket


@functools.cache
def refused_port() -> int:
    """The port; the same one each time."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    atexit.register(held.close)
    port: int = held.getsockname()[1]
    return port
