"""Claimed: a small window of a real llama.cpp is known before it overflows, exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    with Client(provider="llamacpp", base_url=llama, model="tiny", retries=0) as client:
        opening, end = client.stream("word " * 1000)
    assert isinstance(opening, ev.Metadata)
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    counted = re.search(r"window of 512 tokens: it has ([0-9,]+); nothing was sent", end.message)
    assert counted is not None
    assert int(counted[1].replace(",", "")) > 1000  # each word is a token at least


def test_room_is_left_for_the_answer_and_a_cached_prompt_is_no_cut(llama: str) -> None:
    few, many = (
        2,
        200,
    )  # what this model writes has more tokens when it is read: so it writes little
    with Client(provider="llamacpp", base_url=llama, model="tiny", retries=0) as client:
        conversation = client.conversation()
        usage = ev.Usage(input_tokens=0)
        while (usage.input_tokens or 0) < WINDOW - many:
            events = list(conversation.stream("word " * 5, max_tokens=few))
            assert isinstance(events[-1], ev.Done)
            assert not any(isinstance(it, ev.Warn) for it in events)
            usage = next(it for it in events if isinstance(it, ev.Usage))
        assert (usage.cached_tokens or 0) > WINDOW - many - 100
        refused = [*conversation.stream("and?", max_tokens=many)][-1]
        assert isinstance(refused, ev.Error)
        assert f"and the answer needs {many}" in refused.message
        assert isinstance([*conversation.stream("and?", max_tokens=few)][-1], ev.Done)


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
