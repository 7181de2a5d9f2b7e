"""Claimed: lines end at CR, LF and CRLF only, however the bytes are cut, and are bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.errors import LineTooLong
from chatstream.wire import MAX_LINE_BYTES, LineSplitter

MIB = 1024 * 1024


def split(pieces: Iterable[bytes], *, cr: bool = True) -> list[bytes]:
    splitter = LineSplitter(cr=cr)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + splitter.feed_eof()


def reference(data: bytes, *, cr: bool = True) -> list[bytes]:
    lines = re.split(rb"\r\n|\r|\n" if cr else rb"\n", data)
    return lines if lines[-1] else lines[:-1]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


TEXTS = [
    pytest.param(b"a\nb\n", [b"a", b"b"], id="lf"),
    pytest.param(b"a\r\nb\r\n", [b"a", b"b"], id="crlf"),
    pytest.param(b"a\rb\r", [b"a", b"b"], id="cr"),
    pytest.param(b"a\r\n\r\nb", [b"a", b"", b"b"], id="crlf-blank-line"),
    pytest.param(b"a\r\r\nb\n\rc", [b"a", b"", b"b", b"", b"c"], id="mixed"),
    pytest.param(b"\n\r\n\r", [b"", b"", b""], id="only-ends"),
    pytest.param(b"", [], id="nothing"),
    pytest.param("日本\r\n語".encode(), ["日本".encode(), "語".encode()], id="utf-8"),
]


@pytest.mark.parametrize(("data", "lines"), TEXTS)
def test_lines_are_the_same_at_every_cut(data: bytes, lines: list[bytes]) -> None:
    assert split([data]) == lines
    assert split(bytewise(data)) == lines
    for cut in range(len(data) + 1):
        assert split([data[:cut], data[cut:]]) == lines


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"", b"ab", b"\xc2\x85", b"\x0b"])),
    st.booleans(),
)
def test_any_cut_gives_the_lines_of_a_reference_split(pieces: list[bytes], cr: bool) -> None:
    assert split(pieces, cr=cr) == reference(b"".join(pieces), cr=cr)


def test_crlf_split_across_reads_is_one_line_end() -> None:
    assert split([b"a\r", b"\nb\r", b"", b"\n"]) == [b"a", b"b"]


def test_a_line_is_out_at_its_cr() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"a\r") == [b"a"]
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"\n") == [b""]


@pytest.mark.parametrize("mark", "\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029")
def test_nothing_else_ends_a_line(mark: str) -> None:
    line = f"a{mark}b".encode()
    assert split([line + b"\n"]) == [line]


def test_only_lf_ends_a_line_where_cr_does_not_count() -> None:
    assert split([b"a\r", b"b\r\n\rc"], cr=False) == [b"a\rb\r", b"\rc"]


def test_a_line_without_its_end_comes_with_the_end_of_the_stream() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"a\nb") == [b"a"]
    assert splitter.feed_eof() == [b"b"]
    assert splitter.feed_eof() == []


@pytest.mark.parametrize("pieces", [[b"12345\n"], bytewise(b"12345\n"), [b"123", b"45\n"]])
def test_a_line_as_long_as_the_limit_passes(pieces: list[bytes]) -> None:
    splitter = LineSplitter(limit=5)
    assert [line for piece in pieces for line in splitter.feed(piece)] == [b"12345"]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"123456"],
        [b"123456\n"],
        [b"ok\n123456\nok\n"],
        [b"123", b"456\n"],
        [b"12345", b"6\n"],
        bytewise(b"123456"),
    ],
)
def test_a_line_past_the_limit_is_an_error_however_it_is_cut(pieces: list[bytes]) -> None:
    splitter = LineSplitter(limit=5)

    def feed() -> None:
        for piece in pieces:
            splitter.feed(piece)
        splitter.feed_eof()

    with pytest.raises(LineTooLong, match="more than 5 bytes"):
        feed()


def test_lines_before_one_past_the_limit_are_not_lost() -> None:
    splitter = LineSplitter(limit=5)
    assert splitter.feed(b"ok\n123456\nlate\n") == [b"ok"]
    for _ in range(2):
        with pytest.raises(LineTooLong):
            splitter.feed(b"later\n")


def test_the_limit_is_for_one_line_and_not_for_the_stream() -> None:
    splitter = LineSplitter(limit=5)
    assert [line for _ in range(1000) for line in splitter.feed(b"12345\n")] == [b"12345"] * 1000


def test_a_server_that_never_ends_its_line_is_stopped_at_16_mib() -> None:
    splitter, read = LineSplitter(), b"x" * (256 * 1024)
    for _ in range(MAX_LINE_BYTES // len(read)):
        assert splitter.feed(read) == []
    with pytest.raises(LineTooLong, match="16,777,216"):
        splitter.feed(read)


def test_a_line_of_17_mib_in_one_read_is_an_error() -> None:
    with pytest.raises(LineTooLong):
        LineSplitter().feed(bytes(17 * MIB) + b"\n")


def test_a_line_of_512_kib_comes_whole_byte_by_byte() -> None:
    line = bytes(range(32, 127)) * (512 * 1024 // 95)
    splitter = LineSplitter()
    assert not any(splitter.feed(byte) for byte in bytewise(line))
    assert splitter.feed(b"\n") == [line]
