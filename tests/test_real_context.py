"""Claimed: a small window of a real llama.cpp is known before it overflows, exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.chat.fullness import WAYS
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.client import Client
from chatstream.engine.services import awaited
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Endpoint
from chatstream.providers.llamacpp import LlamaCpp
from chatstream.store.place import runs_folder
from chatstream.store.reading import events_at, find, journals, read
from chatstream.transport import Transport
from tests.support.chats import Typed
from tests.support.client import run_here
from tests.support.real.servers import llama_server
from tests.support.unavailable import require

pytestmark = pytest.mark.real

WINDOW = 512


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with require(llama_server("tiny", "--parallel", "1", "--ctx-size", str(WINDOW))) as server:
        yield server.url


def answers(url: str, *questions: str, **options: Any) -> list[list[ev.Event]]:
    """The events of each answer in one conversation."""
    asked: dict[str, Any] = {"provider": "llamacpp", "base_url": url, "model": "tiny", "retries": 0}
    with Client(**asked, **options) as client:
        conversation = client.conversation()
        return [list(conversation.stream(question)) for question in questions]


def request(text: str) -> ChatRequest:
    return ChatRequest(model="tiny", messages=(Message("user", text),))


def test_it_tells_its_window_and_counts_the_tokens_of_a_prompt(llama: str) -> None:
    provider = LlamaCpp(Endpoint("llamacpp", f"{llama}/v1"), Transport())
    try:
        assert awaited(provider.window(request(""), CancelToken())) == WINDOW
        one, two = (awaited(provider.count(request("word " * n), CancelToken())) for n in (10, 110))
    finally:
        provider.close()
    assert one is not None
    assert two is not None
    assert one > 10
    assert two - one >= 100


def test_overflow_is_reported_before_sending_and_trim_shows_what_was_left_out(llama: str) -> None:
    flags = ["-p", "llamacpp", "--base-url", llama, "--max-tokens", "8", "--retries", "0"]
    question = "word " * 30
    assert run_here(["ask", *flags, question]).status == 0
    for _ in range(40):
        done = run_here(["ask", "-c", "--max-tokens", "8", "--retries", "0", question])
        if done.status:
            break
    assert done.status == 3
    assert f"does not fit the model's context window of {WINDOW} tokens" in done.stderr
    assert "nothing was sent" in done.stderr
    trimmed = run_here(["ask", "-c", "--trim", "--max-tokens", "8", "--retries", "0", question])
    assert trimmed.status == 0, trimmed.stderr
    assert "of the conversation are left out" in trimmed.stderr
    events = list(events_at(journals(runs_folder())[0]))
    [context] = [it for it in events if isinstance(it, ev.Context)]
    assert context.window == WINDOW
    assert context.left_out >= 2
    assert f"the oldest {context.left_out} messages" in trimmed.stderr


def test_a_first_question_that_is_larger_than_the_window_is_counted_and_not_sent(
    llama: str,
) -> None:
    [events] = answers(llama, "word " * 1000)
    [opening, end] = events
    assert isinstance(opening, ev.Metadata)
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    counted = re.search(r"window of 512 tokens: it has ([0-9,]+); nothing was sent", end.message)
    assert counted is not None
    assert int(counted[1].replace(",", "")) > 1000  # each word is a token at least


def test_what_fits_leaves_room_for_its_answer_and_a_cached_prompt_is_no_cut(llama: str) -> None:
    room = 40
    turns = answers(llama, *["word " * 5] * 12, max_tokens=room)
    whole = [it for it in turns if isinstance(it[-1], ev.Done)]
    assert 3 <= len(whole) < len(turns)
    for events in whole:
        usage = next(it for it in events if isinstance(it, ev.Usage))
        assert usage.input_tokens is not None
        assert usage.input_tokens + room <= WINDOW
        assert not any(isinstance(it, ev.Warn) for it in events)
    assert (usage.cached_tokens or 0) > 50
    refused = turns[len(whole)][-1]
    assert isinstance(refused, ev.Error)
    assert refused.code == "context_length"


def test_a_chat_refuses_what_does_not_fit_and_asks_it_after_trim(
    llama: str, capfd: pytest.CaptureFixture[str]
) -> None:
    question = "word " * 30
    flags = {"provider": "llamacpp", "base_url": llama, "model": "tiny", "retries": 0}
    session = Session({**flags, "max_tokens": 8})
    typed = Typed(*[question] * 4, "/trim", lambda its: its.draft, "/context")
    assert chat(session, typed) == 0
    assert typed.drafts[5] == question
    shown = capfd.readouterr().err
    assert f"does not fit the model's context window of {WINDOW} tokens" in shown
    assert WAYS in shown
    assert "of the conversation are left out" in shown
    assert "were left out of the last question" in shown
    assert read(find(runs_folder(), str(session.head))).left_out > 0
