"""Addresses of servers: where a URL leads, and whether that is this machine."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str | None, int | None]
"""Scheme, host and port (RFC 6454): what makes two addresses one server."""


def origin(url: str) -> Origin:
    """The origin of a URL, with the usual port where it names none. Raises `ValueError`."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def same_server(one: str, other: str) -> bool:
    """Whether two addresses have one origin; not where either cannot be read."""
    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def joined(base: str, path: str) -> str:
    """The address of a call. `path` goes behind the path of `base`; both may have a query."""
    parts = urlsplit(base)
    path, _, query = path.partition("?")
    queries = "&".join(filter(None, (parts.query, query)))
    return parts._replace(path=parts.path + path, query=queries).geturl()


def is_loopback(host: str) -> bool:
    """Whether this host is this machine: 127.0.0.0/8, ::1, localhost and *.localhost (RFC 6761).

    0.0.0.0 and :: count as well: a connection to them arrives here. So do the short forms that
    the system's resolver takes, such as 127.1.
    """
    name = host.lower().strip("[]").partition("%")[0].rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(name))
        except OSError:  # a name
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_unspecified
