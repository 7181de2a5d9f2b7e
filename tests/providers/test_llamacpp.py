"""Claimed: llama.cpp keeps a stream; it is sent again where it broke off, and stopped by Ctrl+C."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.api import stream
from chatstream.cancel import CancelToken
from chatstream.flow import close
from chatstream.messages import ChatRequest, Message, ToolDefinition
from chatstream.providers import Endpoint
from chatstream.providers.llamacpp import LlamaCpp
from chatstream.transport import Transport
from tests.support.answers import TEXT, WORDS, ending, frames, whole
from tests.support.client import Answer, ask
from tests.support.loopback import SSE, Reply, Script

WHOLE = whole("openai")
CUT = len(b"".join(frames("openai", WORDS[:3])))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTREAM_RETRY_DELAY", "0.001")


def cut(body: list[bytes] | None = None) -> Reply:
    """An answer that breaks off after its third word."""
    body = body or [*frames("openai"), *ending("openai")]
    return Reply(body, headers=SSE, cut_after=CUT)


def kept(server: Script) -> str:
    """The name under which the first request asked to keep its stream."""
    return server.requests[0].headers["x-conversation-id"]


def retried(server: Script) -> Answer:
    return ask("llamacpp", server.url, retries=2)


def test_a_stream_is_asked_to_be_kept_and_a_whole_answer_is_not() -> None:
    with Script(WHOLE) as server:
        answer = ask("llamacpp", server.url)
        opening = answer.events[0]
        assert isinstance(opening, ev.Metadata)
        assert kept(server) == opening.run
        server.play(Reply.json({"choices": [{"message": {"content": "x"}}]}))
        ask("llamacpp", server.url, streaming=False)
        assert "x-conversation-id" not in server.requests[0].headers


def test_an_answer_that_broke_off_is_sent_again_and_only_what_is_new_is_shown() -> None:
    with Script(cut(), WHOLE) as server:
        answer = retried(server)
        again = server.requests[1]
        assert (again.method, again.path) == (
            "GET",
            f"/v1/stream?conv_id={kept(server)}&from=0",
        )
        assert again.headers["accept"] == "text/event-stream"
    assert answer.outcome == "complete"
    assert [event.delta for event in answer.events if isinstance(event, ev.Content)] == WORDS
    (retry,) = (event for event in answer.events if isinstance(event, ev.Retry))
    assert (retry.action, retry.emitted_chars) == ("continue", len("".join(WORDS[:3])))


def test_thinking_that_is_sent_again_is_not_shown_again() -> None:
    thought = b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n'
    body = [thought, *frames("openai"), *ending("openai")]
    broken = Reply(body, headers=SSE, cut_after=CUT + len(thought))
    with Script(broken, Reply(body, headers=SSE)) as server:
        answer = retried(server)
    assert (answer.reasoning, answer.text, answer.outcome) == ("hm", TEXT, "complete")


def test_a_server_that_has_not_kept_it_goes_on_from_the_text() -> None:
    unknown = Reply.json({"error": {"message": "File Not Found", "code": 404}}, 404)
    rest = Reply([*frames("openai", WORDS[3:]), *ending("openai")], headers=SSE)
    with Script(cut(), unknown, rest) as server:
        answer = retried(server)
        last = server.requests[2]
        assert last.json["messages"][-1] == {"role": "assistant", "content": "".join(WORDS[:3])}
    assert (answer.text, answer.outcome) == (TEXT, "complete")
    assert not [event for event in answer.events if isinstance(event, ev.Warn)]


def test_another_answer_under_the_same_name_is_not_joined() -> None:
    other = Reply([*frames("openai", ["Something", " else"]), *ending("openai")], headers=SSE)
    rest = Reply([*frames("openai", WORDS[3:]), *ending("openai")], headers=SSE)
    with Script(cut(), other, rest) as server:
        answer = retried(server)
    assert (answer.text, answer.outcome) == (TEXT, "complete")


def test_a_cancelled_answer_is_deleted() -> None:
    token = CancelToken()
    held = Reply([*frames("openai")], headers=SSE, hold={3: threading.Event()})
    with Script(held, Reply(status=204, framing="length")) as server:
        for event in stream("hi", token=token, provider="llamacpp", base_url=server.url, model="m"):
            if isinstance(event, ev.Content):
                token.cancel()
        assert server.wait_requests(2)
        deleted = server.requests[1]
        assert (deleted.method, deleted.path) == ("DELETE", f"/v1/stream?conv_id={kept(server)}")


def test_an_answer_that_broke_off_is_kept_for_a_resume() -> None:
    with Script(cut(), WHOLE) as server:
        answer = ask("llamacpp", server.url, on_drop="stop")
        assert answer.outcome == "truncated"
        assert [request.method for request in server.requests] == ["POST"]


def test_the_answer_of_a_closed_iterator_is_deleted() -> None:
    held = Reply([*frames("openai")], headers=SSE, hold={3: threading.Event()})
    with Script(held, Reply(status=204, framing="length")) as server:
        events = stream("hi", provider="llamacpp", base_url=server.url, model="m")
        next(event for event in events if isinstance(event, ev.Content))
        close(events)
        assert server.wait_requests(2)
        assert server.requests[1].method == "DELETE"


def test_calls_may_be_made_in_parallel_unless_the_server_or_the_user_refuses() -> None:
    place = LlamaCpp(Endpoint("llamacpp", "http://127.0.0.1:9/v1"), Transport())
    tools = (ToolDefinition("weather", "w", {"type": "object"}),)
    given: dict[str, Any]
    for given, sent in (
        ({}, None),
        ({"tools": tools}, True),
        ({"tools": tools, "options": {"parallel_tool_calls": False}}, False),
        ({"tools": tools, "without": frozenset({"parallel_tool_calls"})}, None),
        ({"tools": tools, "may_call": False, "without": frozenset({"tool_choice"})}, None),
    ):
        body = place.body(ChatRequest("m", (Message("user", "hi"),), **given))
        assert body.get("parallel_tool_calls") is sent
