"""Claimed: what is not JSON is odd, an error in it is heard, a late one is a warning."""

from __future__ import annotations

import pytest

from chatstream.events import Event, Warn
from chatstream.providers.openai import OpenAIReply
from chatstream.providers.reply import Reply
from chatstream.wire import SSEFrame


@pytest.fixture
def reply() -> Reply:
    return OpenAIReply()


@pytest.mark.parametrize(
    ("text", "values", "warning"),
    [
        ('{"a": 1}', [{"a": 1}], None),
        ('{"a": 1}{"b": 2}', [{"a": 1}, {"b": 2}], None),
        ('{"a": 1} and words', [{"a": 1}], "skipped: and words"),
        ("words", [], "skipped: words"),
    ],
)
def test_json_is_read_and_the_rest_is_odd(
    reply: Reply, text: str, values: list[object], warning: str | None
) -> None:
    assert reply.values(text) == values
    assert [it.message for it in reply.odd.take(1.0) if isinstance(it, Warn)] == (
        [warning] if warning else []
    )


def test_a_frame_that_broke_off_at_the_end_is_a_cut_and_nothing_odd(reply: Reply) -> None:
    assert reply.values('{"choices": [{"delta": {"content": "He', at_end=True) == []
    assert not reply.odd


def test_where_the_answer_was_whole_the_cut_piece_is_told(reply: Reply) -> None:
    reply.complete = True
    reply.values('{"choices": [{"delta": {"content": "He', at_end=True)
    assert len(reply.odd.take(1.0)) == 1


def test_data_under_another_name_is_data_and_an_unknown_field_is_passed_over(reply: Reply) -> None:
    assert reply.values('dat: {"a": 1}', stray=True) == [{"a": 1}]
    assert reply.values("x-meta: 5", stray=True) == []
    assert reply.odd.take(1.0) == []


def test_an_error_in_the_middle_of_a_broken_frame_is_the_failure(reply: Reply) -> None:
    reply.values('{"choi{"error": {"message": "it broke", "code": 502}}')
    assert reply.failure is not None
    assert (reply.failure.message, reply.failure.status) == ("it broke", 502)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (SSEFrame("error", '{"message": "too late"}'), "too late"),
        (SSEFrame("error", "too late"), "too late"),
        (SSEFrame("message", '{"error": {"message": "too late"}}'), "too late"),
        (SSEFrame("message", '{"choices": []}'), None),
    ],
)
def test_an_error_after_the_end_is_a_warning(
    reply: Reply, frame: SSEFrame, said: str | None
) -> None:
    events: list[Event] = []
    reply.after_the_end(frame, events, 1.0)
    assert reply.failure is None
    messages = [event.message for event in events if isinstance(event, Warn)]
    assert len(messages) == (said is not None)
    assert all(said in message for message in messages if said)
