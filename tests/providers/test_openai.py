"""OpenAI and its relatives: what is asked, and the chunks that differ between servers."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from chatstream import events as ev
from chatstream.messages import ChatRequest, Message, ToolCall
from chatstream.providers import Endpoint
from chatstream.providers.openai import OpenAI, OpenAIReply
from chatstream.transport import Transport
from tests.support.answers import TEXT, whole
from tests.support.client import ask
from tests.support.loopback import Reply, Script


def chunk(**delta: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta}]})


def events(*data: str) -> tuple[list[ev.Event], OpenAIReply]:
    reply = OpenAIReply()
    found = reply.feed("".join(f"data: {one}\n\n" for one in data).encode(), 1.0)
    return [*found, *reply.totals()], reply


@pytest.mark.parametrize(
    ("name", "address"),
    [("mistral", "http://127.0.0.1:9/v1"), ("openai", "https://api.mistral.ai/v1")],
)
def test_a_service_is_known_by_its_name_and_by_its_address(name: str, address: str) -> None:
    calls = Message("assistant", [ToolCall("call_1", "f", "{}")])
    body = OpenAI(Endpoint(name, address), Transport()).body(ChatRequest("m", (calls,)))
    [turn, _] = msgspec.convert(body["messages"], list[dict[str, Any]])
    assert re.fullmatch("[a-zA-Z0-9]{9}", turn["tool_calls"][0]["id"])


def test_the_request_is_openais() -> None:
    with Script(whole("openai")) as server:
        ask("openai", server.url, temperature=0.5, max_tokens=9, options={"seed": 7})
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == "Bearer test-key"
    assert request.json == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("message", "refused", "sent"),
    [
        ("Unknown field: stream_options", "stream_options", None),
        (
            "Use 'max_completion_tokens' instead of 'max_tokens'",
            "max_tokens",
            "max_completion_tokens",
        ),
    ],
)
def test_a_refused_parameter_is_left_out_once(message: str, refused: str, sent: str | None) -> None:
    error = Reply.json({"error": {"message": message}}, 400)
    with Script(error, whole("openai")) as server:
        answer = ask("openai", server.url, max_tokens=9)
    assert answer.text == TEXT
    assert refused not in server.requests[1].json
    assert sent is None or server.requests[1].json[sent] == 9
    with Script(error) as server:
        assert ask("openai", server.url, max_tokens=9).outcome == "error"
        assert len(server.requests) == 2


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_has_two_names(field: str) -> None:
    assert events(chunk(**{field: "hm"}))[0] == [ev.Reasoning("hm", t=1.0)]


def test_reasoning_that_two_fields_repeat_is_told_once() -> None:
    details = [{"type": "reasoning.text", "text": "hm"}]
    found, _ = events(chunk(reasoning="hm", reasoning_content="hm", reasoning_details=details))
    assert found == [ev.Reasoning("hm", t=1.0)]


def test_content_as_a_list_of_parts_is_text_and_thinking() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
        {"type": "reference", "reference_ids": [1]},
    ]
    found, _ = events(chunk(content=parts))
    assert found == [ev.Reasoning("hm", t=1.0), ev.Content("yes", t=1.0)]


@pytest.mark.parametrize(
    "data",
    ["", '""', ": keepalive", '{"type":"ping"}', '{"choices":[]}', '{"choices":null}', "{}"],
)
def test_what_says_nothing_is_skipped(data: str) -> None:
    found, reply = events(data)
    assert found == []
    assert reply.failure is None


def test_only_the_first_of_several_answers_is_shown() -> None:
    both = {"choices": [{"index": 1, "delta": {"content": "b"}}, {"delta": {"content": "a"}}]}
    assert events(json.dumps(both))[0] == [ev.Content("a", t=1.0)]


def test_the_last_usage_holds_and_nothing_is_added_up() -> None:
    counts = [{"prompt_tokens": 3, "completion_tokens": n} for n in (1, 2, 5)]
    found, _ = events(*(json.dumps({"choices": [], "usage": usage}) for usage in counts))
    assert found == [ev.Usage(input_tokens=3, output_tokens=5)]


def test_details_of_usage_are_told() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
        "cost": 0.25,
    }
    found, _ = events(json.dumps({"choices": [], "usage": usage}))
    assert found == [
        ev.Usage(input_tokens=9, output_tokens=8, reasoning_tokens=6, cached_tokens=4, cost=0.25)
    ]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
    ],
)
def test_finish_reasons_are_told_in_our_words_and_theirs(raw: str, reason: str) -> None:
    _, reply = events(json.dumps({"choices": [{"finish_reason": raw}]}))
    assert reply.complete
    assert (reply.finish().reason, reply.finish().raw) == (reason, raw)


@pytest.mark.parametrize("raw", ["error", "insufficient_system_resource"])
def test_a_server_that_gave_up_is_a_failure(raw: str) -> None:
    _, reply = events(json.dumps({"choices": [{"finish_reason": raw}]}))
    assert reply.failure is not None
    assert reply.failure.code == "server_error"


@pytest.mark.parametrize("done", ["data: [DONE]\n\n", "data:[DONE]\n\n", "data: [DONE]  \n\n"])
def test_the_end_mark_alone_makes_an_answer_whole(done: str) -> None:
    reply = OpenAIReply()
    reply.feed(done.encode(), 1.0)
    assert (reply.complete, reply.ended) == (True, True)


def test_an_end_mark_without_its_blank_line_counts_at_the_end() -> None:
    reply = OpenAIReply()
    reply.feed(b"data: [DONE]", 1.0)
    reply.feed_eof(1.0)
    assert reply.complete


def test_done_after_an_error_does_not_make_it_whole() -> None:
    _, reply = events('{"error":{"message":"broke","code":500}}', "[DONE]")
    assert reply.failure is not None
    assert not reply.complete


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"error":{"message":"it broke"}}\n\n',
        b'event: error\ndata: {"error":{"message":"it broke"}}\n\n',
        b'data: {"object":"error","message":"it broke","code":500}\n\n',
        b'data: {"error":"it broke"}\n\n',
        b'error: {"message":"it broke"}\n\n',
        b"data: error: it broke\n\n",
    ],
)
def test_every_shape_of_an_error_is_told(stream: bytes) -> None:
    reply = OpenAIReply()
    reply.feed(stream, 1.0)
    assert reply.failure is not None
    assert reply.failure.message == "it broke"


def test_a_refusal_is_a_warning_and_no_text() -> None:
    finish = json.dumps({"choices": [{"finish_reason": "stop"}]})
    found, reply = events(chunk(refusal="I "), chunk(refusal="cannot."), finish)
    assert found == [ev.Warn("refusal", "I cannot.")]
    assert reply.finish().reason == "content_filter"


def test_comments_count_as_signs_of_life() -> None:
    reply = OpenAIReply()
    reply.feed(b": OPENROUTER PROCESSING\n\n: ping\n\n", 1.0)
    assert reply.keep_alives == 2


def test_llamacpps_own_figures_are_seconds() -> None:
    timings = {"prompt_ms": 250.0, "predicted_ms": 1500.0}
    _, reply = events(json.dumps({"choices": [{"finish_reason": "stop"}], "timings": timings}))
    assert reply.finish().server == ev.ServerTimes(prompt=0.25, generation=1.5)
