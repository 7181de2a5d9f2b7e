"""Words for people that more than one room needs."""

from __future__ import annotations

import math
import re

from chatstream.redact import redact

_WORD_CHARACTERS = 300  # a longer word is no path
_MESSAGE_CHARACTERS = 1000
_REDACTED_CHARACTERS = 4096  # past the end of an excerpt: a secret may go on there

_NO_BYTE = "[\ud800-\udc7f\udd00-\udfff]"
"""Surrogates that stand for no byte."""


def encodable(text: str) -> str:
    r"""The text with everything escaped that UTF-8 cannot hold.

    Names of files and arguments may have bytes that are not UTF-8. Python keeps each of them as a
    lone surrogate (PEP 383), which no output takes and no JSON: it becomes ``\xe9``. Where Python
    read the name in another encoding and the bytes are UTF-8 after all, they are decoded.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = re.sub(_NO_BYTE, lambda half: f"\\u{ord(half[0]):04x}", text)
    else:
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def bounded(text: str) -> str:
    """A message that quotes what somebody wrote, cut where that is longer than anyone reads."""
    if len(text) <= _WORD_CHARACTERS:
        return text
    long = rf"\S{{{_WORD_CHARACTERS},}}"
    text = re.sub(long, lambda word: f"{word[0][:_WORD_CHARACTERS]}…", text)
    return text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]}…"


def counted(number: int, noun: str, *, commas: bool = False) -> str:
    """`1 token`, `2 tokens`, or with `commas` also `2,000 tokens`. The plural ends in "s"."""
    shown = f"{number:,}" if commas else str(number)
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"


def asked_again(reason: str) -> str:
    """Why an answer that broke off is not continued."""
    return f"asked again from the beginning: {reason}"


def sized(number: int) -> str:
    """A number of bytes in the largest unit that fits: `812 B`, `1.3 GB`."""
    size, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}" if size < 9.95 and units[0] != "B" else f"{size:.0f} {units[0]}"


def in_words(seconds: float) -> str:
    """A time to wait, rounded up, in its two largest units: "2 h 39 min"."""
    if seconds < 10:
        return f"{max(0.1, math.ceil(seconds * 10) / 10):.1f}".removesuffix(".0") + " s"
    rest = math.ceil(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def status_words(status: int) -> str:
    """The status of a response with its phrase, if it has one: `404 Not Found`."""
    from http import HTTPStatus  # needed only to report a status

    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def excerpt(text: str, limit: int = 200) -> str:
    """The start of a text, on one line; redacted first, for no rule knows half a secret."""
    line = redact(" ".join(text.split())[: limit + _REDACTED_CHARACTERS])
    return line if len(line) <= limit else line[: limit - 1] + "…"
