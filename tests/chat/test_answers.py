"""Claimed: an answer names the commands of a chat, and is parted from what comes after it."""

from __future__ import annotations

import pytest

from chatstream.cancel import CancelToken
from chatstream.chat.answers import in_our_words, part
from chatstream.chat.fullness import WAYS
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled, ContextLength, HungUp, Terminated
from chatstream.events import Content, Context, Error, Event
from chatstream.flow import Arrival


def told(event: Event, reason: Cancelled | None = None, *, follows: bool = False) -> list[Event]:
    token = CancelToken()
    if reason is not None:
        token.cancel(reason)
    arrivals = iter([Arrival([Content("text"), event])])
    (arrival,) = in_our_words(token, Settings, "/continue", follows, arrivals)
    assert arrival.events.pop(0) == Content("text")
    return arrival.events


def error(code: str = "truncated", hint: str | None = None) -> Error:
    return Error(code, "m", recoverable=True, partial=True, hint=hint, resume="chatstream resume 1")


@pytest.mark.parametrize(
    ("reason", "resume"),
    [
        (None, "/continue"),
        (Cancelled("stopped"), "/continue"),
        (Terminated("terminated"), "chatstream resume 1"),
        (HungUp("closed"), "chatstream resume 1"),
    ],
)
def test_what_continues_an_answer_is_a_command_of_the_chat_while_there_is_one(
    reason: Cancelled | None, resume: str
) -> None:
    (event,) = told(error(), reason)
    assert isinstance(event, Error)
    assert event.resume == resume


def test_hints_name_what_can_be_done_in_a_chat() -> None:
    (full,) = told(error("context_length", ContextLength.hint), follows=True)
    (dear,) = told(error("max_cost", "raise the limit with --max-cost"))
    (other,) = told(error(hint="wait"))
    hints = [it.hint for it in (full, dear, other) if isinstance(it, Error)]
    assert hints == [WAYS, "raise the limit with /set max_cost USD", "wait"]


def test_only_what_was_left_out_is_told_of_a_window() -> None:
    assert told(Context(window=10, used=9)) == []
    left_out = Context(window=10, used=9, left_out=2)
    assert told(left_out) == [left_out]


@pytest.mark.parametrize(
    ("text", "settings", "end"),
    [
        ("text", Settings(), "\n"),
        ("text\n", Settings(), ""),
        ("", Settings(), ""),
        ("text", Settings(accessible=True), ""),
        ("text", Settings(render=True), ""),
    ],
)
def test_in_a_pipe_an_answer_has_a_line_end(
    text: str, settings: Settings, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    part(text, settings)
    assert capfd.readouterr().out == end
