"""Claimed: what a person should know of a run is said in few words, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream.sinks.words import ending, figures, note, one_line

RETRY = ev.Retry(attempt=2, max=3, delay=0.54, cause="busy", action="reset")

NOTES: list[Any] = [
    (RETRY, "retrying in 0.5 s, attempt 2 of 3: busy"),
    (
        ev.Retry(attempt=2, max=3, delay=1, cause="cut", action="continue", emitted_chars=9),
        "continuing in 1.0 s, attempt 2 of 3: cut",
    ),
    (ev.Fallback("a", "b", "busy"), "a failed (busy); asking b"),
    (ev.Warn("c", "a frame was skipped"), "warning: a frame was skipped"),
    (ev.ToolCall("i", "f", '{"x":1}'), 'tool call: f({"x":1})'),
    (ev.Metadata(restart=True), None),  # a warning comes with it
    (ev.Metadata(provider="p"), None),
    (ev.Content("a"), None),
    (ev.Reasoning("a"), None),
    (ev.ToolCallDelta("i", "f", "{"), None),
    (ev.Citation("https://a.example/"), None),  # they are listed at the end
    (ev.Image(data="AAAA"), None),  # a warning comes at the end
    (ev.Usage(), None),
    (ev.Waiting("connect", 1.0), None),
]


@pytest.mark.parametrize(("event", "said"), NOTES)
def test_a_note_says_what_happened_or_nothing(event: ev.Event, said: str | None) -> None:
    assert note(event) == said


def done(reason: ev.FinishReason = "stop", usage: ev.Counts | None = None, **stats: Any) -> ev.Done:
    figures = ev.Stats(**{"duration": 2.0, "chunks": 3, **stats})
    return ev.Done(finish_reason=reason, stats=figures, usage=usage, attempts=1)


def error(code: str = "auth", **fields: Any) -> ev.Error:
    return ev.Error(code, "no key", recoverable=False, partial=False, **fields)


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (error(), ["error: no key"]),
        (error(status=401), ["error: no key (HTTP 401)"]),
        (error(status=401, hint="set one"), ["error: no key (HTTP 401)", "set one"]),
        (error("cancelled", hint="h"), ["stopped", "h"]),
        (error("cancelled", resume="cs resume 1"), ["stopped", "continue it with: cs resume 1"]),
        (
            error("truncated", hint="h", resume="cs resume 1"),
            ["error: no key", "h", "continue it with: cs resume 1"],
        ),
        (done(), []),
        (done("tool_calls"), []),
        (done("length"), ["the answer stopped at the token limit"]),
        (done("content_filter"), ["the provider's content filter ended the answer"]),
        (done("paused"), ["the model paused its turn, so the answer is not finished"]),
    ],
)
def test_an_ending_says_only_what_is_unusual(event: ev.Terminal, lines: list[str]) -> None:
    assert ending(event, stats=False) == lines


def test_the_figures_come_last_where_they_are_asked_for() -> None:
    assert ending(done("length"), stats=True)[1:] == [figures(done())]
    assert ending(error(), stats=True) == ["error: no key"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (done(), "≈3 tokens · 2.0 s"),
        (done(chunks=1), "≈1 token · 2.0 s"),
        (done(ttft=0.0), "first token 0.00 s · ≈3 tokens · 2.0 s"),
        (
            done(usage=ev.Counts(output_tokens=11), ttft=0.256, tokens_per_second=5.04),
            "first token 0.26 s · 11 tokens · 5.0 tokens/s · 2.0 s",
        ),
        (done(usage=ev.Counts(input_tokens=1)), "≈3 tokens · 2.0 s"),
        (done(usage=ev.Counts(output_tokens=0)), "0 tokens · 2.0 s"),
    ],
)
def test_only_figures_that_are_known_are_given(event: ev.Done, line: str) -> None:
    assert figures(event) == line


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (0.0123, "$0.0123"),
        (0.0123456, "$0.01235"),
        (1.5, "$1.5"),
        (12.0, "$12"),
        (123.456, "$123.5"),
        (0.00001234, "$0.00001234"),
        (0.0, "$0"),
        (100000.0, "$100000"),
    ],
)
def test_a_known_cost_comes_last_without_an_exponent(cost: float, told: str) -> None:
    assert figures(done(usage=ev.Counts(cost=cost))) == f"≈3 tokens · 2.0 s · {told}"


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_no_cost_has_an_exponent_or_more_digits_than_four(cost: float) -> None:
    told = figures(done(usage=ev.Counts(cost=cost))).rpartition("$")[2]
    assert set(told) <= set("0123456789.")
    assert len(told.replace(".", "").strip("0")) <= 4
    assert float(told) == pytest.approx(cost, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain words", "plain words"),
        ("two\r\nlines\rand\tmore\n", "two lines and more"),
        ("a\u2028b\u00a0 c", "a b c"),
        ("\x1b[2J\x9b\u202e", "␛[2J\ufffd\ufffd"),
        ("\x1c\x1f", "␜␟"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        ("", ""),
    ],
)
def test_remote_text_becomes_one_clean_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text(), st.integers(1, 50))
def test_one_line_is_bounded_and_has_no_control_characters(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit + 1
    assert all(character >= " " and not "\x7f" <= character <= "\x9f" for character in line)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (ev.Context(window=1000, used=799), None),
        (ev.Context(window=1000, used=800), "context: 80 % of the model's window is used"),
        (ev.Context(window=1000, used=300, left_out=1), "context: the oldest 1 message"),
    ],
)
def test_a_long_conversation_is_noted_from_a_share_on(event: ev.Context, says: str | None) -> None:
    said = note(event)
    assert (said or "").startswith(says) if says else said is None
