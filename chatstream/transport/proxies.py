"""Which proxy a request goes through, if any, as requests decides it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import requests
import urllib3

from chatstream.addresses import is_loopback


class Proxy(msgspec.Struct, frozen=True):
    """A proxy's address."""

    address: str


def proxy_for(url: str, setting: Mapping[str, str]) -> Proxy | None:
    """The proxy for this URL. `setting` has a proxy for each scheme, and beats the environment."""
    host = urllib3.util.parse_url(url).host
    if host is not None and is_loopback(host):
        return None
    found = {**requests.utils.get_environ_proxies(url), **setting}
    address = requests.utils.select_proxy(url, found)
    return Proxy(address) if address else None
