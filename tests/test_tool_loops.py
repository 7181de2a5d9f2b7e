"""Claimed: whole loops with tools keep every rule of the wire, on real servers and on recordings.

The judge is `tests.support.strict`. Each run is asked over a proxy, or of a scripted server, that
keeps the bytes of both sides.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival, events_in, pipe
from chatstream.messages import ChatRequest, Message, ToolDefinition
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
