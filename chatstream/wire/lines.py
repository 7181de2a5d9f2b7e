"""Bytes to lines, incrementally.

1. A line ends at CR, LF or CRLF, even when CR and LF come in different reads; after a CR the line
   is returned at once, without waiting for the LF. (`cr=False`: only at LF.)
2. Nothing else ends a line: not U+2028, U+2029, U+0085, VT or FF, which `str.splitlines` and
   the common `iter_lines` helpers split at.
3. Only bytes are split, so a UTF-8 character is never cut.
"""

from __future__ import annotations

import re
from itertools import takewhile

from chatstream.errors import LineTooLong

# A line is one JSON text. Real ones reach a few MiB (a base64 image, a whole tool result);
# 16 MiB is far above those and far below what hurts the machine, so that a server that never
# ends its line costs 16 MiB and not all memory.
MAX_LINE_BYTES = 16 * 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\r|\n")


class LineSplitter:
    """Lines without their ends. `limit` is the longest line, in bytes."""

    def __init__(self, limit: int = MAX_LINE_BYTES, *, cr: bool = True) -> None:
        self._limit = limit
        self._cr = cr
        self._after_cr = False  # the last byte was a CR: a LF that follows belongs to it
        self._tail = bytearray()  # the open line; grows in amortised constant time per byte
        self._failure: LineTooLong | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` ends. Raises `LineTooLong`."""
        if self._failure is not None:
            raise self._failure
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if not data:
            return []
        if self._cr and b"\r" in data:
            self._after_cr = data[-1] == 0x0D
            lines = _LINE_END.split(data)
        else:
            lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._tail:
            self._tail += lines[0]
            lines[0] = bytes(self._tail)
            self._tail.clear()
        self._tail += rest
        # Only the first line can be longer than what was fed.
        longest = max(lines, key=len) if lines and len(data) > self._limit else (lines or [b""])[0]
        if len(self._tail) > self._limit or len(longest) > self._limit:
            return self._fail(lines)
        return lines

    def feed_eof(self) -> list[bytes]:
        """The last line, if it lacks its end. Raises `LineTooLong`."""
        if self._failure is not None:
            raise self._failure
        rest = bytes(self._tail)
        self._tail.clear()
        return [rest] if rest else []

    def _fail(self, lines: list[bytes]) -> list[bytes]:
        """Raise, but not before the lines that came ahead of the long one are out."""
        self._failure = LineTooLong(f"the server sent a line of more than {self._limit:,} bytes")
        self._tail.clear()
        before = list(takewhile(lambda line: len(line) <= self._limit, lines))
        if not before:
            raise self._failure
        return before
