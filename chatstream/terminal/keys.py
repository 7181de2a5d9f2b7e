"""What `chatstream keys` asks and prints. No key is ever shown, and none is an argument.

A key is asked for without echo on a terminal. Otherwise it is all of standard input.
"""

from __future__ import annotations

import sys

from chatstream.engine import stored_keys
from chatstream.errors import UsageError
from chatstream.terminal import exits

_MOST_CHARACTERS = 64 * 1024


def set_key(name: str) -> int:
    """Store the key of a provider; returns the exit status. Raises a `ChatstreamError`."""
    stored_keys.check_name(name)
    where = stored_keys.store(name, _given(name))
    exits.note(f"the key of {name} is stored in {where}")
    return 0


def list_keys() -> int:
    """Print the providers that a key is stored for. Raises a `ChatstreamError`."""
    for name in stored_keys.names():
        print(name)
    return 0


def remove_key(name: str) -> int:
    """Remove the key of a provider. Raises a `ChatstreamError`."""
    stored_keys.remove(name)
    exits.note(f"the key of {name} is removed")
    return 0


def _given(name: str) -> str:
    """The key that the user gives. Raises `UsageError`."""
    if sys.stdin is None:
        raise UsageError("no key was given: standard input is closed")
    if not sys.stdin.isatty():
        data = sys.stdin.buffer.read(_MOST_CHARACTERS + 1)
        if len(data) > _MOST_CHARACTERS:
            raise UsageError("standard input is longer than any key")
        return data.decode("utf-8", "replace")
    from getpass import getpass

    try:
        return getpass(f"API key of {name} (it is not shown): ")
    except EOFError as error:
        raise UsageError("no key was given") from error
