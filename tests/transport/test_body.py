"""Claimed: a body's framing and compression come off the same at every cut of its bytes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import ProtocolError, Truncated
from chatstream.transport.body import Chunked, Framing, Sized, UntilClose, unpack

MIB = 1024 * 1024


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cuts(data: bytes) -> Iterable[list[bytes]]:
    yield [data]
    yield bytewise(data)
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]]


def payload(framing: Framing, pieces: Iterable[bytes]) -> bytes:
    """All of the body, fed as its reader does: nothing any more once it has ended."""
    return b"".join(framing.feed(piece) for piece in pieces if not framing.ended)


CHUNKED = [
    pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", id="one"),
    pytest.param(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc", id="two"),
    pytest.param(b"0\r\n\r\n", b"", id="none"),
    pytest.param(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2, id="hex"),
    pytest.param(b"0005\r\nhello\r\n000\r\n\r\n", b"hello", id="leading-zeros"),
    pytest.param(b"5 \r\nhello\r\n0 \r\n\r\n", b"hello", id="space-after-the-size"),
    pytest.param(b'5;a=1;b="x"\r\nhello\r\n0;c\r\n\r\n', b"hello", id="extensions"),
    pytest.param(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", b"hello", id="trailers"),
    pytest.param(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", id="payload-of-line-ends"),
    pytest.param(b"5\nhello\r\n0\n\r\n", b"hello", id="lf-after-the-size"),
]


@pytest.mark.parametrize(("body", "text"), CHUNKED)
def test_chunks_are_joined_at_every_cut(body: bytes, text: bytes) -> None:
    for pieces in cuts(body):
        chunked = Chunked()
        assert payload(chunked, pieces) == text
        assert chunked.ended


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 30)))
def test_any_chunks_come_out_as_they_went_in(chunks: list[bytes], sizes: list[int]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    chunked = Chunked()
    assert payload(chunked, [*pieces, body[at:]]) == b"".join(chunks)
    assert chunked.ended


def test_one_read_hands_out_every_chunk_that_came() -> None:
    assert Chunked().feed(b"1\r\na\r\n1\r\nb\r\n5\r\ncd") == b"abcd"


def test_a_body_cut_before_its_last_chunk_has_not_ended() -> None:
    body = b"5\r\nhello\r\n0\r\n"
    for cut in range(len(body)):
        chunked = Chunked()
        chunked.feed(body[:cut])
        assert not chunked.ended


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"x\r\n", id="no-number"),
        pytest.param(b"\r\nhello", id="no-size"),
        pytest.param(b"-5\r\nhello", id="negative"),
        pytest.param(b";a=1\r\n", id="only-an-extension"),
        pytest.param(b"5 5\r\nhello", id="two-numbers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="another-response"),
        pytest.param(b"1" * 5000, id="a-size-without-an-end"),
        pytest.param(b"5\r\nhello!!0\r\n\r\n", id="more-payload-than-the-size-says"),
        pytest.param(b"5\nhello\n3\nabc\n0\n\n", id="lf-after-the-payload"),
        pytest.param(b"5\r\nhello\r!0\r\n\r\n", id="half-a-line-end-after-the-payload"),
    ],
)
def test_what_is_no_chunk_is_told_at_every_cut(body: bytes) -> None:
    for pieces in (split for split in cuts(body) if len(body) < 100 or len(split) == 1):
        chunked = Chunked()
        payload(chunked, pieces)
        assert isinstance(chunked.broken, ProtocolError)
        assert not chunked.ended


UNFRAMED = [b'data: {"a": 1}\n\n', b'{"a": 1}', b"event: x\n", b": ping\r\n", b"<html>", b"[1]\n"]


@pytest.mark.parametrize("body", UNFRAMED)
def test_a_body_that_was_never_chunked_is_handed_out_as_it_came(body: bytes) -> None:
    for pieces in cuts(body):
        chunked = Chunked()
        taken = 0
        while chunked.broken is None and taken < len(pieces):
            assert chunked.feed(pieces[taken]) == b""
            taken += 1
        assert chunked.broken is not None
        assert chunked.unframed + b"".join(pieces[taken:]) == body


@pytest.mark.parametrize("body", [b"2\r\nab\r\ndata: x\n", b"data\r\n", b"5;x={\r\nhello\r\n"])
def test_a_body_is_not_unframed_once_a_chunk_has_come_or_where_nothing_says_so(
    body: bytes,
) -> None:
    for pieces in cuts(body):
        chunked = Chunked()
        payload(chunked, pieces)
        assert chunked.unframed == b""


def test_payload_before_a_broken_chunk_is_not_lost() -> None:
    chunked = Chunked()
    assert chunked.feed(b"5\r\nhello\r\nnonsense\r\n") == b"hello"
    assert chunked.broken is not None
    assert chunked.feed(b"5\r\nagain\r\n") == b""


@pytest.mark.parametrize(
    ("body", "reusable"),
    [
        (b"1\r\na\r\n0\r\n\r\n", True),
        (b"1\r\na\r\n0\r\n", False),
        (b"1\r\na\r\n0\r\nX: 1\r\n\r\n", False),
        (b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK", False),
        (b"1\r\na\r\n", False),
    ],
)
def test_a_connection_is_reusable_when_the_chunked_body_ends_the_read(
    body: bytes, reusable: bool
) -> None:
    chunked = Chunked()
    chunked.feed(body)
    assert chunked.reusable is reusable


def test_a_sized_body_is_the_announced_bytes_at_every_cut() -> None:
    for pieces in cuts(b"hello"):
        sized = Sized(5)
        assert payload(sized, pieces) == b"hello"
        assert sized.ended
        assert sized.reusable


def test_a_sized_body_has_not_ended_one_byte_before() -> None:
    sized = Sized(5)
    assert sized.feed(b"hell") == b"hell"
    assert (sized.ended, sized.reusable) == (False, False)


def test_bytes_after_a_sized_body_are_dropped_and_spoil_the_connection() -> None:
    sized = Sized(5)
    assert sized.feed(b"hello, world") == b"hello"
    assert (sized.ended, sized.reusable) == (True, False)


def test_a_body_of_no_bytes_has_ended_at_once() -> None:
    sized = Sized(0)
    assert (sized.ended, sized.reusable) == (True, True)


def test_a_body_until_close_never_says_that_it_is_whole() -> None:
    body = UntilClose()
    assert body.feed(b"hello") == b"hello"
    assert (body.ended, body.reusable) == (False, False)


TEXT = "data: {\"é\":\"日本語\"}\n\n".encode() * 12  # fmt: skip


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def inflate(pieces: Iterable[bytes], coding: str = "gzip, deflate") -> bytes:
    return b"".join(unpack(iter(pieces), coding))


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, raw_deflate])
def test_compressed_text_is_the_same_at_every_cut(compress: object) -> None:
    assert callable(compress)
    for pieces in cuts(compress(TEXT)):
        assert inflate(pieces) == TEXT


def test_a_body_of_several_gzip_members_is_one_text_at_every_cut() -> None:
    for pieces in cuts(gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")):
        assert inflate(pieces) == b"one two"


def test_each_flushed_piece_is_out_at_once() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    tokens = [b"one ", b"two ", b"three"]
    sent = (deflate.compress(token) + deflate.flush(zlib.Z_SYNC_FLUSH) for token in tokens)
    assert list(unpack(sent, "gzip")) == tokens


def test_a_compressed_body_that_is_cut_gives_what_came() -> None:
    text = inflate([gzip.compress(TEXT, compresslevel=0)[:100]])
    assert text
    assert TEXT.startswith(text)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, raw_deflate])
@pytest.mark.parametrize("more", [0, 1, 100, 258, 3 * MIB])
def test_a_bomb_comes_whole_in_pieces_of_at_most_1_mib(compress: object, more: int) -> None:
    assert callable(compress)
    pieces = list(unpack(iter([compress(b"a" * (MIB + more))]), "deflate"))
    assert max(map(len, pieces)) <= MIB
    assert sum(map(len, pieces)) == MIB + more


CODINGS = ["gzip", "deflate", "none", "utf-8", "binary", "aws-chunked", "br", "zstd"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("text", [TEXT, b"", b"x", b"{}", b"<html>no gzip</html>", b"x^2 " * 9])
def test_text_stays_text_whatever_it_is_called(text: bytes, coding: str) -> None:
    for pieces in cuts(text[:80]):
        assert inflate(pieces, coding) == text[:80]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_what_is_compressed_is_inflated_whatever_it_is_called(
    compress: Callable[[bytes], bytes], coding: str
) -> None:
    assert inflate([compress(TEXT)], coding) == TEXT


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip", "none"])
@pytest.mark.parametrize("data", [b"(\xb5/\xfd\x04X", b"\x0b\x02\x80data", b"\x00\x00\x00\x00"])
def test_what_is_neither_text_nor_known_is_an_error_that_names_it(data: bytes, coding: str) -> None:
    for pieces in (pieces for pieces in cuts(data) if b"" not in pieces):
        with pytest.raises(ProtocolError, match=f"compresses with '{coding}'"):
            inflate(pieces, coding)


def test_a_letter_that_the_beginning_cuts_is_text() -> None:
    text = b"data: 123456789" + "é".encode()
    assert inflate([text[:16], text[16:]], "utf-8") == text


def test_what_follows_the_last_gzip_member_is_not_its() -> None:
    for padding in (b"\0" * 7, b"\x1f", b"junk"):
        for pieces in cuts(gzip.compress(b"hello") + padding):
            assert inflate(pieces) == b"hello"


def test_what_is_no_bytes_passes_a_compression_in_its_place() -> None:
    packed = gzip.compress(TEXT)
    items: list[bytes | None] = [packed[:1], None, packed[1:], None]
    assert list(unpack(iter(items), "gzip")) == [None, TEXT, None]
    assert list(unpack(iter([None, TEXT, None]), "gzip")) == [None, TEXT, None]


def test_what_came_before_a_failure_is_out_before_it() -> None:
    def broken() -> Iterator[bytes]:
        yield b"data: a"
        raise Truncated("cut")

    items = unpack(broken(), "gzip")
    assert next(items) == b"data: a"
    with pytest.raises(Truncated):
        next(items)


def test_a_broken_check_sum_is_an_error() -> None:
    sent = bytearray(gzip.compress(TEXT))
    sent[-8] ^= 0xFF
    with pytest.raises(ProtocolError, match="compressed body is broken"):
        inflate([bytes(sent)])
