"""Body framing without any I/O: chunks, lengths and compression, fed as bytes arrive.

Every class has `feed(data) -> bytes`, which returns all the payload that `data` brings, and
tells in `ended` whether the body is whole. A body that ends before that was cut. A framing that
cannot be read is told in `broken`, so that the payload before it is not lost.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from typing import Protocol

from chatstream.errors import ProtocolError

_BROKEN = "the server sent a broken chunked body"
_LINE_END = b"\r\n"
_MAX_SIZE_LINE = 4096  # a chunk-size line with extensions; http.client allows 64 KiB for all of it
_MAX_INFLATED = 1024 * 1024  # a piece of inflated text handed on at once; keeps memory flat


class Framing(Protocol):
    """How a body ends."""

    ended: bool
    reusable: bool
    broken: ProtocolError | None

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
                if len(self._held) > _MAX_SIZE_LINE:
                    self.broken = ProtocolError(_BROKEN)
                break
            size = _chunk_size(data[at:found])
            at = found + 1
            if size <= 0:
                if size < 0:
                    self.broken = ProtocolError(_BROKEN)
                self.ended = size == 0
                self.reusable = self.ended and data[at:] == _LINE_END
                break
            parts.append(data[at : at + size])
            at += size
        self._left = max(0, at - total)
        return b"".join(parts)


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

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data


class Inflater:
    """gzip or deflate that a proxy insists on, decoded as it comes."""

    def __init__(self) -> None:
        self._begin = b""  # the two bytes that tell the formats apart
        self._inflate: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The text in pieces of at most 1 MiB. Raises `ProtocolError`."""
        while True:
            if self._inflate is None:
                data = self._begin + data
                if len(data) < 2:
                    self._begin = data
                    return
                self._begin = b""
                self._inflate = zlib.decompressobj(_window_bits(data))
            try:
                text = self._inflate.decompress(data, _MAX_INFLATED)
            except zlib.error as error:
                raise ProtocolError(f"the compressed body is broken: {error}") from error
            if text:
                yield text
            if self._inflate.eof:  # another member may follow
                data, self._inflate = self._inflate.unused_data, None
                continue
            data = self._inflate.unconsumed_tail
            if not data and len(text) < _MAX_INFLATED:  # else more may wait inside
                return


def _window_bits(data: bytes) -> int:
    """What zlib must be told: gzip, zlib, or the bare deflate that some servers send."""
    if data[:2] == b"\x1f\x8b":
        return zlib.MAX_WBITS | 16
    is_zlib = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
