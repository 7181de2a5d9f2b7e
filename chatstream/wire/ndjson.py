"""Bytes to NDJSON frames: one JSON text a line.

Lines end at LF only; spaces and CR around them are dropped, blank lines skipped. The last line
may lack its LF: whoever parses it decides whether it was whole. One BOM at the start is dropped.
"""

from __future__ import annotations

from chatstream.wire.lines import MAX_LINE_BYTES, LineSplitter

_BOM = b"\xef\xbb\xbf"


class NDJSONDecoder:
    """Frames are the bytes of one JSON text, not parsed."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._lines = LineSplitter(limit, cr=False)
        self._first = True

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises `LineTooLong`."""
        lines = self._lines.feed(data)
        return self._frames(lines) if lines else []

    def feed_eof(self) -> list[bytes]:
        """The last frame, if its line lacks the LF."""
        return self._frames(self._lines.feed_eof())

    def _frames(self, lines: list[bytes]) -> list[bytes]:
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        return [frame for line in lines if (frame := line.strip())]
