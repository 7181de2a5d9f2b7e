"""Ollama: what is asked, and the lines that only it sends."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream import events as ev
from chatstream.engine.client import Client
from chatstream.errors import UsageError
from chatstream.messages import ChatRequest, Image, Message, ToolCall, ToolDefinition, ToolResult
from chatstream.providers import Endpoint
from chatstream.providers.ollama import Ollama, OllamaReply
from chatstream.transport import Transport
from tests.support.answers import whole
from tests.support.client import ask
from tests.support.cutting import CuttingOllama
from tests.support.loopback import Script
from tests.support.memory import ask_in_memory


def events(*lines: str) -> tuple[list[ev.Event], OllamaReply]:
    reply = OllamaReply()
    found = reply.feed("".join(f"{line}\n" for line in lines).encode(), 1.0)
    return [*found, *reply.totals()], reply


def test_the_request_is_ollamas_own() -> None:
    with Script(whole("ollama")) as server:
        ask(
            "ollama", server.url, system="s", temperature=0.5, max_tokens=9, options={"think": True}
        )
    (request,) = server.requests
    assert request.path == "/api/chat"
    assert request.headers["accept"] == "application/x-ndjson"
    assert request.headers["authorization"] == "Bearer test-key"
    assert request.json == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "stream": True,
        "think": True,
        "options": {"temperature": 0.5, "num_predict": 9},
    }


def test_thinking_and_content_of_one_line_are_both_told() -> None:
    found, _ = events('{"message":{"thinking":"hm","content":"yes"}}')
    assert [type(e) for e in found] == [ev.Reasoning, ev.Content]


def test_tool_calls_of_several_lines_are_appended() -> None:
    found, reply = events(
        '{"message":{"tool_calls":[{"function":{"index":0,"name":"a","arguments":{"x":1}}}]}}',
        '{"message":{"tool_calls":[{"function":{"index":0,"name":"b"}}]}}',
        '{"message":{"content":""},"done":true,"done_reason":"stop"}',
    )
    calls = [(e.id, e.name, e.arguments) for e in found if isinstance(e, ev.ToolCall)]
    assert calls == [("call00001", "a", '{"x":1}'), ("call00002", "b", "{}")]
    assert (reply.finish().reason, reply.finish().raw) == ("tool_calls", "stop")


def test_calls_of_one_answer_have_ids_of_their_own() -> None:
    call = '{"id":"%s","function":{"name":"f","arguments":{}}}'
    same = ",".join([call % "a", call % "a", call % ""])
    found, _ = events(f'{{"message":{{"tool_calls":[{same}]}},"done":true}}')
    ids = [it.id for it in found if isinstance(it, ev.ToolCall)]
    assert ids == ["a", "call00002", "call00003"]


def test_durations_are_seconds_and_counts_are_usage() -> None:
    found, reply = events(
        '{"done":true,"done_reason":"length","prompt_eval_count":7,"eval_count":9,'
        '"total_duration":3000000000,"load_duration":500000000,"eval_duration":2000000000}'
    )
    assert found == [ev.Usage(input_tokens=7, output_tokens=9)]
    finish = reply.finish()
    assert finish.reason == "length"
    assert finish.server == ev.ServerTimes(total=3.0, load=0.5, generation=2.0)


@pytest.mark.parametrize("error", ['"it broke"', '{"message":"it broke"}'])
def test_an_error_line_is_a_failure(error: str) -> None:
    _, reply = events(f'{{"error":{error}}}')
    assert reply.failure is not None
    assert reply.failure.message == "it broke"


def test_what_comes_after_done_is_ignored() -> None:
    found, _ = events('{"done":true}', '{"message":{"content":"late"}}')
    assert found == []


def test_the_text_of_the_generate_call_is_content() -> None:
    found, _ = events('{"response":"a","done":false}')
    assert found == [ev.Content("a", t=1.0)]


def test_a_last_line_that_cannot_be_read_is_a_cut_and_no_warning() -> None:
    reply = OllamaReply()
    reply.feed(b'{"message":{"content":"a"}}\n{"mess', 1.0)
    assert reply.feed_eof(1.0) == []
    assert not reply.complete


def test_an_error_beside_a_piece_of_the_answer_is_heard() -> None:
    answer = ask_in_memory("ollama", [b'{"message":{"content":"Hi"},"error":"it broke"}\n'])
    assert answer.text == "Hi"
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.message == "it broke"


@pytest.mark.parametrize("images", ["5", "true", '"iVBOR"', "{}", "[7]"])
def test_odd_images_cost_nothing_else(images: str) -> None:
    line = f'{{"message":{{"content":"Hi","images":{images}}},"done":true}}\n'
    answer = ask_in_memory("ollama", [line.encode()])
    assert (answer.text, answer.outcome) == ("Hi", "complete")


# ---- what is sent


def turns(*messages: Message) -> list[dict[str, Any]]:
    provider = Ollama(Endpoint("ollama", "https://a.example"), Transport())
    body = provider.body(ChatRequest("m", messages, load_image=lambda _: b"PNG"))
    sent: Any = body["messages"]
    return list(sent)


def test_arguments_are_objects_and_each_result_names_its_tool_and_its_call() -> None:
    calls = [ToolCall("1", "add", '{"a":1}'), ToolCall("2", "add", "[1]")]
    results = [ToolResult("1", "add", "3"), ToolResult("2", "add", "no", True)]
    called, *answered = turns(Message("assistant", ["so", *calls]), Message("tool", results))
    functions = [
        {"name": "add", "arguments": {"a": 1}},
        {"name": "add", "arguments": {"INVALID_JSON": "[1]"}},
    ]
    assert called == {
        "role": "assistant",
        "content": "so",
        "tool_calls": [
            {"id": number, "function": function}
            for number, function in zip("12", functions, strict=True)
        ],
    }
    assert answered == [
        {"role": "tool", "content": text, "tool_name": "add", "tool_call_id": number}
        for number, text in (("1", "3"), ("2", "no"))
    ]


def test_images_are_base64_beside_the_text() -> None:
    stored = Image(sha256="0" * 64, media_type="image/png")
    (turn,) = turns(Message("user", ["look", stored, Image(url="data:image/gif;base64,R0lG")]))
    assert turn == {"role": "user", "content": "look", "images": ["UE5H", "R0lG"]}


def test_an_image_on_the_web_is_a_mistake_that_is_told() -> None:
    with pytest.raises(UsageError, match="Ollama takes no image by its address"):
        turns(Message("user", [Image(url="https://a.example/b.png")]))


def tools_in(**fields: Any) -> dict[str, Any]:
    """The fields of a body that are about tools."""
    place = Ollama(Endpoint("ollama", "http://127.0.0.1:9"), Transport())
    body = place.body(ChatRequest("m", (Message("user", "hi"),), **fields))
    assert body.keys() >= {"model", "messages", "stream"}
    return {k: v for k, v in body.items() if k in {"tools", "truncate", "options", "tool_choice"}}


def test_tools_are_sent_and_nothing_may_be_cut_off_in_silence() -> None:
    tools = (ToolDefinition("weather", "w", {"type": "object"}),)
    function = {"name": "weather", "description": "w", "parameters": {"type": "object"}}
    sent = {"tools": [{"type": "function", "function": function}], "truncate": False}
    assert tools_in() == {}
    assert tools_in(tools=tools) == sent
    assert tools_in(tools=tools, options={"tools": ["theirs"]}) == sent
    assert tools_in(options={"tools": ["theirs"]}) == {"tools": ["theirs"]}
    assert tools_in(tools=tools, options={"truncate": True}) == {**sent, "truncate": True}


def test_a_model_that_has_to_answer_in_words_is_not_told_of_its_tools() -> None:
    tools = (ToolDefinition("weather", "w", {"type": "object"}),)
    assert tools_in(tools=tools, may_call=False) == {"truncate": False}
    options = {"tools": ["theirs"]}
    assert tools_in(tools=tools, may_call=False, options=options) == {"truncate": False}


def warned(server: CuttingOllama, *questions: str) -> list[bool]:
    """Whether each answer of one conversation came with the warning that its prompt was cut."""
    with Client(provider="ollama", model="m", base_url=server.url) as client:
        conversation = client.conversation()
        answers = [list(conversation.stream(question)) for question in questions]
    return [
        any(isinstance(it, ev.Warn) and it.code == "context_truncated" for it in events)
        for events in answers
    ]


def test_a_server_that_cuts_a_prompt_in_silence_is_reported() -> None:
    with CuttingOllama(2048) as server:
        long = "The sky is blue. " * 1000  # 17,000 bytes: twice the window
        assert warned(server, "hello", long) == [False, True]
        assert max(server.read) <= 2048


def test_a_prompt_that_is_in_the_cache_is_not_reported() -> None:
    with CuttingOllama(100_000, cached=True) as server:
        long = "The sky is blue. " * 1000
        assert warned(server, long, "and then?", long, "short") == [False] * 4
