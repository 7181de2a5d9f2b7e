"""Addresses of servers: how people write them, where they lead, and whether that is this machine.

The one room that reads them, wherever they are given: an option, a file, a variable, a model's
name. What is understood:

    http://box:8000/v1      a whole address; its path and its query keep their places
    box:8000  localhost     without a scheme, see `whole`
    :8000  8000             a port of this machine
    ::1  [::1]:8000         IPv6, with and without brackets; ::1:8000 is port 8000 of ::1
    "http://box"  <box>     quotes, backticks and angle brackets around it are taken off
    http://box/v1#part      a fragment is dropped: it is never sent (RFC 9110, section 7.1)
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

from chatstream.errors import ConfigError
from chatstream.redact import mask_address

_PORTS = {"http": 80, "https": 443}

PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_QUOTES = ('""', "''", "``", "<>", "“”", "\u2018\u2019", "«»")
_HIGHEST_PORT = 65535
_LISTENS_ON_ALL = {"0.0.0.0": "127.0.0.1", "::": "localhost"}
"""What a server listens on, and what a client reaches it by."""

_LOCAL_NAMES = (
    *(".local", ".localhost", ".home.arpa", ".test"),  # RFC 6761, 6762 and 8375
    *(".intranet", ".internal", ".private", ".corp", ".home", ".lan"),  # RFC 6762, appendix G
)

# Compiled by the first use: only rules about addresses need them.
_NORMAL = r"""
    (?P<scheme>https?)://
    (?P<host> [a-z0-9_-]+(\.[a-z0-9_-]+)* | \[[0-9a-f:]+\] )
    (:(?P<port>[1-9][0-9]{0,4}))?
    (?P<path>/[!$-.0-;=@-Z_a-z~%/]*)?
    (?P<query>\?[!$-;=?-Z_a-z~%/\[\]|]*)?
"""
_UNUSUAL = r"""  # in a path: another way to write it, or nobody knows where it leads
    /\.{1,2}(?=/|$) | // | %(?![0-9A-F]{2})
  | %(?: 2[DEF] | 3[0-9] | [46][1-9A-F] | [57][0-9A] | 5[CF] | 7E )  # - . / digits letters \ _ ~
"""

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")

Origin = tuple[str, str | None, int | None]
"""Scheme, host and port (RFC 6454): what makes two addresses one server."""


def whole(text: str, *, schemes: Collection[str] = tuple(_PORTS), port: int | None = None) -> str:
    """An address as people write it, made whole; without a slash at the end of its path.

    Where no scheme is given it is http, and https for port 443 and for a name on the Internet
    without a port: no key is to cross it in clear because of what was left out. `port` is the
    usual one of a service, for an address with neither scheme nor port. Raises `ConfigError`;
    its message shows no password.
    """
    try:
        return _parts(text, schemes, port).geturl()
    except ValueError as error:
        # Python's own words may quote the password.
        why = f": {error}" if "@" not in text else ""
        raise ConfigError(
            f"{mask_address(text)!r} is not an address{why}",
            hint="an address looks like http://localhost:8000/v1, box:8000 or :8000",
        ) from error


def _parts(text: str, schemes: Collection[str], port: int | None) -> SplitResult:
    url = unquoted(text)
    if not url:
        raise ValueError("it is empty")
    if re.search(r"[\s\x00-\x1f\x7f\\]", url):
        raise ValueError("it contains white space or a backslash")
    named, mark, rest = url.partition("://")
    if not mark:
        if re.match(r"[a-z][a-z0-9+.-]*:/|https?:", url, re.IGNORECASE):
            raise ValueError("its scheme must be followed by ://")
        named, rest = "", url.removeprefix("//")
    end = re.search(r"[/?#]|$", rest)
    assert end is not None, "the end of the text is one"
    user, at, place = rest[: end.start()].rpartition("@")
    place = _bracketed(place)
    if not named and _is_port(place):
        place = f":{place}"
    if place.startswith(":"):
        place = f"localhost{place}"
    parts = urlsplit(f"{named or 'http'}://{user}{at}{place}{rest[end.start() :]}")
    host, own_port = parts.hostname, _port_in(parts)
    if parts.scheme not in schemes:
        raise ValueError(f"its scheme must be one of: {', '.join(schemes)}")
    if not host:
        raise ValueError("it has no host name")
    if own_port == 0:
        raise ValueError("port 0 is not allowed")
    netloc = parts.netloc.removesuffix(":")
    if host in _LISTENS_ON_ALL:
        netloc = f"{user}{at}{_LISTENS_ON_ALL[host]}{f':{own_port}' if own_port else ''}"
    if not named:
        if own_port is None and port is not None:
            netloc = f"{netloc}:{port}"
        elif own_port == _PORTS["https"] or (own_port is None and _is_on_the_internet(host)):
            parts = parts._replace(scheme="https")
    return parts._replace(netloc=netloc, path=parts.path.rstrip("/"), fragment="")


def unquoted(text: str) -> str:
    """The text without white space and pairs of quotes around it."""
    text = text.strip()
    while len(text) > 1 and text[0] + text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def _bracketed(place: str) -> str:
    """Host and port, a bare IPv6 address in its brackets."""
    if place.startswith("[") or place.count(":") < 2:
        return place
    loopback, _, port = place.rpartition(":")
    if loopback == "::1" and _is_port(port):  # as an address it would lie in an unused range
        return f"[::1]:{port}"
    try:
        ipaddress.IPv6Address(place)
    except ValueError:
        raise ValueError("it has several colons but is not an IPv6 address") from None
    return f"[{place}]"


def _port_in(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise ValueError(f"its port is not a number from 1 to {_HIGHEST_PORT}") from None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _HIGHEST_PORT


def _is_on_the_internet(host: str) -> bool:
    """Whether this is a full name of the public DNS, as far as a name can tell."""
    name = host.rstrip(".")
    is_number = ":" in name or name.rpartition(".")[2].isdigit()
    return "." in name and not is_number and not name.endswith(_LOCAL_NAMES)


def is_url(name: str) -> bool:
    """Whether this names something on the web rather than a file."""
    return re.match(r"(?i)https?://", name) is not None


def looks_like_one(text: str) -> bool:
    """Whether this is meant as an address, and not as a name: it has a scheme or a port, or is
    this machine.
    """
    with_port = re.match(r"(?:[\w.-]*|\[[0-9a-f:.]+\]|::1):\d+(?:[/?]|$)", text, re.IGNORECASE)
    host = re.split(r"[/?]", text, maxsplit=1)[0]
    is_here = any(c.isalpha() or c in ".:" for c in host) and is_loopback(host)
    return "://" in text or bool(with_port) or is_here


@lru_cache(maxsize=256)  # a run compares the address of its server with all that are known
def origin(url: str) -> Origin:
    """The origin of an address, with the usual port where it names none. Raises `ValueError`."""
    parts = _parts(url, tuple(_PORTS), None)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def in_normal_form(url: str) -> str | None:
    """An address in the form in which it is compared (RFC 3986, section 6.2); None if it has none.

    A missing path is `/`. Scheme and host are in lower case, and the usual port of a scheme is
    left out. Nothing may lead to the same place under another name: no `..`, no letter as a
    percent sign and digits, no number that is not written like an address, no dot behind a name.
    What is not ASCII, a user, and a fragment are not in this form either.
    """
    found = re.fullmatch(_NORMAL, url, re.VERBOSE | re.ASCII)
    if found is None or re.search(_UNUSUAL, found["path"] or "", re.VERBOSE):
        return None
    host, port = found["host"], found["port"]
    if port and (int(port) > _HIGHEST_PORT or int(port) == _PORTS[found["scheme"]]):
        return None
    last = host.rpartition(".")[2]
    if host.startswith("[") or re.fullmatch(r"\d+|0x[0-9a-f]*", last):
        try:
            if str(ipaddress.ip_address(host.strip("[]"))) != host.strip("[]"):
                return None
        except ValueError:
            return None
    place = f"{found['scheme']}://{host}{f':{port}' if port else ''}"
    return f"{place}{found['path'] or '/'}{found['query'] or ''}"


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
    return parts._replace(path=parts.path.removesuffix("/.") + path, query=queries).geturl()


def redirected(url: str, status: int, location: str | None) -> str | None:
    """Where the response of this address leads; None if it is not a redirect.

    Raises `ValueError` for an address that cannot be read.
    """
    if status not in _REDIRECTS or not location:
        return None
    target = urljoin(url, location)
    urlsplit(target).port  # noqa: B018 - it raises for a number that is not a port
    return target


def is_private(address: str) -> bool:
    """Whether this IP address is not on the public internet: this machine, a local network, …

    An address that stands for another one (RFC 4291, 3056 and 6052) is judged by that one.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour
        if ip in _TRANSLATED:
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inside is not None:
            return is_private(str(inside))
        if ip.is_site_local:  # RFC 3879 forbids them, and some networks still use them
            return True
    return not ip.is_global or ip.is_multicast or ip.is_reserved


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
