"""Text that people feed us: bytes in, whole characters out. No character is ever replaced.

1. Text is UTF-8, or UTF-16 or UTF-32 with its byte order mark, unless an encoding is declared.
   Anything else is refused, and the message names the first byte that does not fit.
2. One byte order mark in front of a text does not belong to it and is dropped.
3. An argument that is not UTF-8 reaches us as lone surrogates (PEP 383), which stand for its bytes.
"""

from __future__ import annotations

import codecs
import os
import re

from chatstream.errors import UsageError

STANDARD_INPUT = "-"
"""Where the name of a file is expected."""

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # first: it begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HINT = "if it is text, name its encoding: for example --encoding cp1252"


_BETWEEN_ITEMS = re.compile(r",(?![^(]*\))")


def items_of(text: str) -> list[str]:
    """The items of a list with commas. A comma in parentheses belongs to its item:
    `grep,shell(echo a,b)`. Items may be empty.
    """
    return [item.strip() for item in _BETWEEN_ITEMS.split(text)]


def check_encoding(name: str) -> None:
    """Raise `UsageError` for a name that is not the encoding of a text."""
    try:
        b"x".decode(name, "replace")  # Python knows the name only when it decodes something
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"--encoding {name!r} is not a text encoding that Python knows",
            hint="for example: utf-16, cp1252, latin-1, shift_jis, gb18030",
        ) from error


def marked(data: bytes) -> str | None:
    """The encoding that a byte order mark in front of a text names, if it is not UTF-8."""
    return next((its for mark, its in _MARKS.items() if data.startswith(mark)), None)


def decoded(data: bytes, what: str, encoding: str | None = None) -> str:
    """The text of these bytes. Raises `UsageError`, which calls them `what`."""
    named = encoding or marked(data) or "utf-8"
    try:
        text = data.decode(named)
        text.encode()  # some encodings have names for half a character
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = f"byte {error.start + 1:,} (0x{data[error.start]:02x}, line {line:,})"
        message = f"{what} is not {named.upper()} text: {place} does not fit"
        raise UsageError(message, hint=_HINT) from error
    except ValueError as error:
        raise UsageError(f"{what} is not {named.upper()} text", hint=_HINT) from error
    return text.removeprefix("\ufeff")


def argument(text: str, what: str, encoding: str | None = None) -> str:
    """The text of a command line's argument. Raises `UsageError`, which calls it `what`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            data = os.fsencode(text)
        except UnicodeEncodeError as error:
            raise UsageError(f"{what} contains an unpaired surrogate (invalid Unicode)") from error
        return decoded(data, what, encoding)
    return text
