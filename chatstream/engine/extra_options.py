"""Extra options of the user for the server, as `-o KEY=VALUE` gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chatstream.errors import UsageError
from chatstream.text import argument


def parse_options(pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """The options in `-o KEY=VALUE`; each value is JSON, or else text. Raises `UsageError`."""
    options: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = argument(pair, "-o").partition("=")
        if not equals or not key:
            raise UsageError(f"-o {pair!r} is not KEY=VALUE", hint="for example: -o seed=7")
        options[key] = _value(key, text)
    return options or None


def _value(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
        _check_sendable(value)
    except RecursionError:
        raise UsageError(f"-o {key} is nested too deeply") from None
    except UnicodeEncodeError:
        raise UsageError(f"-o {key} contains an unpaired surrogate (invalid Unicode)") from None
    except ValueError:
        return text
    return value


def _check_sendable(value: Any, depth: int = 100) -> None:
    if depth == 0:
        raise RecursionError
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_sendable(part, depth - 1)
