"""Claimed: a head that any client could read is read, and what is none has a clear message."""

from __future__ import annotations

import io
from contextlib import suppress
from http.client import HTTPMessage, RemoteDisconnected
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.errors import ProtocolError
from chatstream.transport.head import MAX_HEAD_BYTES, ResponseHead, body_length, codings, read_head

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"data: hello\n\n"


class Trickle(io.RawIOBase):
    """Hands out `size` bytes a read, so that every line is cut everywhere."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        part = self._data.read(min(self._size, len(view)))
        view[: len(part)] = part
        return len(part)


def trickle(data: bytes, size: int) -> io.BufferedReader:
    return cast("io.BufferedReader", io.BufferedReader(Trickle(data, size)))


def head_of(data: bytes, size: int = 1 << 16) -> ResponseHead:
    return read_head(trickle(data, size))


def fields(data: bytes) -> list[tuple[str, str]]:
    return head_of(OK + data + b"\r\n" + BODY).headers.items()


def message(*lines: tuple[str, str]) -> HTTPMessage:
    headers = HTTPMessage()
    for name, value in lines:
        headers[name] = value
    return headers


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 16])
def test_the_body_is_left_in_the_file(size: int) -> None:
    file = trickle(OK + b"A: 1\r\n\r\n" + BODY, size)
    assert read_head(file).headers.items() == [("A", "1")]
    assert file.read() == BODY


@pytest.mark.parametrize(
    ("line", "version", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 11, 200, "OK"),
        (b"HTTP/1.1 200", 11, 200, ""),
        (b"HTTP/1.1 200 ", 11, 200, ""),
        (b"HTTP/1.1  404   Not  Found ", 11, 404, "Not  Found"),
        (b"HTTP/1.1 200OK", 11, 200, "OK"),
        (b"HTTP/1.1 500 \xfcberlastet: 42%", 11, 500, "überlastet: 42%"),
        (b"http/1.1 200 ok", 11, 200, "ok"),
        (b"HTTP/1.0 200 OK", 10, 200, "OK"),
        (b"HTTP/0.9 200 OK", 10, 200, "OK"),
        (b"HTTP/2 200", 11, 200, ""),
        (b"HTTP/2.0 200 OK", 11, 200, "OK"),
        (b"HTTP/1.1 999 Denied", 11, 999, "Denied"),
        (b"\r\n\r\nHTTP/1.1 200 OK", 11, 200, "OK"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_status_line(line: bytes, version: int, status: int, reason: str, end: bytes) -> None:
    head = head_of(line + end + end)
    assert (head.version, head.status, head.reason) == (version, status, reason)


@pytest.mark.parametrize("statuses", [[100], [102, 102], [103], [199], [100, 103, 102, 100]])
def test_interim_responses_are_skipped_with_their_headers(statuses: list[int]) -> None:
    interim = b"".join(b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status for status in statuses)
    head = head_of(interim + OK + b"A: 1\r\n\r\n", 3)
    assert (head.status, head.headers.items()) == (200, [("A", "1")])


def test_a_server_may_say_for_an_hour_that_it_is_processing() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n" * 3600
    assert head_of(interim + OK + b"\r\n").status == 200


def test_a_switch_of_protocols_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="101"):
        head_of(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")


def test_hundreds_of_header_lines_are_read() -> None:
    sent = [(f"X-{n}", str(n)) for n in range(2000)]
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in sent)
    assert fields(lines) == sent


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"A: " + b"a" * MAX_HEAD_BYTES, id="one-line"),
        pytest.param(OK + b"A: 1\r\n" * MAX_HEAD_BYTES, id="many-lines"),
        pytest.param(b"HTTP/1.1 200 " + b"a" * MAX_HEAD_BYTES, id="the-reason"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_HEAD_BYTES, id="interim-responses"),
        pytest.param(b"\r\n" * MAX_HEAD_BYTES, id="nothing-but-line-ends"),
    ],
)
def test_a_head_beyond_the_limit_is_a_protocol_error_that_names_it(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="256 KiB"):
        head_of(data)


def test_a_head_may_be_as_long_as_the_limit() -> None:
    rest = MAX_HEAD_BYTES - len(OK + b"A: \r\n\r\n")
    assert head_of(OK + b"A: " + b"a" * rest + b"\r\n\r\n").headers["A"] == "a" * rest


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (b"A: 1\r\n two\r\n\tthree\r\n", [("A", "1 two three")]),
        (b"A:\r\n folded\r\n", [("A", "folded")]),
        (b" folded without a first line\r\nA: 1\r\n", [("A", "1")]),
        (b"no header at all\r\nA: 1\r\n", [("A", "1")]),
        (b": no name\r\nA: 1\r\n", [("A", "1")]),
        (b"A : 1\r\n", [("A", "1")]),
        (b"A:1\r\nA:2\r\n", [("A", "1"), ("A", "2")]),
        (b"A: b: c\r\n", [("A", "b: c")]),
        (b"A:\r\n", [("A", "")]),
        (b"A: caf\xe9\r\n", [("A", "café")]),
        (b"A: x\0y\r\n", [("A", "xy")]),
        (b"A: x\ry\r\n", [("A", "x y")]),
        (b"\xff\xfe: 1\r\n", [("ÿþ", "1")]),
    ],
)
def test_odd_header_lines_break_nothing(lines: bytes, read: list[tuple[str, str]]) -> None:
    assert fields(lines) == read


@given(st.lists(st.binary(max_size=30), max_size=6).map(b"\n".join))
def test_any_lines_are_headers_or_left_out(lines: bytes) -> None:
    assert head_of(OK + lines + b"\n\n").status == 200


@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_a_failure_of_ours(data: bytes) -> None:
    for sent in (data, b"HTTP/1.1 " + data):
        with suppress(ProtocolError, RemoteDisconnected):
            assert head_of(sent).status >= 200


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"220 mail ESMTP\r\n", "220 mail ESMTP"),
        (b'data: {"choices": []}\n\n', "data: "),
        (b"HTPT/1.1 200 OK\r\n\r\n", "HTPT/1.1 200 OK"),
        (b"HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 OK"),
        (b"HTTP/1.1 -200 OK\r\n\r\n", "-200"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "2000"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "099"),
        (b"HTTP/" + b"1" * 5000 + b" 200 OK\r\n\r\n", "HTTP/1111"),
        (b"HTTP/x 200 OK\r\n\r\n", "HTTP/x"),
        (b"\x15\x03\x01\x00\x02\x02P", "TLS"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "HTTP/2"),
        (b"\x1b[31mred", "\\x1b"),
    ],
)
def test_what_is_no_http_is_told_by_its_first_bytes(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        head_of(data)
    assert says in caught.value.message
    assert caught.value.message.isprintable()


def test_every_cut_of_a_head_is_a_lost_connection() -> None:
    whole = b"HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n" + OK + b"A: 1\r\n\r\n"
    for cut in range(len(whole)):
        with pytest.raises(RemoteDisconnected):
            head_of(whole[:cut])


@pytest.mark.parametrize(
    ("lines", "chunked", "length"),
    [
        ([], False, None),
        ([("Content-Length", "5")], False, 5),
        ([("content-length", " 05 ")], False, 5),
        ([("Content-Length", "5"), ("Content-Length", "5")], False, 5),
        ([("Content-Length", "5, 5")], False, 5),
        ([("Content-Length", "5"), ("Content-Length", "6")], False, None),
        ([("Content-Length", "5, 6")], False, None),
        ([("Content-Length", "-5")], False, None),
        ([("Content-Length", "+5")], False, None),
        ([("Content-Length", "five")], False, None),
        ([("Content-Length", "5_0")], False, None),
        ([("Content-Length", "")], False, None),
        ([("Content-Length", "9" * 5000)], False, None),
        ([("Transfer-Encoding", "chunked")], True, None),
        ([("Transfer-Encoding", "Chunked ")], True, None),
        ([("Transfer-Encoding", "gzip, chunked")], True, None),
        ([("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")], True, None),
        ([("Transfer-Encoding", "chunked"), ("Content-Length", "5")], True, None),
        ([("Transfer-Encoding", "identity"), ("Content-Length", "5")], False, 5),
        ([("Transfer-Encoding", ""), ("Content-Length", "5")], False, 5),
        ([("Transfer-Encoding", "gzip"), ("Content-Length", "5")], False, None),
    ],
)
def test_how_long_a_body_is(
    lines: list[tuple[str, str]], chunked: bool, length: int | None
) -> None:
    headers = message(*lines)
    assert body_length(headers) == (chunked, length)
    if not chunked and length is None:
        assert "Content-Length" not in headers


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], []),
        (["", " , "], []),
        (["identity"], []),
        (["identity, Identity"], []),
        (["GZIP"], ["gzip"]),
        (["gzip, identity"], ["gzip"]),
        (['"gzip"'], ["gzip"]),
        (["gzip", "br"], ["gzip", "br"]),
        (["none"], ["none"]),
    ],
)
def test_the_words_of_a_coding(lines: list[str], words: list[str]) -> None:
    assert codings(lines) == words
