"""Anthropic: what is asked, and the frames of a message."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.engine.services import awaited
from chatstream.messages import ChatRequest, Image, Message, ToolCall, ToolResult
from chatstream.providers import Endpoint
from chatstream.providers.anthropic import Anthropic, AnthropicReply
from chatstream.providers.anthropic_body import DEFAULT_MAX_TOKENS
from chatstream.transport import Transport
from tests.support.answers import whole
from tests.support.client import ask
from tests.support.loopback import Reply, Script
from tests.support.memory import ask_in_memory

Frame = dict[str, object]


def delta(index: int, **fields: object) -> Frame:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def block(index: int, **fields: object) -> Frame:
    return {"type": "content_block_start", "index": index, "content_block": fields}


STOP: Frame = {"type": "message_stop"}


def sse(*frames: Frame) -> bytes:
    return "".join(f"data: {json.dumps(frame)}  \n\n" for frame in frames).encode()


def events(*frames: Frame) -> tuple[list[ev.Event], AnthropicReply]:
    reply = AnthropicReply()
    found = reply.feed(sse(*frames), 1.0)
    return [*found, *reply.totals()], reply


def test_the_request_is_anthropics() -> None:
    with Script(whole("anthropic")) as server:
        ask("anthropic", server.url, system="s", temperature=0.5)
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert request.headers["x-api-key"] == "test-key"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.json == {
        "model": "m",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "system": "s",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "temperature": 0.5,
    }


def test_frames_are_told_apart_without_event_lines() -> None:
    found, reply = events(delta(0, type="text_delta", text="a"), STOP)
    assert found == [ev.Content("a", t=1.0)]
    assert reply.complete


def test_blocks_that_overlap_go_by_their_index() -> None:
    found, _ = events(
        block(0, type="tool_use", id="t0", name="a", input={}),
        block(1, type="tool_use", id="t1", name="b", input={}),
        delta(1, type="input_json_delta", partial_json='{"y":'),
        delta(0, type="input_json_delta", partial_json='{"x":1}'),
        delta(1, type="input_json_delta", partial_json="2}"),
        STOP,
    )
    calls = [(e.id, e.name, e.arguments) for e in found if isinstance(e, ev.ToolCall)]
    assert calls == [("t0", "a", '{"x":1}'), ("t1", "b", '{"y":2}')]


def test_a_call_without_fragments_has_the_input_of_its_block() -> None:
    found, _ = events(block(0, type="tool_use", id="t", name="a", input={"k": 1}), STOP)
    assert [e.arguments for e in found if isinstance(e, ev.ToolCall)] == ['{"k":1}']


def test_calls_that_the_server_runs_are_not_ours_and_go_back() -> None:
    found, _ = events(
        block(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"q":'),
        delta(0, type="input_json_delta", partial_json="1}"),
        {"type": "content_block_stop", "index": 0},
        block(1, type="web_search_tool_result", content=[]),
        STOP,
    )
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}}
    result: Frame = {"type": "web_search_tool_result", "content": []}
    assert found == [
        ev.ReasoningData(provider_data=call, t=1.0),
        ev.ReasoningData(provider_data=result, t=1.0),
    ]


def test_what_stands_beside_a_call_goes_back_with_it() -> None:
    found, _ = events(
        block(0, type="tool_use", id="a", name="f", input={}, caller={"type": "direct"}), STOP
    )
    assert found == [ev.ToolCall("a", "f", "{}", {"caller": {"type": "direct"}})]


def test_usage_is_of_totals() -> None:
    usage = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4}
    start: Frame = {"type": "message_start", "message": {"content": [], "usage": usage}}
    end: Frame = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 20}}
    found, _ = events(start, end, STOP)
    assert found == [ev.Usage(input_tokens=9, output_tokens=20, cached_tokens=4)]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "paused"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons_are_told_in_our_words_and_theirs(raw: str, reason: str) -> None:
    _, reply = events({"type": "message_delta", "delta": {"stop_reason": raw}}, STOP)
    assert (reply.finish().reason, reply.finish().raw) == (reason, raw)


def test_a_stop_reason_alone_makes_nothing_whole() -> None:
    _, reply = events({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    assert not reply.complete


def test_a_second_message_start_begins_anew() -> None:
    start: Frame = {"type": "message_start", "message": {"content": [], "usage": {}}}
    found, _ = events(start, delta(0, type="text_delta", text="a"), start)
    assert [type(e) for e in found] == [ev.Content, ev.Metadata, ev.Warn]
    assert isinstance(found[1], ev.Metadata)
    assert found[1].restart


def test_an_overload_in_the_stream_may_be_tried_again() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    _, reply = events({"type": "error", "error": error})
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.retryable) == ("overloaded", True)


@pytest.mark.parametrize("data", ["[DONE]", "", ": ping", '{"type":"ping"}', '{"type":"new"}'])
def test_what_says_nothing_is_skipped(data: str) -> None:
    reply = AnthropicReply()
    assert reply.feed(f"data: {data}\n\n".encode(), 1.0) == []
    assert reply.failure is None


def stop(index: int) -> Frame:
    return {"type": "content_block_stop", "index": index}


def test_thinking_that_is_omitted_is_only_what_goes_back() -> None:
    frames = [
        block(0, type="thinking", thinking="", signature="", new_field=1),
        delta(0, type="signature_delta", signature="abc"),
        stop(0),
        block(1, type="text", text=""),
        delta(1, type="text_delta", text="a"),
        STOP,
    ]
    given = {"type": "thinking", "signature": "abc", "new_field": 1}
    expected = [ev.ReasoningData(provider_data=given, t=1.0), ev.Content("a", t=1.0)]
    assert events(*frames)[0] == expected
    assert events(*(it for it in frames if it != stop(0)))[0] == expected  # some gateways
    *_, done = ask_in_memory("anthropic", [sse(*frames)]).events
    assert isinstance(done, ev.Done)
    assert done.stats.chunks == 1  # it is no token


def test_thinking_without_a_signature_cannot_go_back() -> None:
    found, _ = events(
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        stop(0),
        STOP,
    )
    assert found == [ev.Reasoning("hm", t=1.0)]


def test_only_half_of_a_character_in_what_goes_back_is_replaced() -> None:
    data = '{"type":"redacted_thinking","data":"\\ud83d"}'
    found = AnthropicReply().feed(
        f'data: {{"type":"content_block_start","content_block":{data}}}\n\n'.encode(), 1.0
    )
    given = {"type": "redacted_thinking", "data": "\ufffd"}
    assert found == [ev.ReasoningData(provider_data=given, t=1.0)]


# ---- what is sent


def turns(*messages: Message, load: Callable[[str], bytes] | None = None) -> list[dict[str, Any]]:
    provider = Anthropic(Endpoint("anthropic", "https://a.example"), Transport())
    body = provider.body(ChatRequest("m", messages, load_image=load))
    sent: Any = body["messages"]
    return list(sent)


CALLS = Message("assistant", [" \n", ToolCall("1", "add", '{"a":1}'), ToolCall("2", "add", "{")])
RESULTS = Message("tool", [ToolResult("1", "add", "3"), ToolResult("2", "add", "no", True)])
SENT_RESULTS = [
    {"type": "tool_result", "tool_use_id": "1", "content": "3"},
    {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
]


def test_calls_are_blocks_and_their_results_one_turn_of_the_user() -> None:
    asked, called, answered = turns(Message("user", "hi"), CALLS, RESULTS)
    assert asked == {"role": "user", "content": "hi"}
    assert called["content"] == [
        {"type": "tool_use", "id": "1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "2", "name": "add", "input": {"INVALID_JSON": "{"}},
    ]
    assert answered == {"role": "user", "content": SENT_RESULTS}


def test_what_the_user_adds_to_results_follows_them_in_their_turn() -> None:
    *_, answered = turns(CALLS, RESULTS, Message("user", "go on"))
    assert answered["content"] == [*SENT_RESULTS, {"type": "text", "text": "go on"}]
    roles = [it["role"] for it in turns(CALLS, RESULTS, Message("assistant", "three"))]
    assert roles == ["assistant", "user", "assistant"]


def test_images_are_sent_by_their_address_or_as_base64() -> None:
    images = [
        Image(url="https://a.example/b.png"),
        Image(url="data:image/gif;base64,R0lG"),
        Image(sha256="0" * 64, media_type="image/png"),
    ]
    load = {"0" * 64: b"PNG0"}.__getitem__
    (turn,) = turns(Message("user", ["look", *images]), load=load)
    assert turn["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"},
        },
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "UE5HMA=="},
        },
    ]


def test_a_delta_under_the_name_of_the_end_is_no_end() -> None:
    frame = b'event: message_stop\ndata: {"index": 0, "delta": {"text": "Hi"}}\n\n'
    answer = ask_in_memory("anthropic", [frame])
    assert (answer.text, answer.outcome) == ("Hi", "truncated")


def test_the_server_tells_its_window_and_counts_without_answering() -> None:
    models = Reply.json({"data": [{"id": "m", "max_input_tokens": 200_000}]})
    with Script(models, Reply.json({"input_tokens": 42})) as server:
        provider = Anthropic(Endpoint("anthropic", server.url, "k"), Transport())
        request = ChatRequest(model="m", messages=(Message("user", "x"),), max_tokens=5)
        assert awaited(provider.window(request, CancelToken())) == 200_000
        assert awaited(provider.count(request, CancelToken())) == 42
        provider.close()
        asked = server.requests[1]
    assert asked.path == "/v1/messages/count_tokens"
    assert {"max_tokens", "stream"}.isdisjoint(asked.json)
    assert asked.json["messages"]
