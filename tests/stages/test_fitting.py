"""Claimed: a whole answer that does not fit its schema fails at its end, after its text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.errors import ChatstreamError, ContentPolicy, InvalidAnswer, Truncated
from chatstream.events import Content, Event, FinishReason, Retry, ToolCall, ToolComplete, Warn
from chatstream.flow import Arrival, Finish, events_in
from chatstream.schemas import table
from chatstream.stages.fitting import fitting

SCHEMA = table({"age": {"type": "integer"}})
RESET = Retry(attempt=2, max=3, delay=0.0, cause="cut", action="reset")


def passed(
    *events: Event, reason: FinishReason = "stop", begun: str = ""
) -> tuple[list[Event], ChatstreamError | None]:
    """What passes, and how it fails; the end mark comes in one arrival with the last event."""

    def source() -> Iterator[Arrival]:
        for event in events[:-1]:
            yield Arrival([event])
        yield Arrival([*events[-1:], Finish(reason=reason)])

    out: list[Event] = []
    try:
        for event in events_in(fitting(SCHEMA, begun)(source())):
            out.append(event)  # noqa: PERF402 - what came before the failure counts
    except ChatstreamError as error:
        return out, error
    return out, None


def test_an_answer_that_fits_passes_with_its_end_mark() -> None:
    out, failure = passed(Content('{"age"'), Content(": 3}\n"))
    assert failure is None
    assert [type(it) for it in out] == [Content, Content, Finish]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"age": "3"}', 'the answer does not fit the schema: age: "3" is not of the type integer'),
        ("I am 3.", "the answer is not JSON, which the schema requires"),
        ('```json\n{"age": 3}\n```', "the answer is not JSON"),
        ('{"age": NaN}', "the answer is not JSON"),
        ("", "the answer is not JSON"),
        ("[" * 100_000, "the answer is not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_fails_after_its_text(text: str, words: str) -> None:
    out, failure = passed(Content(text))
    assert isinstance(failure, InvalidAnswer)
    assert words in failure.message
    assert out == [Content(text)]


def test_an_answer_cut_by_the_token_limit_is_truncated() -> None:
    assert isinstance(passed(Content('{"age": '), reason="length")[1], Truncated)


def test_a_refusal_is_told_with_the_models_words() -> None:
    refusal = Warn("refusal", "I would rather not.")
    _, failure = passed(refusal, reason="content_filter")
    assert isinstance(failure, ContentPolicy)
    assert failure.message == "the model refused to follow the schema: I would rather not."


def test_what_is_void_or_came_before_a_round_of_tools_does_not_count() -> None:
    answer = Content('{"age": 3}')
    assert passed(Content("Let"), RESET, answer)[1] is None
    ended = ToolComplete("a", "t", "ok", 0.0)
    assert passed(Content("I look."), ended, answer)[1] is None


def test_the_text_that_is_continued_counts() -> None:
    assert passed(Content(": 3}"), begun='{"age"')[1] is None


def test_calls_that_are_left_to_the_reader_are_no_answer_yet() -> None:
    assert passed(ToolCall("a", "t", "{}"), reason="tool_calls")[1] is None
