"""Bytes to server-sent events, after the WHATWG rules for `text/event-stream`.

1. The text is UTF-8, whatever the headers say; invalid bytes become U+FFFD. One BOM at the start
   is dropped, even when it is split over reads.
2. Lines end as in `lines.py`. An empty line dispatches; a line that starts with `:` is a comment;
   else the field name ends at the first `:`, and one space after it is dropped.
3. `data` appends a line, `event` sets the type, `id` sets the id unless it holds U+0000, `retry`
   counts only when all digits. Other names are ignored.
4. A dispatch without any `data` field makes no frame; the id that it set stays.
5. The event that the end of the stream leaves unfinished is dropped.

Servers of language models break these rules. A decoder that is `lenient` also reads what they
send, and differs from the rules in nothing else:

6. Data that is a whole JSON object, or `[DONE]`, is an event even where the empty line is missing:
   when another event follows it at once, and at the end of the stream. Once a server has left out
   an empty line, such data is dispatched as soon as its line ends.
7. A line that is not a field makes a frame of its own whose event is `STRAY`: bare JSON, the words
   of a proxy, an unknown field. A field named `error`, which old llama.cpp servers report failures
   with, makes one whose event is `error`.
8. Data that the end of the stream leaves unfinished is a frame whose event is `STRAY`.

Comments make no frame either: `comments` counts them, since they prove that the peer lives.
"""

from __future__ import annotations

import json
import logging

import msgspec

from chatstream.errors import LineTooLong
from chatstream.wire.lines import MAX_LINE_BYTES, LineSplitter

STRAY = "stray line"
"""The event of a frame that is a line outside the rules; no event of a server holds a space."""

log = logging.getLogger(__name__)

_BOM = b"\xef\xbb\xbf"
_RETRY_DIGITS = 18  # more milliseconds than the age of the universe, less than int() refuses
_FIELDS = (b"data", b"event", b"id", b"retry", b"error")
_DONE = b"[DONE]"


class SSEFrame(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event, with the id and the retry (ms) in force."""

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Frames of one stream. `limit`: the longest line, and the longest event, in bytes."""

    def __init__(self, limit: int = MAX_LINE_BYTES, *, lenient: bool = False) -> None:
        self.comments = 0
        self._limit = limit
        self._lenient = lenient
        self._eager = False  # empty lines have been missing: whole data does not wait for one
        self._lines = LineSplitter(limit)
        self._bom: bytes | None = b""  # what may still become a BOM; None once that is decided
        self._data: list[bytes] = []
        self._size = 0
        self._event = "message"
        self._id = ""
        self._last_id = ""
        self._retry: int | None = None
        self._failure: LineTooLong | None = None

    @property
    def last_event_id(self) -> str:
        """The id in force."""
        return self._last_id

    @property
    def retry(self) -> int | None:
        """The reconnection time in force, in ms."""
        return self._retry

    def feed(self, data: bytes) -> list[SSEFrame]:
        """The events that `data` dispatches. Raises `LineTooLong`, but no frame is lost by it."""
        if self._failure is not None:
            raise self._failure
        if self._bom is not None:
            data = self._bom + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._bom = data
                return []
            self._bom = None
            data = data.removeprefix(_BOM)
        frames: list[SSEFrame] = []
        held, limit = self._data, self._limit
        try:
            for line in self._lines.feed(data):
                if not line:
                    self._last_id = self._id
                    if len(held) == 1:  # nearly always
                        value = held.pop()
                        try:
                            text = value.decode()  # a third faster than with an error handler
                        except UnicodeDecodeError:
                            text = value.decode("utf-8", "replace")
                        frames.append(SSEFrame(self._event, text, self._last_id, self._retry))
                    elif held:
                        self._dispatch(frames)
                    self._event = "message"
                elif line[:6] == b"data: " and not held and len(line) < limit:
                    held.append(line[6:])  # what nearly every line is
                    self._size = len(line) - 5
                    if self._eager and self._is_whole():
                        self._dispatch(frames)
                else:
                    self._field(line, frames)
        except LineTooLong as failure:
            self._failure = failure
            if not frames:
                raise
        return frames

    def feed_eof(self) -> list[SSEFrame]:
        """Empty unless the decoder is lenient (rule 5, rule 6). Raises `LineTooLong`."""
        if self._failure is not None:
            raise self._failure
        frames: list[SSEFrame] = []
        if not self._lenient:
            return frames
        for line in self._lines.feed_eof():
            if not any(name.startswith(line) for name in _FIELDS):  # a name that broke off
                self._field(line, frames)
        if self._data:
            if not self._is_whole():
                self._event = STRAY
            self._dispatch(frames)
        return frames

    def _dispatch(self, frames: list[SSEFrame]) -> None:
        text = b"\n".join(self._data).decode("utf-8", "replace")
        frames.append(SSEFrame(self._event, text, self._last_id, self._retry))
        self._data.clear()

    def _append(self, value: bytes) -> None:
        if not self._data:
            self._size = 0
        self._size += len(value) + 1  # and the LF that joins it to the next line
        if self._size > self._limit:
            raise LineTooLong(f"the server sent an event of more than {self._limit:,} bytes")
        self._data.append(value)

    def _field(self, line: bytes, frames: list[SSEFrame]) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if self._lenient and name not in _FIELDS and name:
            name = name.strip().lower()  # some indent them, or write them with a capital
            if name not in _FIELDS:
                text = line.decode("utf-8", "replace")
                log.debug("skipped a line that is not a field of an event: %.200s", text)
                frames.append(SSEFrame(STRAY, text, self._last_id, self._retry))
                return
        if not name:
            self.comments += 1
            log.debug("a comment: %.200s", value.decode("utf-8", "replace"))
        elif name == b"data":
            if self._lenient and self._is_whole():
                self._eager = True
                self._dispatch(frames)
            self._append(value)
            if self._eager and self._is_whole():
                self._dispatch(frames)
        elif name == b"event":
            if self._lenient and self._is_whole():
                self._dispatch(frames)
            self._event = value.decode("utf-8", "replace") or "message"
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry":
            if value.isdigit() and len(value) <= _RETRY_DIGITS:
                self._retry = int(value)
        elif name == b"error" and self._lenient:
            frames.append(SSEFrame("error", value.decode("utf-8", "replace")))

    def _is_whole(self) -> bool:
        """Whether the open event's data is one line that could be an event by itself.

        Only one line is looked at, so that the work per byte stays constant.
        """
        if len(self._data) != 1:
            return False
        text = self._data[0].strip()
        if text == _DONE:
            return True
        if text[:1] != b"{" or text[-1:] != b"}":
            return False
        try:
            json.loads(text.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            return False
        return True
