"""Which proxy a request goes through, if any, and what it means when the proxy fails.

1. The setting `proxy` is stronger than HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and these are
   stronger than the settings of the system. NO_PROXY excludes servers from all of them.
2. This machine is never asked through an HTTP proxy: another machine's loopback is not ours.
3. A SOCKS proxy is used for this machine as for every other one: it carries connections, whatever
   they lead to (`ssh -D`), so whoever names one means all of them.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3

from chatstream.addresses import is_loopback
from chatstream.errors import (
    ChatstreamError,
    ConfigError,
    ConnectError,
    ProtocolError,
    ProxyRefused,
)
from chatstream.redact import mask_address, redact, show_url
from chatstream.transport.causes import causes, innermost

_SOCKS = {"socks4", "socks4a", "socks5", "socks5h"}

_TUNNEL_FAILED = r"Tunnel connection failed: (?P<words>(?P<status>\d{3})[^'\"]*)"
"""http.client's words for a proxy that refuses CONNECT."""

_MAY_PASS = {408, 425, 429, *range(500, 600)}
"""Answers to CONNECT that a proxy may no longer give a little later."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy's address, and what names it: the setting, a variable, or the system."""

    address: str
    source: str

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS."""
        return self.address.lower().startswith("socks")

    def __str__(self) -> str:
        return f"the proxy {redact(mask_address(self.address))} (from {self.source})"


def proxy_for(url: str, setting: Mapping[str, str] | None) -> Proxy | None:
    """The proxy for this URL; see the rules above.

    `setting` has a proxy for each scheme; an empty one means no proxy, and None leaves the choice
    to the environment.

    Raises `ConfigError` for a SOCKS proxy that cannot be used, `ValueError` for what is not a URL.
    """
    if requests.utils.should_bypass_proxies(url, no_proxy=None):
        return None
    proxy = _of_the_environment(url) if setting is None else _set(url, setting)
    host = urllib3.util.parse_url(url).host  # as urllib3 reads it, which connects
    if proxy is None or (not proxy.is_socks and host is not None and is_loopback(host)):
        return None
    if proxy.is_socks:
        _check_socks(proxy)
    return proxy


def _set(url: str, setting: Mapping[str, str]) -> Proxy | None:
    address = requests.utils.select_proxy(url, dict(setting))
    return Proxy(address, "the setting proxy") if address else None


def _of_the_environment(url: str) -> Proxy | None:
    address = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not address:
        return None
    scheme = urlsplit(url).scheme
    names = [it for name in (scheme, "all") for it in (f"{name}_proxy", f"{name}_proxy".upper())]
    source = next((it for it in names if os.environ.get(it) == address), "the system's settings")
    return Proxy(address, source)


def _check_socks(proxy: Proxy) -> None:
    if urlsplit(proxy.address).scheme not in _SOCKS:
        raise ConfigError(
            f"{proxy} does not say which version of SOCKS it speaks",
            hint="write socks5h:// (or socks5://, socks4a://, socks4://) in its address",
        )
    if importlib.util.find_spec("socks") is None:
        raise ConfigError(
            f"{proxy} is a SOCKS proxy, which needs the package PySocks",
            hint="install it: pip install PySocks, or pipx inject chatstream PySocks",
        )


def is_failure(error: BaseException, proxy: Proxy | None, *, tunnels: bool, sent: bool) -> bool:
    """Whether this is the failure of an HTTP proxy, and not of the server behind it.

    Until a tunnel is made, and without one for good, it is the proxy that answers. `sent`: the
    request itself was sent.
    """
    if proxy is None or proxy.is_socks or (tunnels and sent):
        return False
    kinds = requests.exceptions.ProxyError, http.client.BadStatusLine, ProtocolError
    return any(
        isinstance(cause, kinds) or re.search(_TUNNEL_FAILED, str(cause)) for cause in causes(error)
    )


def failure(error: BaseException, proxy: Proxy | None, url: str) -> ChatstreamError:
    """The failure of a connection to, or through, an HTTP proxy."""
    for cause in causes(error):
        if refusal := re.search(_TUNNEL_FAILED, str(cause)):
            status, words = int(refusal["status"]), refusal["words"].strip()
            if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                return wants_password(proxy, status)
            return no_connection(proxy, show_url(url), words, may_pass=status in _MAY_PASS)
        if isinstance(cause, ssl.SSLError):
            return _no_tls(cause, proxy)
        if isinstance(cause, http.client.BadStatusLine | ProtocolError | ConnectionResetError):
            hung_up = isinstance(cause, ConnectionResetError)  # RemoteDisconnected is one too
            kind, what = (
                (ConnectError, "closed the connection without answering")
                if hung_up
                else (ProxyRefused, "does not answer as an HTTP proxy")
            )
            return kind(
                f"{_named(proxy)} {what}",
                hint=f"check its address in {_source(proxy)}; "
                "that of a SOCKS proxy begins with socks5h://",
            )
    return unreachable(error, proxy)


def unreachable(error: BaseException, proxy: Proxy | None) -> ChatstreamError:
    """The failure where there is no connection to the proxy itself."""
    failure = ConnectError(
        f"{_named(proxy)} cannot be reached: {innermost(error)}",
        hint=f"check that it runs, and its address in {_source(proxy)}",
    )
    hopeless = ConnectionRefusedError, socket.gaierror, UnicodeError
    failure.retryable = not any(isinstance(cause, hopeless) for cause in causes(error))
    return failure


def no_connection(
    proxy: Proxy | None, where: str, words: str, *, may_pass: bool
) -> ChatstreamError:
    """The failure where the proxy makes no connection to the server."""
    kind = ConnectError if may_pass else ProxyRefused
    return kind(
        f"{_named(proxy)} did not connect to {where}: {words}",
        hint="ask whoever runs the proxy, or add the server to NO_PROXY to bypass the proxy",
    )


def wants_password(proxy: Proxy | None, status: int | None = None) -> ChatstreamError:
    """The failure where the proxy does not accept the user."""
    code = f" ({status})" if status else ""
    if proxy is not None and "@" in proxy.address:
        return ProxyRefused(
            f"{proxy} does not accept the user name and password in its address{code}",
            hint=f"check them in {proxy.source}; write special characters percent-encoded "
            "(@ as %40)",
        )
    scheme = urlsplit(proxy.address).scheme if proxy is not None and proxy.is_socks else "http"
    return ProxyRefused(
        f"{_named(proxy)} requires a user name and a password{code}",
        hint=f"put them into its address in {_source(proxy)}: {scheme}://USER:PASSWORD@HOST:PORT",
    )


def _no_tls(error: ssl.SSLError, proxy: Proxy | None) -> ChatstreamError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProxyRefused(
            f"the certificate of {_named(proxy)} is not accepted: {error.verify_message}",
            hint="name the PEM file of its authority with ca_file or SSL_CERT_FILE",
        )
    return ProxyRefused(
        f"{_named(proxy)} does not speak TLS",
        hint=f"begin its address in {_source(proxy)} with http://, even for https servers",
    )


def _named(proxy: Proxy | None) -> str:
    return str(proxy or "a proxy on the way")


def _source(proxy: Proxy | None) -> str:
    return proxy.source if proxy else "the setting proxy"
