"""The oracle can fail: each lie is found, each honest answer passes."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream import events as ev
from tests.fuzz import oracle
from tests.fuzz.places import Kind, Piece
from tests.fuzz.reader import Found
from tests.support.client import Answer


def done(reason: ev.FinishReason = "stop", **more: Any) -> ev.Done:
    return ev.Done(finish_reason=reason, stats=ev.Stats(duration=0.0, chunks=0), attempts=1, **more)


def answer(
    text: str = "",
    reasoning: str = "",
    *calls: str,
    end: ev.Terminal | None = None,
    warned: tuple[tuple[str, str], ...] = (),
) -> Answer:
    warnings: list[ev.Event] = [ev.Warn(code, message) for code, message in warned]
    made = [("id", "f", arguments) for arguments in calls]
    return Answer(warnings, text, reasoning, made, None, end or done())


def found(*pieces: tuple[Kind, str], **what: object) -> Found:
    whole = Found([Piece(kind, (text,)) for kind, text in pieces], ended=True)
    for name, value in what.items():
        setattr(whole, name, value)
    return whole


HELLO: tuple[tuple[Kind, str], ...] = (("text", "Hel"), ("text", "lo"))


def kinds(what: Found, got: Answer, usual: tuple[tuple[str, str], ...] = ()) -> list[str]:
    return [fault.split(":")[0] for fault in oracle.faults(what, got, usual)]


@pytest.mark.parametrize("text", ["Hel", "lo", "loHel", "He", ""])
def test_text_that_is_not_there_in_order_is_lost(text: str) -> None:
    assert kinds(found(*HELLO), answer(text)) == ["text lost"]


@pytest.mark.parametrize(
    "got", [answer("Hello"), answer("Hel lo!"), answer("", "Hello"), answer("Hel", "lo")]
)
def test_text_may_stand_in_the_reasoning_and_among_more(got: Answer) -> None:
    assert kinds(found(*HELLO), got) == []


def test_a_piece_is_not_found_twice_in_one_place() -> None:
    assert kinds(found(("text", "a"), ("text", "a")), answer("a")) == ["text lost"]


def test_a_warning_or_an_error_is_honest_and_a_usual_warning_says_nothing() -> None:
    warned = (("skipped", "x"),)
    failed = ev.Error("truncated", "x", recoverable=True, partial=False)
    assert kinds(found(*HELLO), answer("", warned=warned)) == []
    assert kinds(found(*HELLO), answer("", end=failed)) == []
    assert kinds(found(*HELLO), answer("", warned=warned), warned) == ["text lost"]
    assert kinds(found(*HELLO), answer("", warned=warned * 2), warned) == []


def test_a_warning_about_something_else_does_not_tell_of_lost_text() -> None:
    other = (("no_answer", "x"), ("finish_reason", "x"))
    assert kinds(found(*HELLO), answer("", warned=other)) == ["text lost"]
    assert kinds(found(*HELLO), answer("", warned=(*other, ("skipped", "x")))) == []


def test_an_internal_error_is_never_honest() -> None:
    failed = ev.Error("internal", "x", recoverable=False, partial=False)
    assert kinds(found(), answer("", end=failed)) == ["internal"]


def test_reasoning_in_either_wording_is_enough() -> None:
    both = Found([Piece("reasoning", ("hm", "so"))], ended=True)
    assert kinds(both, answer("", "so")) == []
    assert kinds(both, answer("", "s")) == ["reasoning lost"]


def test_tags_around_reasoning_and_the_space_beside_them_may_go() -> None:
    tagged = found(("text", "<think>\nhm"), ("text", "</think>\n\nHello"))
    assert kinds(tagged, answer("Hello", "hm")) == []
    assert kinds(tagged, answer("Hello", "h")) == ["text lost"]
    assert kinds(found(("text", "use <think> so")), answer("use")) == ["text lost"]


def test_halves_of_characters_do_not_count() -> None:
    assert kinds(found(("text", "a\ud83d"), ("text", "\ude00b")), answer("a\U0001f600b")) == []
    assert kinds(found(("text", "a\ud83d")), answer("a\ufffd")) == []


def test_arguments_stand_in_a_call_as_text_or_as_the_same_value() -> None:
    assert kinds(found(("arguments", '{"a": ')), answer("", "", '{"a": 1}')) == []
    assert kinds(found(("arguments", '{"a":1}')), answer("", "", '{"a": 1}')) == []
    assert kinds(found(("arguments", '{"a":1}')), answer("")) == ["arguments lost"]


def test_damage_a_failure_and_a_missing_end_have_to_be_told() -> None:
    assert kinds(found(damaged=["{"]), answer()) == ["damage not told"]
    assert kinds(found(failure="x"), answer()) == ["failure not told"]
    assert kinds(found(ended=False), answer()) == ["end not seen"]


@pytest.mark.parametrize(
    ("other", "changed"),
    [
        (answer("b"), "text"),
        (answer("a", "r"), "reasoning"),
        (answer("a", "", "{}"), "tool_calls"),
        (answer("a", warned=(("x", "y"),)), "warnings"),
        (answer("a", end=done("length")), "finish_reason"),
        (answer("a", end=done(raw_finish_reason="x")), "raw_finish_reason"),
        (answer("a", end=done(usage=ev.Counts(1))), "usage"),
        (answer("a", end=ev.Error("x", "y", recoverable=True, partial=False)), "end"),
    ],
)
def test_every_change_is_seen(other: Answer, changed: str) -> None:
    assert [c.split(":")[0] for c in oracle.changes(other, answer("a"), counts=True)] == [changed]
    assert not list(oracle.changes(answer("a"), answer("a"), counts=True))
