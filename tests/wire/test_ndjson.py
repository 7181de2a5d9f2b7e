"""Claimed: a frame is what stands between two LFs, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.errors import LineTooLong
from chatstream.wire import NDJSONDecoder


def decode(pieces: Iterable[bytes]) -> list[bytes]:
    decoder = NDJSONDecoder()
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    return frames + decoder.feed_eof()


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


STREAMS = [
    pytest.param(b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="lines"),
    pytest.param(b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}'], id="crlf"),
    pytest.param(b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="no-lf-at-the-end"),
    pytest.param(b'\n \n\r\n{"a":1}\n\n', [b'{"a":1}'], id="blank-lines"),
    pytest.param(b'  {"a":1}\t\n', [b'{"a":1}'], id="space-around"),
    pytest.param(b'{"a":\r1}\n', [b'{"a":\r1}'], id="a-cr-ends-nothing"),
    pytest.param(b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}'], id="bom"),
    pytest.param(b'\xef\xbb\xbf{"a":1}', [b'{"a":1}'], id="bom-and-no-lf"),
    pytest.param(b"\xef\xbb\xbf\n{}\n", [b"{}"], id="bom-on-a-blank-line"),
    pytest.param(b"{}\n\xef\xbb\xbf{}\n", [b"{}", b"\xef\xbb\xbf{}"], id="later-bom-stays"),
    pytest.param(
        '{"日":"\u2028\u0085"}\n'.encode(), ['{"日":"\u2028\u0085"}'.encode()], id="u2028"
    ),
    pytest.param(b"", [], id="nothing"),
]


@pytest.mark.parametrize(("data", "frames"), STREAMS)
def test_frames_are_the_same_at_every_cut(data: bytes, frames: list[bytes]) -> None:
    assert decode([data]) == frames
    assert decode(bytewise(data)) == frames
    for cut in range(len(data) + 1):
        assert decode([data[:cut], data[cut:]]) == frames


@given(st.lists(st.sampled_from([b"{}", b"\n", b"\r", b" ", b"\xef\xbb\xbf", b"\xe2\x80\xa8"])))
def test_any_cut_gives_the_frames_of_a_reference_split(pieces: list[bytes]) -> None:
    lines = b"".join(pieces).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert decode(pieces) == [frame for line in lines if (frame := line.strip())]


def test_a_frame_is_out_with_its_lf() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b"{}") == []
    assert decoder.feed(b"\n[") == [b"{}"]
    assert decoder.feed_eof() == [b"["]
    assert decoder.feed_eof() == []


def test_a_frame_of_512_kib_comes_whole_and_one_of_17_mib_is_an_error() -> None:
    decoder, piece = NDJSONDecoder(), b"x" * 65_536
    assert [decoder.feed(piece) for _ in range(8)] == [[]] * 8
    assert decoder.feed(b"\n") == [piece * 8]
    with pytest.raises(LineTooLong):
        [decoder.feed(piece) for _ in range(17 * 16)]
