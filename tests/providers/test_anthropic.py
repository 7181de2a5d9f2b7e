"""Anthropic: what is asked, and the frames of a message."""

from __future__ import annotations

import json

import pytest

from chatstream import events as ev
from chatstream.providers.anthropic import DEFAULT_MAX_TOKENS, AnthropicReply
from tests.support.answers import whole
from tests.support.client import ask
from tests.support.loopback import Script
from tests.support.memory import ask_in_memory

Frame = dict[str, object]


def delta(index: int, **fields: object) -> Frame:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def block(index: int, **fields: object) -> Frame:
    return {"type": "content_block_start", "index": index, "content_block": fields}


STOP: Frame = {"type": "message_stop"}


def events(*frames: Frame) -> tuple[list[ev.Event], AnthropicReply]:
    reply = AnthropicReply()
    text = "".join(f"data: {json.dumps(frame)}  \n\n" for frame in frames)
    found = reply.feed(text.encode(), 1.0)
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


def test_calls_that_the_server_runs_are_not_ours() -> None:
    found, _ = events(
        block(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"q":1}'),
        block(1, type="web_search_tool_result", content=[]),
        STOP,
    )
    assert found == []


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


def test_thinking_that_is_omitted_is_silence() -> None:
    found, _ = events(
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="signature_delta", signature="abc"),
        delta(1, type="text_delta", text="a"),
        STOP,
    )
    assert found == [ev.Content("a", t=1.0)]


def test_a_delta_under_the_name_of_the_end_is_no_end() -> None:
    frame = b'event: message_stop\ndata: {"index": 0, "delta": {"text": "Hi"}}\n\n'
    answer = ask_in_memory("anthropic", [frame])
    assert (answer.text, answer.outcome) == ("Hi", "truncated")
