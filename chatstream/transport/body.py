"""Body framing without any I/O: chunks, lengths and compression, fed as bytes arrive.

Every framing has `feed(data) -> bytes`, which returns all the payload that `data` brings, and
reports in `ended` whether the body is whole. A body that ends before that was cut. A framing that
cannot be read is reported in `broken`, so that the payload before it is not lost.

`unpack` removes a compression. The bytes decide which one it is, not its name: servers and proxies
write `none` or `utf-8`, keep the name of a coding that they have already removed, or name twice
what they applied once.
"""

from __future__ import annotations

import codecs
import functools
import re
import zlib
from collections.abc import Iterator
from typing import Protocol, TypeVar

from chatstream.errors import ChatstreamError, ProtocolError

T = TypeVar("T")

_BROKEN = "the server sent a broken chunked body"
_LINE_END = b"\r\n"
_NO_SIZE = re.compile(rb"\r\n[^;\n]*[{\[<:]")  # how answers begin, and no size before an extension
_MAX_SIZE_LINE_BYTES = 4096  # a chunk size with extensions; http.client allows 64 KiB for all of it
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_ZLIB = 0x78  # the first byte of nearly all zlib streams
_PROBE_BYTES = 16  # bytes that are text by chance in one of a million compressed bodies
_MAX_INFLATED_BYTES = 1024 * 1024  # a piece of inflated text handed on at once; keeps memory flat


class Framing(Protocol):
    """How a body ends."""

    ended: bool
    reusable: bool
    broken: ProtocolError | None
    unframed: bytes
    """All that came, where it is broken because there never was such a framing."""

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`."""


class Chunked:
    """`Transfer-Encoding: chunked`, RFC 9112 section 7.1. All chunks that came, joined.

    A size line is taken together with the line end before it, which ends the chunk (or the head)
    that came before: whole chunks, as most are, then cost one `find` and two slices.
    """

    def __init__(self) -> None:
        self.ended = False
        self.reusable = False  # the last byte was the body's: the connection can be used again
        self.broken: ProtocolError | None = None
        self.unframed = b""
        self._begun = False  # a chunk has come
        self._held = _LINE_END  # an unfinished size line
        self._left = 0  # payload of the open chunk that is still to come

    def feed(self, data: bytes) -> bytes:
        """All the payload before `data` ends, or breaks the framing."""
        if self.broken is not None:
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        parts = [data[: self._left]]
        at, total, find = self._left, len(data), data.find
        while at < total:
            found = find(b"\n", at + 2)
            if found < 0:
                self._held = data[at:]
                if len(self._held) > _MAX_SIZE_LINE_BYTES or _NO_SIZE.match(self._held):
                    self._break(data)
                break
            size = _chunk_size(data[at:found])
            at = found + 1
            if size <= 0:
                if size < 0:
                    self._break(data)
                self.ended = size == 0
                self.reusable = self.ended and data[at:] == _LINE_END
                break
            parts.append(data[at : at + size])
            at += size
        self._begun = self._begun or at > 0
        self._left = max(0, at - total)
        return b"".join(parts)

    def _break(self, data: bytes) -> None:
        """A line names no size. If it is the first one, the body may never have been chunked."""
        self.broken = ProtocolError(_BROKEN)
        if not self._begun and _NO_SIZE.match(data):
            self.unframed = data[len(_LINE_END) :]


@functools.lru_cache(maxsize=256)
def _chunk_size(line: bytes) -> int:
    """The size that a line and the line end before it name; negative where they name none."""
    if not line.startswith(_LINE_END):
        return -1
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1


class Sized:
    """`Content-Length`."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0
        self.reusable = self.ended
        self.broken: ProtocolError | None = None
        self.unframed = b""

    def feed(self, data: bytes) -> bytes:
        """At most the announced bytes."""
        part = data[: self._left]
        self._left -= len(part)
        self.ended = self._left == 0
        self.reusable = self.ended and len(part) == len(data)
        return part


class UntilClose:
    """No length at all: the body ends with the connection, and a cut looks the same."""

    ended = False
    reusable = False
    broken: ProtocolError | None = None
    unframed = b""

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data


def unpack(items: Iterator[bytes | T], coding: str) -> Iterator[bytes | T]:
    """`items` with their bytes decompressed; `coding` is what the server calls it.

    Bytes that are text are passed on as they are. Raises `ProtocolError` for those that are
    neither text nor gzip or deflate. What is no bytes passes through.
    """
    held = b""
    window: int | None = None
    try:
        for item in items:
            if not isinstance(item, bytes):
                yield item
                continue
            held += item
            window = _window_bits(held, coding)
            if window is not None:
                break
    except ChatstreamError:
        if held:
            yield held
        raise
    if not window:
        if held:
            yield held
        yield from items
        return
    inflater = Inflater(window)
    yield from inflater.feed(held)
    for item in items:
        if isinstance(item, bytes):
            yield from inflater.feed(item)
        else:
            yield item


class Inflater:
    """gzip or deflate, decoded as it comes. `window` is what zlib has to know about the format."""

    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)
        self._begin = b""  # of what follows a member that has ended

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The text in pieces of at most 1 MiB. Raises `ProtocolError`."""
        while True:
            if self._inflate.eof:
                data = self._begin + data
                self._begin = data[:1]
                if len(data) < 2 or not data.startswith(_GZIP):
                    return  # no further member: what follows is not part of the text
                self._begin = b""
                self._inflate = zlib.decompressobj(_GZIP_WINDOW)
            try:
                text = self._inflate.decompress(data, _MAX_INFLATED_BYTES)
            except zlib.error as error:
                raise ProtocolError(f"the compressed body is broken: {error}") from error
            if text:
                yield text
            if self._inflate.eof:
                data = self._inflate.unused_data
                continue
            data = self._inflate.unconsumed_tail
            if not data and len(text) < _MAX_INFLATED_BYTES:  # else more may wait inside
                return


def _window_bits(data: bytes, coding: str) -> int | None:
    """What zlib has to know about these bytes; 0: they are text; None: too few bytes to decide.

    gzip and zlib have a header. The bare deflate that some servers send has none, and neither has
    brotli: a beginning that is not text is deflate if the server says so, and otherwise an error.
    """
    if len(data) < 2:
        return None
    if _is_text(data[:_PROBE_BYTES]):
        return 0 if len(data) >= _PROBE_BYTES else None
    if data.startswith(_GZIP):
        return _GZIP_WINDOW
    deflated = "deflate" in coding
    is_zlib = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    if is_zlib and (deflated or data[0] == _ZLIB):
        return zlib.MAX_WBITS
    if deflated:
        return -zlib.MAX_WBITS
    raise ProtocolError(f"the server compresses with {coding!r}, which was not requested")


def _is_text(data: bytes) -> bool:
    """Whether it begins like UTF-8 text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return not any(byte < 0x20 and byte not in b"\t\n\r\f" for byte in data)
