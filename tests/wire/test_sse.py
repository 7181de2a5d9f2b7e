"""Claimed: frames follow the WHATWG rules for `text/event-stream`, whole and at every cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import LineTooLong
from chatstream.wire import STRAY, SSEDecoder, SSEFrame
from tests.support.recordings import SSECase, requires_shared, sse_cases

CASES = list(sse_cases())
SHORT = [case for case in CASES if sum(map(len, case.chunks)) <= 5000]


class Outcome(NamedTuple):
    """All that a stream leaves behind."""

    frames: list[SSEFrame]
    last_event_id: str
    retry: int | None
    comments: int


def decode(pieces: Iterable[bytes]) -> Outcome:
    decoder = SSEDecoder()
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    frames += decoder.feed_eof()
    return Outcome(
        frames,
        decoder.last_event_id,
        decoder.retry,
        decoder.comments,
    )


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def message(data: str, **fields: str) -> SSEFrame:
    return SSEFrame(fields.get("event", "message"), data, fields.get("id", ""))


def assert_case(case: SSECase, pieces: Iterable[bytes]) -> None:
    outcome = decode(pieces)
    assert outcome.frames == [SSEFrame(**frame) for frame in case.expected]
    assert {"last_event_id": outcome.last_event_id, "retry": outcome.retry} == case.final
    assert outcome.comments == case.comments


@requires_shared
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_event_is_out_with_the_read_that_ends_it(case: SSECase) -> None:
    decoder, frames = SSEDecoder(), 0
    for chunk, out in zip(case.chunks, case.events_after_chunk, strict=True):
        frames += len(decoder.feed(chunk))
        assert frames == out
    assert decoder.feed_eof() == []
    assert_case(case, case.chunks)


@requires_shared
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_is_the_same_whole_and_byte_by_byte(case: SSECase) -> None:
    data = b"".join(case.chunks)
    assert_case(case, [data])
    assert_case(case, bytewise(data))


@requires_shared
@pytest.mark.parametrize("case", SHORT, ids=str)
def test_a_case_is_the_same_at_every_cut(case: SSECase) -> None:
    data = b"".join(case.chunks)
    for cut in range(len(data) + 1):
        assert_case(case, [data[:cut], b"", data[cut:]])


STREAMS = [
    pytest.param(b"data: a\n\ndata:b\n\n", [message("a"), message("b")], id="one-space-dropped"),
    pytest.param(b"data:  a\n\n", [message(" a")], id="only-one-space-dropped"),
    pytest.param(b"data:\ta\n\n", [message("\ta")], id="a-tab-stays"),
    pytest.param(b"data: a\ndata\ndata: b\n\n", [message("a\n\nb")], id="data-lines-join"),
    pytest.param(b"data\n\n", [message("")], id="empty-data-is-an-event"),
    pytest.param(b"event: x\n\ndata: a\n\n", [message("a")], id="no-data-resets-the-type"),
    pytest.param(b"event: x\nevent\ndata: a\n\n", [message("a")], id="an-empty-type-is-message"),
    pytest.param(b"id: 1\n\ndata: a\n\n", [message("a", id="1")], id="id-alone-is-committed"),
    pytest.param(b"id: 1\nid: \x002\ndata: a\n\n", [message("a", id="1")], id="id-with-nul"),
    pytest.param(b"data: a\nid: 1\n", [], id="nothing-at-the-end-of-the-stream"),
    pytest.param(b"Data: a\n data: b\ndatas: c\n\n", [], id="names-are-exact"),
    pytest.param(b"data: \xff\xe6\x97\n\n", [message("��")], id="bad-utf-8-is-replaced"),
    pytest.param("data: 日🎉\r\n\r\n".encode(), [message("日🎉")], id="utf-8"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [message("a")], id="bom"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="only-one-bom"),
    pytest.param(b"\xef\xbbdata: a\n\ndata: b\n\n", [message("b")], id="two-thirds-of-a-bom"),
    pytest.param(b"\xef\xbb", [], id="nothing-but-two-thirds-of-a-bom"),
    pytest.param("data: a\u2028b\u0085c\n\n".encode(), [message("a\u2028b\u0085c")], id="u2028"),
]


@pytest.mark.parametrize(("data", "frames"), STREAMS)
def test_frames_are_the_same_at_every_cut(data: bytes, frames: list[SSEFrame]) -> None:
    assert decode([data]).frames == frames
    assert decode(bytewise(data)).frames == frames
    for cut in range(len(data) + 1):
        assert decode([data[:cut], data[cut:]]).frames == frames


PARTS = [b"data", b"event", b"id", b"retry", b"error", b"x", b":", b": ", b"7", b"\0", b"\xef"]
ENDS = [b"\r", b"\n", b"\r\n", b"\n\n", b"\xbb\xbf", "€".encode()]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS + ENDS), max_size=40), st.lists(st.integers(1, 12)))
def test_any_cut_leaves_the_same_behind(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    assert decode([*pieces, data[at:]]) == decode([data])


@pytest.mark.parametrize(
    ("value", "retry"),
    [("10", 10), ("007", 7), ("", None), ("-1", None), ("1.5", None), ("1e3", None), ("٣", None)],
)
def test_retry_counts_only_when_all_digits(value: str, retry: int | None) -> None:
    assert decode([f"retry: {value}\ndata: a\n\n".encode()]).retry == retry


def test_a_retry_of_ten_thousand_digits_is_ignored() -> None:
    assert decode([b"retry: " + b"9" * 10_000 + b"\n\n"]).retry is None


def test_comments_make_no_frame_and_are_counted() -> None:
    outcome = decode([b"id: 1\n\n: OPENROUTER PROCESSING\n\n:\n\ndata: a\n:x\n\n"])
    assert outcome.frames == [message("a", id="1")]
    assert outcome.comments == 3


def test_a_field_named_error_is_ignored_by_the_rules() -> None:
    assert decode([b'data: a\n\nerror: {"code":500}\n\n']).frames == [message("a")]


ONE, TWO = '{"a": 1}', '{"b": "x"}'

LENIENT = {
    "whole data at the end of the stream": (f"data: {ONE}", [message(ONE)]),
    "whole data and one line end": (f"data: {ONE}\n", [message(ONE)]),
    "the end mark without its empty line": ("data: [DONE]", [message("[DONE]")]),
    "unfinished data is stray": ('data: {"a', [message('{"a', event=STRAY)]),
    "a field name that broke off is nothing": (f"data: {ONE}\n\nda", [message(ONE)]),
    "events with one line end": (
        f"data: {ONE}\ndata: {TWO}\ndata: [DONE]\n",
        [message(ONE), message(TWO), message("[DONE]")],
    ),
    "events with one line end and types": (
        f"event: x\ndata: {ONE}\nevent: y\ndata: {TWO}\n\n",
        [message(ONE, event="x"), message(TWO, event="y")],
    ),
    "data on several lines is one event": ('data: {"a":\ndata: 1}\n\n', [message('{"a":\n1}')]),
    "numbers on several lines are one event": ("data: 1\ndata: 2\n\n", [message("1\n2")]),
    "bare JSON": (f"{ONE}\n\n", [message(ONE, event=STRAY)]),
    "the words of a proxy": ("no upstream", [message("no upstream", event=STRAY)]),
    "a field that nobody knows": ("foo: bar\n\n", [message("foo: bar", event=STRAY)]),
    "a name with a capital": (f"Data: {ONE}\n\n", [message(ONE)]),
    "an indented name": (f"  data: {ONE}\n\n", [message(ONE)]),
    "a field named error": ('error: {"code":500}\n\n', [message('{"code":500}', event="error")]),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "frames"), LENIENT.values(), ids=LENIENT)
def test_what_breaks_the_rules_is_read_at_every_cut(sent: str, frames: list[SSEFrame]) -> None:
    data = sent.encode()
    for cut in range(len(data) + 1):
        for pieces in ([data[:cut], data[cut:]], bytewise(data)):
            decoder = SSEDecoder(lenient=True)
            found = [frame for piece in pieces for frame in decoder.feed(piece)]
            assert found + decoder.feed_eof() == frames


def test_once_an_empty_line_was_missing_whole_data_is_out_at_once() -> None:
    decoder = SSEDecoder(lenient=True)
    assert decoder.feed(f"data: {ONE}\n".encode()) == []
    assert decoder.feed(f"data: {TWO}\n".encode()) == [message(ONE), message(TWO)]
    assert decoder.feed(f"data: {ONE}\n".encode()) == [message(ONE)]


@requires_shared
@pytest.mark.parametrize("case", [c for c in sse_cases() if "{" not in str(c.expected)], ids=str)
def test_a_lenient_decoder_differs_in_stray_lines_and_at_the_end_only(case: SSECase) -> None:
    decoder = SSEDecoder(lenient=True)
    frames = [frame for chunk in case.chunks for frame in decoder.feed(chunk)]
    kept = [frame for frame in frames if frame.event not in {STRAY, "error"}]
    if "prefix" not in case.name:  # of names in other letters, which it reads as the field
        assert [(it.event, it.data) for it in kept] == [
            (it["event"], it["data"]) for it in case.expected
        ]


def test_an_event_of_many_lines_is_bounded() -> None:
    decoder = SSEDecoder(limit=100)
    with pytest.raises(LineTooLong, match="event of more than 100 bytes"):
        [decoder.feed(b"data: 0123456789\n") for _ in range(20)]


def test_an_event_of_empty_lines_is_bounded_too() -> None:
    decoder = SSEDecoder(limit=100)
    with pytest.raises(LineTooLong):
        [decoder.feed(b"data:\n") for _ in range(1000)]


def test_the_bound_is_for_one_event_and_not_for_the_stream() -> None:
    decoder = SSEDecoder(limit=20)
    assert sum(len(decoder.feed(b"data: 0123456789\n\n")) for _ in range(100)) == 100


def test_a_data_line_of_512_kib_is_one_event() -> None:
    text = "é" * (256 * 1024)
    data = f"data: {text}\n\n".encode()
    pieces = [data[at : at + 4095] for at in range(0, len(data), 4095)]
    assert decode(pieces).frames == [message(text)]


def test_frames_before_an_event_past_the_limit_are_not_lost() -> None:
    decoder = SSEDecoder(limit=20)
    frames = decoder.feed(b"data: a\n\n" + b"data: 123456789\n" * 3)
    assert [frame.data for frame in frames] == ["a"]
    with pytest.raises(LineTooLong):
        decoder.feed(b"data: late\n\n")
    with pytest.raises(LineTooLong):
        decoder.feed_eof()
