"""The arguments of a command, taken apart, and the files that a message names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from chatstream.errors import UsageError
from chatstream.files import is_file, named
from chatstream.wording import excerpt

_FILE = re.compile(r"(?<!\S)@(?:'([^'\n]+)'|(\S+))")


def files_in(message: str, known: Collection[str]) -> list[str]:
    """The files that a message names after an `@`, but for those that are known.

    Anything else is a word like any other.
    """
    found: list[str] = []
    for quoted, bare in _FILE.findall(message):
        path = named(quoted or bare)
        if is_file(path) and str(path) not in {*known, *found}:
            found.append(str(path))
    return found


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
