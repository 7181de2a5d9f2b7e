"""Claimed: whole loops with tools keep every rule of the wire, on real servers and on recordings.

The judge is `tests.support.strict`. Each run is asked over a proxy, or of a scripted server, that
keeps the bytes of both sides.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Literal

import msgspec
import pytest

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.messages import (
    ChatRequest,
    Message,
    Part,
    ProviderData,
    Reasoning,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.providers import PROVIDERS, Endpoint, dialect, find
from chatstream.tools.tool import Context, Tool
from chatstream.transport import Transport
from tests.support.answers import ALL_DIALECTS, TEXT, whole
from tests.support.loopback import Reply, Script
from tests.support.real.servers import aimock, llama_server
from tests.support.recorder import Recorder
from tests.support.recordings import Recording, recordings, requires_shared
from tests.support.strict import Exchange, check
from tests.support.unavailable import require

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DIALECTS = {it: it for it in ("anthropic", "ollama", "openai-responses")}


class Fixed(Tool):
    """A tool whose calls all have this result."""

    effect = "read"

    def __init__(self, name: str, result: str = "21") -> None:
        super().__init__(name, "", CITY)
        self._result = result

    def run(self, arguments: dict[str, Any], context: Context) -> object:
        return self._result


def run(provider: str, url: str, tools: Sequence[object], **options: Any) -> list[ev.Event]:
    """The events of a run with these tools, checked by the grammar."""
    place: Any = {"provider": provider, "base_url": url, "model": "m", "api_key": "test-key"}
    events = list(chatstream.stream("hi", tools=tools, **place, **{"retries": 0, **options}))
    grammar.check(events)
    return events


def text_of(events: Sequence[ev.Event]) -> str:
    """The text after the last call."""
    last = max((n for n, it in enumerate(events) if isinstance(it, ev.ToolComplete)), default=0)
    return "".join(it.delta for it in events[last:] if isinstance(it, ev.Content))


# ---- real servers


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with require(aimock()) as server:
        yield server.url


@chatstream.tool(effect="read")
def get_weather(city: str, unit: str) -> str:
    """Tell the weather of a city."""
    return f"21 °{unit} in {city}"


@chatstream.tool(effect="read")
def get_time(zone: str) -> str:
    """Tell the time in a zone."""
    return f"12:00 in {zone}"


@chatstream.tool(effect="read")
def weather(city: str, unit: Literal["C", "F"]) -> str:
    """Tell the weather of a city."""
    return "21 degrees"


def results_in(events: Sequence[ev.Event]) -> list[str]:
    return [it.result for it in events if isinstance(it, ev.ToolComplete)]


@pytest.mark.real
@pytest.mark.parametrize("protocol", ALL_DIALECTS)
def test_aimock_calls_two_tools_and_answers_with_their_results(mock: str, protocol: str) -> None:
    with Recorder(mock) as recorder:
        place: Any = {"provider": protocol, "base_url": recorder.url, "model": "m", "api_key": "k"}
        with chatstream.Client(**place) as client:
            conversation = client.conversation()
            tools = [get_weather, get_time]
            events = list(conversation.stream("call a tool", tools=tools))
            grammar.check(events)
            exchanges = list(recorder.exchanges)
            conversation.ask("plain text")
    assert isinstance(events[-1], ev.Done)
    assert results_in(events) == ["21 °C in Köln", "12:00 in Europe/Berlin"]
    assert text_of(events) == "I looked: 21 °C in Köln."
    assert len(exchanges) == 2
    check(protocol, exchanges)
    understood = [it["content"] for it in journal_of(mock)[-2]["messages"] if it["role"] == "tool"]
    assert understood == results_in(events)
    continued = recorder.exchanges[2].body  # without tools
    check(protocol, [Exchange(continued, b"")])
    its = "input" if protocol == "openai-responses" else "messages"
    before = exchanges[1].body[its]
    assert continued[its][: len(before)] == before


def journal_of(mock: str) -> list[Any]:
    """The requests as aimock has understood them; it tells of all protocols in OpenAI's words."""
    with urllib.request.urlopen(f"{mock}/__aimock/journal", timeout=10) as response:
        return [it["body"] for it in json.load(response)]


@pytest.mark.real
@pytest.mark.parametrize("max_rounds", [None, 1])
@pytest.mark.parametrize("provider", ["llamacpp", "openai", "anthropic", "openai-responses"])
def test_llamacpp_calls_a_tool_and_answers_with_its_result(
    provider: str, max_rounds: int | None
) -> None:
    limits: Any = {"max_tokens": 200} | ({"max_rounds": max_rounds} if max_rounds else {})
    with require(llama_server("tiny-tool")) as server, Recorder(server.url) as recorder:
        events = run(provider, recorder.url, [weather], **limits)
    assert isinstance(events[-1], ev.Done)
    [call] = [it for it in events if isinstance(it, ev.ToolCall)]
    assert (call.name, json.loads(call.arguments)["city"]) == ("weather", "Δelphi")
    assert results_in(events) == ["21 degrees"]
    assert text_of(events)
    assert len(recorder.exchanges) == 2
    check(DIALECTS.get(provider, "openai"), recorder.exchanges, provider)
    none = {"type": "none"} if provider == "anthropic" else "none"
    last = recorder.exchanges[1].body.get("tool_choice")
    assert last == (none if max_rounds else None)


# ---- recordings

WEATHER = ToolDefinition("weather", "w", CITY)


def with_calls() -> list[Recording]:
    """The recorded answers that ask for calls."""
    return [
        it
        for it in recordings("recorded", "constructed", "nonstream")
        if it.expected.get("tool_calls")
        and it.expected.get("finish_reason") not in {"length", "max_tokens"}
    ]


GIVEN = re.compile(rb'"(?:signature|data|thought_signature)":\s*"[^"]{9,}"')  # nobody reads these


@requires_shared
@pytest.mark.parametrize("recording", with_calls(), ids=str)
def test_a_recorded_turn_goes_back_as_it_came(recording: Recording) -> None:
    named = recording.name.rpartition("/")[2].partition("-")[0]
    its_own = recording.provider == "openai" and named in PROVIDERS and named not in DIALECTS
    provider = named if its_own else recording.provider
    names = dict.fromkeys(it["name"] for it in recording.expected["tool_calls"])
    final = whole(recording.provider)
    with Script(Reply(recording.body, headers=recording.headers), final) as server:
        events = run(provider, server.url, [Fixed(it) for it in names])
        bodies = [it.body for it in server.requests]
    assert isinstance(events[-1], ev.Done)
    assert text_of(events).endswith(TEXT)
    answers = [recording.body, final.whole()]
    exchanges = [
        Exchange(json.loads(body), answer) for body, answer in zip(bodies, answers, strict=True)
    ]
    check(recording.provider, exchanges, provider)
    assert set(GIVEN.findall(recording.body)) <= set(GIVEN.findall(bodies[1]))


@requires_shared
@pytest.mark.parametrize(
    "recording",
    [it for it in recordings("recorded") if b'"pause_turn"' in it.body],
    ids=str,
)
def test_a_paused_turn_is_sent_back_and_goes_on(recording: Recording) -> None:
    final = whole("anthropic")
    with Script(Reply(recording.body, headers=recording.headers), final) as server:
        events = run("anthropic", server.url, [Fixed("weather")])
        bodies = [json.loads(it.body) for it in server.requests]
    assert isinstance(events[-1], ev.Done)
    assert [it["role"] for it in bodies[1]["messages"]] == ["user", "assistant"]
    answers = [recording.body, final.whole()]
    check("anthropic", [Exchange(*it) for it in zip(bodies, answers, strict=True)])


# ---- what no recording has


def events_of(*frames: dict[str, Any]) -> bytes:
    return b"".join(b"data: %s\n\n" % msgspec.json.encode(it) for it in frames)


def block(index: int, *deltas: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": fields},
        *({"type": "content_block_delta", "index": index, "delta": it} for it in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def thought(index: int, text: str, signature: str) -> list[dict[str, Any]]:
    return block(
        index,
        {"type": "thinking_delta", "thinking": text},
        {"type": "signature_delta", "signature": signature},
        type="thinking",
        thinking="",
        signature="",
    )


def arguments(text: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}


ANTHROPIC = events_of(
    {"type": "message_start", "message": {"content": []}},
    *thought(0, "I need the weather.", "EuYBCkQYBhgC/+one=="),
    *block(1, type="redacted_thinking", data="EpMGCkgIBhABGAIq/+two=="),
    *block(2, {"type": "text_delta", "text": "I look."}, type="text", text=""),
    *block(3, arguments('{"q":"é"}'), type="server_tool_use", id="srv", name="s", input={}),
    *block(4, type="web_search_tool_result", tool_use_id="srv", content=[{"encrypted": "x=="}]),
    *thought(5, "Now two calls.", "EuYBCkQYBhgC/+three=="),
    *block(6, arguments('{"city":'), arguments('"Köln"}'), type="tool_use", id="a", name="f"),
    *block(7, type="tool_use", id="b", name="g", input={}, caller={"type": "direct"}),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    {"type": "message_stop"},
)


def chunks(*deltas: dict[str, Any], reason: str = "tool_calls") -> bytes:
    body = [{"choices": [{"index": 0, "delta": it}]} for it in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    return events_of(*body, last) + b"data: [DONE]\n\n"


def called(
    call_id: str, name: str, text: str = '{"city":"Köln"}', beside: Any = None
) -> dict[str, Any]:
    function = {"name": name, "arguments": text}
    return {"id": call_id, "type": "function", "function": function, **(beside or {})}


SIGNED = {"extra_content": {"google": {"thought_signature": "EjQKMgEMOdbHJChLX75Q/+=="}}}
GEMINI = chunks(
    {
        "role": "assistant",
        "tool_calls": [called("jm4owj31", "f", beside=SIGNED), called("kq2", "g")],
    },
    reason="stop",
)
DEEPSEEK = chunks(
    {"role": "assistant", "content": None, "reasoning_content": "I need "},
    {"content": None, "reasoning_content": "the weather."},
    {"tool_calls": [{"index": 0, **called("call_0_a", "f", "")}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Köln"}'}}]},
)
SILENT = chunks({"role": "assistant", "tool_calls": [{"index": 0, **called("call_0_a", "f")}]})
BAD = chunks({"tool_calls": [{"index": 0, **called("aaaaaaaa1", "f", '{"city": "Kö')}]})
OLLAMA = b"".join(
    json.dumps(it).encode() + b"\n"
    for it in (
        {"message": {"role": "assistant", "content": "", "thinking": "I need "}},
        {"message": {"role": "assistant", "content": "", "thinking": "the weather."}},
        {"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"city": "Köln"}}}]}},
        {"message": {"tool_calls": [{"function": {"name": "g", "arguments": {}}}]}},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    )
)
TURNS = {
    "anthropic": ("anthropic", ANTHROPIC),
    "gemini": ("gemini", GEMINI),
    "deepseek": ("deepseek", DEEPSEEK),
    "deepseek-silent": ("deepseek", SILENT),
    "mistral-bad-arguments": ("mistral", BAD),
    "ollama": ("ollama", OLLAMA),
}


@pytest.mark.parametrize("split", [None, 7])
@pytest.mark.parametrize("case", TURNS)
def test_two_turns_with_calls_go_back_byte_for_byte(case: str, split: int | None) -> None:
    provider, answer = TURNS[case]
    kind = DIALECTS.get(provider, "openai")
    final = whole(kind)
    reply = Reply(answer, headers=final.headers, split=split)
    with Script(reply, reply, final) as server:
        events = run(provider, server.url, [Fixed("f", "21"), Fixed("g", "22")])
        bodies = [it.body for it in server.requests]
    assert isinstance(events[-1], ev.Done)
    assert len(bodies) == 3
    answers = [answer, answer, final.whole()]
    pairs = zip(bodies, answers, strict=True)
    check(kind, [Exchange(json.loads(body), it) for body, it in pairs], provider)
    for once, body in enumerate(bodies):
        assert GIVEN.findall(body) == GIVEN.findall(answer) * once
    assert len({TOOLS.search(body)[0] for body in bodies}) == 1  # type: ignore[index]


TOOLS = re.compile(rb'"tools":\[.*?"required":\["city"\].*"required":\["city"\]')


@pytest.mark.parametrize(
    ("case", "mark"), [("anthropic", "Köln"), ("deepseek", "Köln"), ("ollama", "city")]
)
def test_a_turn_that_is_cut_in_its_calls_is_asked_for_again(case: str, mark: str) -> None:
    provider, answer = TURNS[case]
    kind = DIALECTS.get(provider, "openai")
    final = whole(kind)
    reply = Reply(answer, headers=final.headers)
    cut = Reply(answer, headers=final.headers, cut_after=answer.index(mark.encode()))
    with Script(cut, reply, final) as server:
        tools = [Fixed("f"), Fixed("g")]
        events = run(provider, server.url, tools, retries=1, retry_delay=0.001)
        bodies = [it.json for it in server.requests]
    assert isinstance(events[-1], ev.Done)
    assert bodies[0] == bodies[1]
    answers = [cut.whole(), answer, final.whole()]
    pairs = list(zip(bodies, answers, strict=True))
    check(kind, [Exchange(*it) for it in pairs[1:]], provider)


# ---- histories of any origin

ELSEWHERE = ProviderData("elsewhere", {"type": "thinking", "signature": "of another"})
IDS = ["call_1", "", "x" * 50, "functions.f:0", "aaaaaaaa1", "toolu_01", "ä"]
NAMES = ["f", "f.g", "", "n" * 80]
ARGUMENTS = ["{}", "", '{"a": 1}', "[1]", '{"a": ', "null", "nonsense"]


def a_history(random: Random) -> list[Message]:
    """Rounds as no program would write them, and all that journals of old may hold."""
    messages = [Message("system", "s")]
    for number in range(random.randint(1, 4)):
        messages.append(Message("user", f"question {number}"))
        for _ in range(random.randint(0, 2)):
            calls = [
                ToolCall(random.choice(IDS), random.choice(NAMES), random.choice(ARGUMENTS))
                for _ in range(random.randint(1, 3))
            ]
            before: list[str | Part] = random.choice(
                [[], ["I look."], [Reasoning("hm", ELSEWHERE)]]
            )
            messages.append(Message("assistant", [*before, *calls]))
            results = [
                ToolResult(it.id, it.name, random.choice(["", " ", "21"]), random.random() < 0.5)
                for it in calls
                if random.random() < 0.7
            ]
            random.shuffle(results)
            messages += [Message("tool", results)] if results else []
        if random.random() < 0.7:
            messages.append(Message("assistant", random.choice(["An answer.", "", "\n"])))
    return [*messages, Message("user", "and now?")]


@pytest.mark.parametrize("provider", [it for it in PROVIDERS if it != "demo"])
def test_any_history_becomes_what_the_service_takes(provider: str) -> None:
    place = dialect(find(provider))(Endpoint(provider, "http://127.0.0.1:9"), Transport())
    kind = DIALECTS.get(provider, "openai")
    random = Random(provider)
    for _ in range(200):
        history = a_history(random)
        tools = random.choice([(), (WEATHER,)])
        may_call = random.random() < 0.5
        request = ChatRequest("m", tuple(history), tools=tools, may_call=may_call)
        body = json.loads(msgspec.json.encode(place.body(request)))
        check(kind, [Exchange(body, b"")], provider)
        assert b"of another" not in msgspec.json.encode(body)
