"""The lenient reader finds what is there, and only what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fuzz.reader import read
from tests.support.recordings import Recording, recordings, requires_shared


def chunk(content: object = "Hi", **choice: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": content}, **choice}]})


def block(**delta: object) -> str:
    return json.dumps({"type": "content_block_delta", "index": 0, "delta": delta})


def whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@requires_shared
@pytest.mark.parametrize("case", list(recordings("recorded", "constructed", "nonstream")), ids=str)
def test_a_recording_holds_what_its_description_says(case: Recording) -> None:
    found = read(case.provider, case.body)
    assert whole(found.text()) == case.expected["text"]
    assert whole(found.text("reasoning")) == case.expected["reasoning"]
    assert bool(found.failure) == (case.expected.get("outcome") == "error")
    assert found.ended or case.expected.get("outcome") != "complete"
    assert not found.damaged
    assert not found.late


@pytest.mark.parametrize(
    "body",
    [
        f"data: {chunk()}\n\n",
        f"data:{chunk()}\r\n\r\n",
        f"data: {chunk()}",
        f"{chunk()}\n",
        f"dat: {chunk()}\n\n",
        f"event: x\n {chunk()}\n\n",
        "data: " + json.dumps(json.loads(chunk()), indent=1).replace("\n", "\ndata: ") + "\n\n",
        json.dumps(json.loads(chunk()), indent=1),
        f"data: {chunk([{'type': 'text', 'text': 'Hi'}])}\n\n",
        f"data: {chunk({'text': 'Hi'})}\n\n",
        f"data: {chunk(['Hi'])}\n\n",
        f"data: {chunk(index='x')}\n\n",
        f"data: {chunk(None, delta='Hi')}\n\n",
        f"data: {chunk(None, delta=None, message={'content': 'Hi'})}\n\n",
        f"data: {chunk(None, delta=None, text='Hi')}\n\n",
        f'data: {{"data": {chunk()}}}\n\n',
        f'data: {{"n": {"9" * 5000}, {chunk()[1:]}\n\n',
    ],
)
def test_text_is_found_in_any_dress(body: str) -> None:
    assert read("openai", body.encode()).text() == "Hi"


def test_events_on_one_line_or_without_a_blank_line_are_all_read() -> None:
    for between in ("", " ", "data: ", "\ndata: ", "\n"):
        body = f"data: {chunk('a')}{between}{chunk('b')}\n\n"
        assert read("openai", body.encode()).text() == "ab"


def test_a_number_of_thousands_of_digits_hides_nothing_beside_it() -> None:
    frame = f'{{"n": {"9" * 5000}, {chunk()[1:]}'
    for body in (frame, f"data: {frame}{frame}\n\n"):
        assert read("openai", body.encode()).text() in ("Hi", "HiHi")


def test_a_comment_and_a_renamed_field_are_no_text() -> None:
    assert not read("openai", f": {chunk()}\n\n".encode()).pieces
    assert not read("openai", f"data: : alive {chunk()}\n\n".encode()).pieces
    assert not read("openai", f"data: {chunk()}\n\n".replace("content", "contentX").encode()).pieces


def test_text_in_broken_json_is_damage_and_not_a_piece() -> None:
    found = read("openai", f"data: {chunk('a')}\n\ndata: {chunk('b')[:-2]}\n\n".encode())
    assert found.text() == "a"
    assert ['"b"' in stretch for stretch in found.damaged] == [True]
    assert not read("openai", b'data: {"choices": [\n\n').damaged


@pytest.mark.parametrize(
    ("indexes", "text"),
    [
        ([0, 0, 1, 1, 0], "abe"),
        ([1, 1, 0, 0, 1], "abe"),
        ([0, 0, 7, 0, 0], "abcde"),
        ([3, 0, 0, 0, 0], "abcde"),
        ([0, 1, 2, 3, 4], "abcde"),
        ([0, "0", 0.0, -1, 1e300], "abcde"),
        ([None, None, None, {}, True], "abcde"),
        ([None, 1, 1, 0, 0], "ade"),
    ],
)
def test_the_first_answer_of_several_is_read_and_a_slip_belongs_to_it(
    indexes: list[object], text: str
) -> None:
    frames = [chunk(c, index=index) for c, index in zip("abcde", indexes, strict=True)]
    assert read("openai", "".join(f"data: {f}\n\n" for f in frames).encode()).text() == text


def test_of_choices_in_one_frame_the_first_is_read() -> None:
    choices = [{"index": n, "message": {"content": c}} for n, c in enumerate("ab")]
    assert read("openai", json.dumps({"choices": choices}).encode()).text() == "a"


def test_a_message_beside_the_delta_repeats_it() -> None:
    both = chunk("a", message={"content": "a"})
    alone = chunk(None, delta=None, message={"content": "ab"})
    assert read("openai", f"data: {both}\n\ndata: {alone}\n\n".encode()).text() == "a"


def test_reasoning_said_twice_is_one_piece_with_two_wordings() -> None:
    details = [{"type": "reasoning.text", "text": "so"}]
    frame = chunk(None, delta={"reasoning": "hm", "reasoning_details": details})
    [piece] = read("openai", f"data: {frame}\n\n".encode()).pieces
    assert (piece.kind, piece.wordings) == ("reasoning", ("hm", "so"))


@pytest.mark.parametrize(
    "body",
    [
        'data: {"error": {"message": "x"}}\n\n',
        'data: {"error": "x"}\n\ndata: [DONE]\n\n',
        '{"error": {"message": "x"}}',
        "error: x\n\n",
        "data: error: x\n\n",
        'event: error\ndata: {"detail": "x"}\n\n',
        'data: {"object": "error", "message": "x"}\n\n',
        f"data: {chunk(finish_reason='ABORT')}\n\n",
    ],
)
def test_a_failure_is_heard(body: str) -> None:
    assert read("openai", body.encode()).failure


def test_the_reason_of_another_choice_is_no_failure() -> None:
    frames = [chunk(index=0), chunk(index=1), chunk(index=1, finish_reason="abort"), chunk(index=0)]
    assert not read("openai", "".join(f"data: {f}\n\n" for f in frames).encode()).failure


def test_a_failed_finish_reason_before_more_text_is_no_failure() -> None:
    body = f"data: {chunk(finish_reason='error')}\n\ndata: {chunk()}\n\n"
    assert not read("openai", body.encode()).failure


@pytest.mark.parametrize(
    ("dialect", "body", "ended"),
    [
        ("openai", f"data: {chunk()}\n\n", False),
        ("openai", f"data: {chunk(finish_reason='stop')}\n\n", True),
        ("openai", "data: [DONE]", True),
        ("anthropic", 'data: {"type": "message_delta", "delta": {"stop_reason": "x"}}\n\n', False),
        ("anthropic", 'data: {"type": "message_stop"}\n\n', True),
        ("anthropic", "event: message_stop\ndata: {}\n\n", True),
        ("ollama", '{"response": "x"}\n', False),
        ("ollama", '{"response": "x", "done": true}\n', True),
    ],
)
def test_the_end_is_seen(dialect: str, body: str, ended: bool) -> None:
    assert read(dialect, body.encode()).ended == ended


def test_what_follows_the_true_end_is_late() -> None:
    for dialect, frames in {
        "openai": f"data: {chunk('a')}\n\ndata: [DONE]\n\ndata: {chunk('b')}\n\n",
        "anthropic": f"data: {block(text='a')}\n\n"
        f'data: {{"type": "message_stop"}}\n\ndata: {block(text="b")}\n\n',
        "ollama": '{"message": {"content": "a"}, "done": true}\n{"message": {"content": "b"}}\n',
    }.items():
        found = read(dialect, frames.encode())
        assert (found.text(), found.late) == ("a", "b")


def test_the_end_mark_may_stand_among_the_lines_of_an_event() -> None:
    body = f"data: {chunk('a')}\ndata: [DONE]\ndata: {chunk('b')}\n\n"
    found = read("openai", body.encode())
    assert (found.text(), found.late) == ("a", "b")


def test_blocks_of_anthropic_are_read_whatever_their_type_says() -> None:
    for kind in ("content_block_delta", "x", None):
        frame = {**json.loads(block(text="a")), "type": kind}
        assert read("anthropic", f"data: {json.dumps(frame)}\n\n".encode()).text() == "a"


def test_only_the_calls_of_a_clients_tool_count() -> None:
    for kind, pieces in (("tool_use", 1), ("server_tool_use", 0)):
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": kind}}
        body = f"data: {json.dumps(start)}\n\ndata: {block(partial_json='{1}')}\n\n"
        assert len(read("anthropic", body.encode()).pieces) == pieces


def test_a_second_message_start_voids_the_first() -> None:
    start = 'data: {"type": "message_start", "message": {"content": []}}\n\n'
    body = f"{start}data: {block(text='a')}\n\n{start}data: {block(text='b')}\n\n"
    assert read("anthropic", body.encode()).text() == "b"


def test_ollama_is_read_by_line_and_over_lines() -> None:
    line = {"message": {"content": "a", "thinking": "t"}, "done": False}
    for text in (json.dumps(line), json.dumps(line, indent=1), "data: " + json.dumps(line)):
        found = read("ollama", f"{text}\n".encode())
        assert (found.text(), found.text("reasoning")) == ("a", "t")
    two = json.dumps(line) * 2
    assert read("ollama", two.encode()).text() == "aa"


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
def test_nothing_makes_the_reader_raise(dialect: str) -> None:
    for body in (b"", b"\xff\xfe", b"{" * 5000, b"[" * 100_000, b'{"a":' * 50_000, b"null", b"7"):
        assert not read(dialect, body).pieces
