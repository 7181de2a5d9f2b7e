"""Headers that the user adds to every request, for gateways and tenants.

They are written as a table `[headers]` in the configuration file, as `--header 'Name: value'`, or
as a mapping in the Python API. A value is sent as it is written, `$VARIABLE` included. One whose
name chatstream sends itself (Authorization, x-api-key) replaces it. They go where the key would
go, and nowhere else.

No message shows a value: it is a secret more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from chatstream.errors import ConfigError, UsageError

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A name: RFC 9110, section 5.6.2."""

_VALUE = r"[\t\x20-\x7e\x80-\xff]+"
"""A value: RFC 9110, section 5.5; more than Latin-1 cannot be sent."""

_NEVER = {
    "content-length": "chatstream sets it itself",
    "transfer-encoding": "chatstream sets it itself",
    "proxy-authorization": "write the user name and password into the proxy's address",
}
"""What would break the request, or carry a proxy's password to the server; and what to do."""

_KEYS = frozenset({"authorization", "x-api-key", "api-key"})

_OPTION = "for example: --header 'X-Tenant: blue'"
_TABLE = 'in the file, write a table: [headers], and below it X-Tenant = "blue"'


class _Mistake(Exception):
    """What is wrong with a header."""


def checked(value: Any, origin: str) -> dict[str, str]:
    """The headers that are given: a mapping, or the texts of `--header`. `origin` names them.

    Raises `UsageError` for an option, `ConfigError` for what is given elsewhere.
    """
    kind, hint = (UsageError, _OPTION) if origin.startswith("--") else (ConfigError, _TABLE)
    try:
        return dict(_checked(name, text) for name, text in _pairs(value))
    except _Mistake as mistake:
        raise kind(f"{origin}: {mistake}", hint=hint) from None


def merged(weaker: Mapping[str, str], stronger: Mapping[str, str]) -> dict[str, str]:
    """Both together. Names are equal whatever their case, and the stronger one's value counts."""
    taken = {name.lower() for name in stronger}
    kept = {name: value for name, value in weaker.items() if name.lower() not in taken}
    return {**kept, **stronger}


def bring_a_key(headers: Mapping[str, str]) -> bool:
    """Whether they say who asks, so that no other key is needed."""
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
