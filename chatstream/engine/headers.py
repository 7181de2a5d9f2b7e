"""Headers that the user adds to every request, for gateways and tenants.

They are given as a table `[headers]` in the configuration file, as `--header 'Name: value'`, or as
a mapping in the Python API. A value is sent as written; `$VARIABLE` is not expanded. A header that
chatstream sends itself (Authorization, x-api-key) is replaced. Headers are sent where the key would
be sent, and nowhere else.

No message shows a value, because it is often a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from chatstream.errors import ConfigError, UsageError

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A header name: RFC 9110, section 5.6.2."""

_VALUE = r"[\t\x20-\x7e\x80-\xff]+"
"""A header value: RFC 9110, section 5.5. Only Latin-1 can be sent."""

_NEVER = {
    "content-length": "chatstream sets it itself",
    "transfer-encoding": "chatstream sets it itself",
    "proxy-authorization": "write the user name and password into the proxy's address",
}
"""Headers that would break the request or send a proxy's password to the server, and why not."""

_KEYS = frozenset({"authorization", "x-api-key", "api-key"})

_OPTION = "for example: --header 'X-Tenant: blue'"
_TABLE = 'in the file, write a table: [headers], and below it X-Tenant = "blue"'


class _Mistake(Exception):
    """A header is not valid; the text says why."""


def checked(value: Any, origin: str) -> dict[str, str]:
    """The headers of a mapping, or of the values of `--header`. `origin` is used in messages.

    Raises `UsageError` if they come from an option, and `ConfigError` otherwise.
    """
    kind, hint = (UsageError, _OPTION) if origin.startswith("--") else (ConfigError, _TABLE)
    try:
        return dict(_checked(name, text) for name, text in _pairs(value))
    except _Mistake as mistake:
        raise kind(f"{origin}: {mistake}", hint=hint) from None


def merged(weaker: Mapping[str, str], stronger: Mapping[str, str]) -> dict[str, str]:
    """Both together. Names are compared without regard to case, and `stronger` takes precedence."""
    taken = {name.lower() for name in stronger}
    kept = {name: value for name, value in weaker.items() if name.lower() not in taken}
    return {**kept, **stronger}


def contain_a_key(headers: Mapping[str, str]) -> bool:
    """Whether these headers authenticate the user, so that no API key is needed."""
    return any(name.lower() in _KEYS for name in headers)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
        return
    if not isinstance(value, list | tuple):
        raise _Mistake("each header needs a name and a value")
    for text in value:
        name, colon, rest = str(text).partition(":")
        if not colon:
            raise _Mistake("a colon is missing between the name and the value")
        yield name, rest


def _checked(name: Any, text: Any) -> tuple[str, str]:
    name = str(name).strip()
    if not name:
        raise _Mistake("a header has no name")
    if not re.fullmatch(_TOKEN, name):
        raise _Mistake("the name of a header contains a character that is not allowed there")
    if name.lower() in _NEVER:
        raise _Mistake(f"{name} cannot be set: {_NEVER[name.lower()]}")
    if not isinstance(text, str):
        raise _Mistake(f"the value of {name} must be text in quotes")
    text = text.strip(" \t")
    if not text:
        raise _Mistake(f"the value of {name} is empty")
    if not re.fullmatch(_VALUE, text):
        what = "a line break" if {"\r", "\n"} & {*text} else "a character that is not allowed there"
        raise _Mistake(f"the value of {name} contains {what}")
    return name, text
