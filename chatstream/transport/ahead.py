"""A connection that begins before there is a request: while `requests` is still being imported.

1. It goes where the request will go: to the server, with TLS where the address says so, or to the
   HTTP proxy, as far as TCP. Where a proxy may be named, `proxies` is asked first, which imports
   requests. A SOCKS proxy, or a proxy that is reached over TLS, is left to the request.
2. The request takes over whatever came of it: an open connection, one that is still being made,
   or the failure. It does not take what is stale: a connection that the server has closed, or a
   failure that is older than `FRESH_SECONDS`. The request then makes its own connection.
3. `Ahead.shutdown()`, from any thread or signal handler, ends it; `Ahead.close()` also closes what
   nobody has taken, as does the garbage collector. Its thread is a daemon: no process waits for it.
4. Certificates come first: where they cannot be read, nobody is contacted.

Neither requests nor urllib3 is imported here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import sys
import threading
from collections.abc import Mapping

import msgspec

from chatstream.addresses import origin
from chatstream.clock import monotonic
from chatstream.inbox import Empty, Inbox
from chatstream.transport.dial import Guard, dial

FRESH_SECONDS = 1.0
"""How long a failure also counts for a request that comes after it."""

ENDING_SECONDS = 0.2
"""How long to wait for a thread after it was asked to end."""

_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}
_FOREVER_SECONDS = 1e6


class Goal(msgspec.Struct, frozen=True):
    """Where a connection leads: to a server in TLS, or to a server or a proxy without it."""

    host: str
    port: int
    secure: bool


class Ready(msgspec.Struct, frozen=True):
    """A connection that was made, and the seconds of its phases; `tls` is None without TLS."""

    goal: Goal
    sock: socket.socket
    dns: float
    tcp: float
    tls: float | None


class _Failed(msgspec.Struct, frozen=True):
    error: Exception
    at: float


class Ahead:
    """A connection to where `url` leads. It begins at once, on a thread of its own.

    `limit`, in seconds, and `setting`, the proxies, are those of the request; so is `ca_file`.
    """

    def __init__(
        self,
        url: str,
        *,
        limit: float | None,
        setting: Mapping[str, str] | None,
        ca_file: str | None,
    ) -> None:
        self._url, self._limit, self._ca_file = url, limit, ca_file
        self._setting = setting
        self._context: ssl.SSLContext | None = None
        self._trusts = threading.Event()  # the context is made, if there is one
        self._guard = Guard()
        self._outcome: Inbox[Ready | _Failed | None] = Inbox()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def context(self) -> ssl.SSLContext | None:
        """The context for TLS with the server; None without TLS, or if it cannot be made.

        Waits until it is made, and not for the connection.
        """
        self._trusts.wait()
        return self._context

    def take(self, goal: Goal) -> Ready | None:
        """The connection, once it is made; None if it leads elsewhere.

        Waits, and is called once. Raises as `dial`, and `ssl.SSLError`.
        """
        began = monotonic()
        outcome = self._outcome.get(_FOREVER_SECONDS)
        self._guard.close()
        if isinstance(outcome, _Failed):
            if self._guard.dead or began - outcome.at < FRESH_SECONDS:
                raise outcome.error
            return None
        if outcome is None or (outcome.goal == goal and _is_open(outcome.sock)):
            return outcome
        outcome.sock.close()
        return None

    def shutdown(self) -> None:
        """End what it waits for. Idempotent, takes no lock, safe in signal handlers."""
        self._guard.shutdown()

    def close(self) -> None:
        """Close what nobody has taken, now or as soon as it exists. Idempotent.

        Waits for the thread, which a shutdown ends at once, unless it looks up a name: a process
        that ends while another thread leaves OpenSSL may crash.
        """
        self.shutdown()
        self._discard()
        self._thread.join(ENDING_SECONDS)

    def __del__(self) -> None:  # perhaps on the thread itself
        self.shutdown()
        self._discard()

    def _discard(self) -> None:
        """With `_run` in either order, one of them closes the connection."""
        with contextlib.suppress(Empty):
            outcome = self._outcome.get()
            if isinstance(outcome, Ready):
                outcome.sock.close()
            self._guard.close()
            self._outcome.put(_Failed(OSError(errno.ECANCELED, "cancelled"), monotonic()))

    def _run(self) -> None:
        outcome: Ready | _Failed | None
        try:
            outcome = self._connected()
        except Exception as error:  # the request raises it
            outcome = _Failed(error, monotonic())
        self._trusts.set()
        self._outcome.put(outcome)
        if self._guard.dead:
            self._discard()

    def _connected(self) -> Ready | None:
        """None: this connection cannot be made ahead."""
        scheme, host, port = origin(self._url)
        if scheme == "https":
            from chatstream.transport.trust import tls_context

            self._context = tls_context(self._ca_file)
        self._trusts.set()
        secure = scheme == "https"
        if _may_be_proxied(self._setting):
            from chatstream.transport.proxies import proxy_for

            proxy = proxy_for(self._url, self._setting)
            if proxy is not None:
                address = proxy.address if "://" in proxy.address else f"http://{proxy.address}"
                scheme, host, port = origin(address)
                secure = False
                if scheme != "http":
                    return None
        if not host or not port or not host.isascii() or "%" in host:
            return None  # requests may write the host in another way
        there = dial(host, port, self._limit, self._guard)
        goal = Goal(host, port, secure)
        if self._context is None or not secure:
            return Ready(goal, there.sock, there.dns, there.tcp, None)
        began = monotonic()
        try:
            sock = self._context.wrap_socket(there.sock, server_hostname=host.rstrip("."))
        finally:
            there.sock.close()  # without effect once TLS has taken it over
        return Ready(goal, sock, there.dns, there.tcp, monotonic() - began)


def _may_be_proxied(setting: Mapping[str, str] | None) -> bool:
    """Whether anything may name a proxy: the setting, a variable, or the system's own settings."""
    if setting is not None:
        return bool(setting)
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(name.lower() in _PROXIES and value for name, value in os.environ.items())


def _is_open(sock: socket.socket) -> bool:
    """Whether the server still waits for a request: it has neither closed nor said anything."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        sock.settimeout(timeout)
        return True
    except OSError:
        pass
    return False
