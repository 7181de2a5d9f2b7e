"""Options of the server as the command line gives them: `-o KEY=VALUE`, the value JSON or text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chatstream.errors import UsageError
from chatstream.text import argument

_DEPTH = 100  # of lists and objects in each other; deeper ones are a mistake


def from_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """The options that these arguments of `-o` set; a later one replaces an earlier one.

    Raises `UsageError`.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = argument(pair, "-o").partition("=")
        if not equals or not key:
            raise UsageError(f"-o {pair!r} is not KEY=VALUE", hint="for example: -o seed=7")
        options[key] = _value(key, text)
    return options


def _value(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
        check_sendable(value)
    except RecursionError:
        raise UsageError(f"-o {key} is nested too deeply") from None
    except UnicodeEncodeError:
        raise UsageError(f"-o {key} contains an unpaired surrogate (invalid Unicode)") from None
    except ValueError:
        return text
    return value


def check_sendable(value: Any, depth: int = _DEPTH) -> None:
    """Raise `RecursionError` for deep JSON, `UnicodeEncodeError` for half characters."""
    if depth == 0:
        raise RecursionError
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            check_sendable(part, depth - 1)
