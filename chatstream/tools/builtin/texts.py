"""A text file as text, and back as bytes that differ only where the text was changed.

1. The encoding is kept: the byte-order mark, UTF-16, and any bytes that are not UTF-8 (each stands
   for itself).
2. A model writes lines that end with LF. In a file with CRLF the text is found anyway, and its
   replacement gets CRLF. Every other line keeps its own end.
"""

from __future__ import annotations

from bisect import bisect_left
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator

import msgspec

from chatstream.tools.tool import ToolFailure

_CRLF = "\r\n"
_BINARY_BYTES = 8192  # in which a binary file has a NUL byte
_MARKS = {
    BOM_UTF8: ("utf-8", "surrogateescape"),
    BOM_UTF16_LE: ("utf-16-le", "surrogatepass"),
    BOM_UTF16_BE: ("utf-16-be", "surrogatepass"),
}


class Coding(msgspec.Struct, frozen=True):
    """How the text of a file is written as bytes."""

    mark: bytes = b""
    encoding: str = "utf-8"
    errors: str = "surrogateescape"


class TextFile:
    """The text of these bytes. Raises `ToolFailure` for a binary file; `shown` is its path."""

    def __init__(self, data: bytes, shown: str) -> None:
        self.coding = _coding(data)
        if is_binary(data):
            raise ToolFailure(f"{shown} is a binary file, not text", code="binary")
        try:
            body = data[len(self.coding.mark) :]
            self.text = body.decode(self.coding.encoding, self.coding.errors)
        except UnicodeDecodeError:  # half of a character at the end of UTF-16
            raise ToolFailure(f"{shown} is not valid UTF-16", code="binary") from None

    @property
    def has_crlf(self) -> bool:
        """Whether most of its lines end with CRLF."""
        return 2 * self.text.count(_CRLF) > self.text.count("\n")

    def alike(self, content: str) -> str:
        """This content with the line ends of this file, which may be missing after the last line.

        An empty file has no line ends to follow.
        """
        content = content.replace(_CRLF, "\n")
        if self.text and content:
            content = content.removesuffix("\n") + "\n" * self.text.endswith("\n")
        return self._with_ends(content)

    def as_seen(self, text: str) -> str:
        """A text as it is in the flat text, if it is there: in a file with CR before CRLF, a text
        with CRLF can be meant to the letter.
        """
        return text if text in self.flat else flat(text)

    def positions(self, wanted: str) -> list[int]:
        """Where a text is in the flat text, also where two of these places overlap."""
        return list(_positions(self.flat, wanted))

    @property
    def flat(self) -> str:
        """The text with every CRLF as LF, as a model sees it."""
        return flat(self.text)

    def replaced(self, positions: list[int], old: str, new: str) -> str:
        """The text with `new` for `old` at these positions of the flat text."""
        new = self._with_ends(flat(new))
        removed = [at - number for number, at in enumerate(_positions(self.text, _CRLF))]

        def place(at: int) -> int:
            return at + bisect_left(removed, at)

        pieces, end = [], 0
        for at in positions:
            pieces += [self.text[end : place(at)], new]
            end = place(at + len(old))
        return "".join([*pieces, self.text[end:]])

    def _with_ends(self, content: str) -> str:
        return content.replace("\n", _CRLF) if self.has_crlf else content


def flat(text: str) -> str:
    """The text with every CRLF as LF."""
    return text.replace(_CRLF, "\n")


def encoded(text: str, coding: Coding) -> bytes:
    """The bytes of a text. Raises `ToolFailure` for half of a character."""
    try:
        return coding.mark + text.encode(coding.encoding, coding.errors)
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ToolFailure(
            f"the text contains {half!r}, which is half of a character", code="invalid_arguments"
        ) from None


def is_binary(beginning: bytes) -> bool:
    """Whether a file that begins like this is binary."""
    is_utf16 = beginning.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    return b"\0" in beginning[:_BINARY_BYTES] and not is_utf16


def _coding(data: bytes) -> Coding:
    for mark, (encoding, errors) in _MARKS.items():
        if data.startswith(mark):
            return Coding(mark, encoding, errors)
    return Coding()


def _positions(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)
