"""The arguments of a command, taken apart."""

from __future__ import annotations

import shlex

from chatstream.errors import UsageError
from chatstream.wording import excerpt


def words_in(argument: str) -> list[str]:
    """The words, split as in a shell. Raises `UsageError`."""
    try:
        return shlex.split(argument)
    except ValueError as error:
        raise UsageError(f"{argument!r} has a quotation mark that is not closed") from error


def number_in(argument: str) -> int | None:
    """A positive number; None without an argument. Raises `UsageError`."""
    if not argument:
        return None
    if not (argument.isascii() and argument.isdigit() and int(argument[:9])):
        raise UsageError(f"{excerpt(argument, 40)!r} is not a positive number")
    return int(argument[:9])
