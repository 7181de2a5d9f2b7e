"""Claimed: whole loops with tools keep every rule of the wire, on real servers and on recordings.

The judge is `tests.support.strict`. Each run is asked over a proxy, or of a scripted server, that
keeps the bytes of both sides.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival, events_in, pipe
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
from chatstream.recovery.degrade import degrade
from chatstream.stages.seal import seal
from chatstream.stages.thinking import thinking
from chatstream.tools.calls import Pending
from chatstream.tools.loop import Limits, loop
from chatstream.transport import Transport
from tests.support.answers import TEXT, whole
from tests.support.loopback import Reply, Script
from tests.support.real.servers import aimock, llama_server
from tests.support.recorder import Recorder
from tests.support.recordings import Recording, recordings, requires_shared
from tests.support.strict import Exchange, check
from tests.support.unavailable import require

QUESTION = Message("user", "hi")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DIALECTS = {"anthropic": "anthropic", "ollama": "ollama"}


class Fixed:
    """Runs calls: each has the result of its name, and a failure where its arguments are bad."""

    dry_run = False

    def __init__(self, results: Mapping[str, str]) -> None:
        self._results = results
        self.rounds: list[list[ev.ToolCall]] = []

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        self.rounds.append([it.call for it in calls])
        for pending in calls:
            call = pending.call
            result = self._results.get(call.name)
            if result is None or not _is_object(call.arguments):
                error = ev.ToolError(call.id, call.name, "no such call", 0.0, code="invalid_json")
                yield Arrival([error])
                continue
            yield Arrival([ev.ToolStart(call.id, call.name, json.loads(call.arguments), "read")])
            yield Arrival([ev.ToolComplete(call.id, call.name, result, 0.01)])

    def close(self) -> None:
        """Nothing is open."""


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def run(
    provider: str,
    url: str,
    runner: Fixed,
    tools: Sequence[ToolDefinition],
    question: Message = QUESTION,
    limits: Limits | None = None,
    **fields: Any,
) -> list[ev.Event]:
    """The events of a run whose model calls tools, checked by the grammar."""
    endpoint = Endpoint(provider, url, "test-key")
    request = ChatRequest("m", (question,), tools=tuple(tools), **fields)
    token = CancelToken()
    opening = ev.Metadata(version=1, run="r", started_at="2026-01-01T00:00:00.000Z")
    place = dialect(find(provider))(endpoint, Transport())
    try:
        answer = loop(degrade(place.open), runner, limits or Limits())(request, token)
        events = list(events_in(pipe(answer, thinking, seal(opening, token))))
    finally:
        place.close()
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


TWO = (
    ToolDefinition(
        "get_weather",
        "The weather of a city.",
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city", "unit"],
        },
    ),
    ToolDefinition(
        "get_time",
        "The time in a zone.",
        {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    ),
)


@pytest.mark.real
@pytest.mark.parametrize("protocol", ["ollama", "openai", "anthropic"])
def test_aimock_calls_two_tools_and_answers_with_their_results(mock: str, protocol: str) -> None:
    runner = Fixed({"get_weather": "21 °C", "get_time": "12:00"})
    with Recorder(mock) as recorder:
        base = f"{recorder.url}/v1" if protocol == "openai" else recorder.url
        events = run(protocol, base, runner, TWO, Message("user", "call a tool"))
    assert isinstance(events[-1], ev.Done)
    assert [it.name for it in runner.rounds[0]] == ["get_weather", "get_time"]
    assert len(runner.rounds) == 1
    assert text_of(events) == "I looked: 21 °C in Köln."
    assert len(recorder.exchanges) == 2
    check(protocol, recorder.exchanges)
    understood = journal_of(mock)[-1]["messages"]
    assert [it["content"] for it in understood if it["role"] == "tool"] == ["21 °C", "12:00"]


def journal_of(mock: str) -> list[Any]:
    """The requests as aimock has understood them; it tells of all protocols in OpenAI's words."""
    with urllib.request.urlopen(f"{mock}/__aimock/journal", timeout=10) as response:
        return [it["body"] for it in json.load(response)]


WEATHER = ToolDefinition(
    "weather",
    "w",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
    },
)


@pytest.mark.real
@pytest.mark.parametrize("provider", ["llamacpp", "openai", "anthropic"])
def test_llamacpp_calls_a_tool_and_answers_with_its_result(provider: str) -> None:
    runner = Fixed({"weather": "21 degrees"})
    with require(llama_server("tiny-tool")) as server, Recorder(server.url) as recorder:
        base = recorder.url if provider == "anthropic" else f"{recorder.url}/v1"
        events = run(provider, base, runner, [WEATHER], max_tokens=200)
    assert isinstance(events[-1], ev.Done)
    [[call]] = runner.rounds
    assert (call.name, json.loads(call.arguments)["city"]) == ("weather", "Δelphi")
    assert text_of(events)
    assert len(recorder.exchanges) == 2
    check(DIALECTS.get(provider, "openai"), recorder.exchanges, provider)


@pytest.mark.real
@pytest.mark.parametrize("provider", ["llamacpp", "anthropic"])
def test_llamacpp_takes_the_last_round_without_calls(provider: str) -> None:
    runner = Fixed({"weather": "21 degrees"})
    with require(llama_server("tiny-tool")) as server, Recorder(server.url) as recorder:
        base = recorder.url if provider == "anthropic" else f"{recorder.url}/v1"
        limits = Limits(rounds=1)
        events = run(provider, base, runner, [WEATHER], limits=limits, max_tokens=200)
    assert isinstance(events[-1], ev.Done)
    none = {"type": "none"} if provider == "anthropic" else "none"
    assert [it.body.get("tool_choice") for it in recorder.exchanges] == [None, none]
    check(DIALECTS.get(provider, "openai"), recorder.exchanges, provider)


# ---- recordings


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
    tools = [ToolDefinition(it, "", CITY) for it in names]
    final = whole(recording.provider)
    with Script(Reply(recording.body, headers=recording.headers), final) as server:
        events = run(provider, server.url, Fixed(dict.fromkeys(names, "a result")), tools)
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
        events = run("anthropic", server.url, Fixed({}), [WEATHER])
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
    tools = [ToolDefinition(it, "", CITY) for it in "fg"]
    runner = Fixed({"f": "21", "g": "22"})
    with Script(reply, reply, final) as server:
        events = run(provider, server.url, runner, tools)
        bodies = [it.body for it in server.requests]
    assert isinstance(events[-1], ev.Done)
    assert len(runner.rounds) == 2
    answers = [answer, answer, final.whole()]
    pairs = zip(bodies, answers, strict=True)
    check(kind, [Exchange(json.loads(body), it) for body, it in pairs], provider)
    for once, body in enumerate(bodies):
        assert GIVEN.findall(body) == GIVEN.findall(answer) * once
    assert len({TOOLS.search(body)[0] for body in bodies}) == 1  # type: ignore[index]


TOOLS = re.compile(rb'"tools":\[.*?"required":\["city"\].*"required":\["city"\]')


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
