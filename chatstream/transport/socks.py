"""Connections through a SOCKS proxy, whose protocol PySocks speaks: the extra `chatstream[socks]`.

The scheme of the proxy's address decides who looks up the server's name: this machine with
`socks4` and `socks5`, the proxy with `socks4a` and `socks5h`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, Protocol

import socks

from chatstream.clock import Deadline, monotonic
from chatstream.errors import ChatstreamError, ConnectError, ProxyRefused, TimedOut
from chatstream.timing import Trace
from chatstream.transport.proxies import Proxy, no_connection, unreachable, wants_password

_DEFAULT_PORT = 1080
"""Where SOCKS proxies listen (RFC 1928)."""

_MAY_PASS = ("0x01", "0x03", "0x04", "0x06", "0x5b")
"""Replies of a proxy that may differ a little later: RFC 1928, section 6, and SOCKS4."""


class Handle(Protocol):
    """What is needed of a `SocketHandle`."""

    proxy: Proxy | None
    trace: Trace

    def opened(self, sock: socket.socket) -> None:
        """Know this socket. Raises `OSError` if the handle has ended."""


def dial(
    options: dict[str, Any],
    host: str,
    port: int,
    *,
    handle: Handle,
    timeout: float | None,
    socket_options: Iterable[Any],
) -> socket.socket:
    """A connection to `host`, whose bytes the proxy carries. `options` are urllib3's for SOCKS.

    The handle knows each socket before it connects. Raises a `ChatstreamError`, and `OSError` on a
    handle that has ended.
    """
    proxy = handle.proxy
    deadline = Deadline(timeout)
    began = monotonic()
    place = (options["proxy_host"] or "").strip("[]"), options["proxy_port"] or _DEFAULT_PORT
    try:
        found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise unreachable(error, proxy) from error
    handle.trace.dns = monotonic() - began
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        if deadline.passed:
            failure = TimeoutError()
            break
        sock = socks.socksocket(family, kind, protocol)
        try:
            handle.opened(sock)
            for option in socket_options:
                sock.setsockopt(*option)
            sock.set_proxy(
                options["socks_version"],
                *address[:2],
                options["rdns"],
                options["username"],
                options["password"],
            )
            sock.settimeout(deadline.left())
            began = monotonic()
            sock.connect((host, port))
            handle.trace.tcp = monotonic() - began
            plain = socket.socket(fileno=sock.detach())  # without PySocks' slower `recv`
            plain.settimeout(timeout)
            return plain
        except socks.ProxyConnectionError as error:  # the next address may do
            failure = error.socket_err
        except socks.ProxyError as error:
            failure = error
            break
        finally:
            sock.close()  # without effect once it is detached
    raise _failure(failure, proxy, f"{host}:{port}", timeout) from failure


def _failure(
    error: OSError, proxy: Proxy | None, where: str, timeout: float | None
) -> ChatstreamError:
    while isinstance(inner := getattr(error, "socket_err", None), socks.ProxyError):
        error = inner  # PySocks takes its own errors for those of the socket
    cause, text = inner or error, str(error)
    if isinstance(cause, TimeoutError):
        late = TimedOut(f"no connection to {where} through {proxy} within {timeout or 0:g} s")
        late.phase = "connect"
        return late
    if isinstance(cause, socket.gaierror):
        unknown = ConnectError(
            f"no address is known for {where}", hint="with socks5h:// the proxy looks it up"
        )
        unknown.retryable = False
        return unknown
    if isinstance(error, socks.SOCKS5AuthError):
        return wants_password(proxy)
    if isinstance(error, socks.SOCKS5Error | socks.SOCKS4Error):
        reply, _, words = text.partition(": ")
        return no_connection(proxy, where, words.lower(), may_pass=reply in _MAY_PASS)
    if isinstance(error, socks.ProxyError):
        return ProxyRefused(
            f"{proxy} does not answer as a SOCKS proxy of this kind: {text}",
            hint="check the scheme of its address: socks5h, socks5, socks4a, socks4 or http",
        )
    return unreachable(error, proxy)
