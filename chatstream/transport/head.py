"""The head of a response: status line and header lines, read as leniently as they are written.

http.client refuses heads that other clients take: it skips interim responses of status 100 only,
and allows no more than 100 header lines, which is a setting for the whole process. Here every
interim response (1xx) but 101 is skipped, and all lines before the body count against
`MAX_HEAD_BYTES`. A folded line belongs to the one before it; a line that is no header is left out.

RFC 9112: status line (4), field syntax (5), message body length (6.3).
"""

from __future__ import annotations

import re
from http.client import HTTPMessage, RemoteDisconnected
from io import BufferedReader

import msgspec

from chatstream.errors import ProtocolError

MAX_HEAD_BYTES = 256 * 1024
"""Bytes of all lines before the body, those of interim responses included."""

_HTTP = b"HTTP/"
_STATUS_LINE = re.compile(
    rb"HTTP/([0-9]{1,3})(?:\.([0-9]{1,3}))?[ \t]+([1-9][0-9]{2})(?![0-9])(.*)", re.IGNORECASE
)
_CLOSED = "the server closed the connection without an answer"
_CUT = "the connection ended in the middle of the response head"
_QUOTED_BYTES = 60  # bytes of what is no HTTP that a message shows


class ResponseHead(msgspec.Struct, frozen=True):
    """`version` is 10 or 11, as http.client counts."""

    version: int
    status: int
    reason: str
    headers: HTTPMessage


def read_head(file: BufferedReader) -> ResponseHead:
    """The head of the final response. Raises `ProtocolError`, `RemoteDisconnected`, `OSError`."""
    lines = _Lines(file)
    while True:
        lines.expect_http()
        version, status, reason = _status_line(lines.next())
        if status == 101:
            raise ProtocolError(
                "the server wants to switch to another protocol (101), which was not requested"
            )
        headers = _headers(lines)
        if status >= 200:
            return ResponseHead(version, status, reason, headers)


def body_length(headers: HTTPMessage) -> tuple[bool, int | None]:
    """Whether the body is chunked, and its length where that counts and is clear.

    Chunks beat a length. Lengths that contradict each other, or are no numbers, are removed: the
    body then ends with the connection.
    """
    coded = codings(headers.get_all("Transfer-Encoding", []))
    if "chunked" in coded:
        return True, None
    announced = headers.get_all("Content-Length", [])
    lengths = {text.strip() for line in announced for text in line.split(",")}
    values = {int(text) if re.fullmatch("[0-9]{1,18}", text) else None for text in lengths}
    length = values.pop() if len(values) == 1 else None
    if length is None or coded:
        del headers["Content-Length"]  # urllib3 would refuse the response for it
        return False, None
    return False, length


def codings(lines: list[str]) -> list[str]:
    """The words of Transfer-Encoding or Content-Encoding lines, without those that do nothing."""
    words = (word.strip(' \t"').lower() for line in lines for word in line.split(","))
    return [word for word in words if word not in {"", "identity"}]


class _Lines:
    """The lines of one head, counted."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._left = MAX_HEAD_BYTES
        self._begun = b""  # what was read of the next line already

    def expect_http(self) -> None:
        """Raise at the first byte that is no HTTP; its line end may never come."""
        begun = b""
        while len(begun) < len(_HTTP):
            byte = self._file.read(1)
            if not byte:
                raise RemoteDisconnected(_CUT if begun else _CLOSED)
            if not begun and byte in b"\r\n":  # of the response before, RFC 9112 section 2.2
                self._count(1)
                continue
            begun += byte
            if not _HTTP.startswith(begun.upper()):
                raise _no_http(begun + self._file.peek())
        self._begun = begun

    def next(self) -> bytes:
        """The next line, without its end."""
        line = self._begun + self._file.readline(self._left + 1)
        self._begun = b""
        self._count(len(line))
        if not line.endswith(b"\n"):
            raise RemoteDisconnected(_CUT)
        return line.rstrip(b"\r\n")

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ProtocolError(
                f"the server's response head is longer than {MAX_HEAD_BYTES // 1024} KiB",
                hint="check what the server, or a proxy in front of it, puts into the headers",
            )


def _status_line(line: bytes) -> tuple[int, int, str]:
    found = _STATUS_LINE.match(line)
    if found is None:
        raise _no_http(line)
    major, minor, status, reason = found.groups()
    version = 10 if int(major) == 0 or (int(major), minor) == (1, b"0") else 11
    return version, int(status), reason.decode("latin-1").strip()


def _headers(lines: _Lines) -> HTTPMessage:
    fields: list[tuple[str, str]] = []
    while line := lines.next():
        text = line.decode("latin-1").replace("\r", " ").replace("\0", "")
        if text.startswith((" ", "\t")):  # folded
            if fields:
                name, value = fields[-1]
                fields[-1] = name, f"{value} {text.strip()}".strip()
            continue
        name, colon, value = text.partition(":")
        if colon and name.strip():
            fields.append((name.strip(), value.strip()))
    message = HTTPMessage()
    for name, value in fields:
        message[name] = value
    return message


def _no_http(data: bytes) -> ProtocolError:
    """What answers there, as far as its first bytes tell."""
    hint = "check the address and the port (--base-url)"
    if data[:1] in {b"\x15", b"\x16"} and data[1:2] == b"\x03":
        return ProtocolError("the server speaks TLS, not plain HTTP", hint="use https:// for it")
    if data[3:4] == b"\x04" and data[:2] == b"\0\0":  # a SETTINGS frame
        return ProtocolError("the server speaks HTTP/2 only", hint=hint)
    shown = ascii(data[:_QUOTED_BYTES].strip().decode("latin-1"))
    return ProtocolError(f"the server does not speak HTTP; it sent {shown}", hint=hint)
