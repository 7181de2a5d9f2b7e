"""What follows the name of a command, taken apart."""

from __future__ import annotations

import shlex

from chatstream.errors import UsageError
from chatstream.wording import excerpt


def words_in(argument: str) -> list[str]:
    """The words, as a shell has them. Raises `UsageError`."""
    try:
        return shlex.split(argument)
    except ValueError as error:
        raise UsageError(f"{argument!r} has a quotation mark that is not closed") from error


def number_in(argument: str) -> int | None:
    """A number from 1 on; None where none is given. Raises `UsageError`."""
    if not argument:
        return None
    if not (argument.isascii() and argument.isdigit() and int(argument[:9])):
        raise UsageError(f"{excerpt(argument, 40)!r} is not a positive number")
    return int(argument[:9])
