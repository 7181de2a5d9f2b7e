"""The sources of a benchmark: real providers, and the times of the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chatstream.bench.result import Arm
from chatstream.cancel import CancelToken
from chatstream.engine.measuring import Asking, Measuring
from chatstream.engine.settings import Settings
from chatstream.errors import AuthError, Stalled, TimedOut
from chatstream.events import Content, Event, Reasoning
from chatstream.flow import Arrival, Finish
from chatstream.messages import ChatRequest, Message
from tests.support.loopback import NDJSON, SSE, Reply, Script

pytestmark = pytest.mark.serial

LIMIT = 20.0  # seconds that any answer of a test takes at most

OLLAMA = [
    b'{"message":{"content":"<thi"}}\n',
    b'{"message":{"content":"nk>why</think>"}}\n',
    b'{"message":{"content":"so"}}\n{"message":{"content":"!"}}\n',
    b'{"done":true,"done_reason":"stop","eval_count":4}\n',
]
OPENAI = (
    b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@dataclass
class Seen:
    """What passed on its way."""

    events: list[Event] = field(default_factory=list)

    def stage(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for arrival in arrivals:
            self.events += arrival.events
            yield arrival

    @property
    def text(self) -> str:
        return "".join(it.delta for it in self.events if isinstance(it, Content))


def measuring(url: str, provider: str = "ollama", **settings: Any) -> tuple[Arm, Measuring]:
    its = Settings(provider=provider, base_url=url, model="m", api_key="test-key", **settings)
    return Arm(name="m", provider=provider, model="m"), Measuring({"m": its})


def read(wires: Measuring, source: Asking, *, max_tokens: int | None = None) -> tuple[Seen, Seen]:
    """Ask once; what came from the server, and what is left of it after the thinking."""
    raw, answer = Seen(), Seen()
    request = ChatRequest("m", (Message("user", "hi"),), max_tokens=max_tokens)
    arrivals = source.open(request, CancelToken(), raw.stage, answer.stage)
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        wires.wait()
        for arrival in arrivals:
            if not arrival.events and not source.news:
                break
        else:
            return raw, answer
    raise AssertionError("it never ended")


def test_a_source_tells_what_was_sent_and_what_is_answer() -> None:
    with Script(Reply(OLLAMA, headers=NDJSON)) as server:
        arm, wires = measuring(server.url)
        with wires:
            source = wires.source(arm)
            raw, answer = read(wires, source)
    assert raw.text == "<think>why</think>so!"
    assert answer.text == "so!"
    assert "why" in [it.delta for it in answer.events if isinstance(it, Reasoning)]
    assert isinstance(raw.events[-1], Finish)


def test_events_have_the_times_of_the_trace() -> None:
    with Script(Reply(OLLAMA, headers=NDJSON, pace=0.002)) as server:
        arm, wires = measuring(server.url)
        with wires:
            source = wires.source(arm)
            raw, _ = read(wires, source)
            trace = source.trace
    times = [it.t for it in raw.events if isinstance(it, Content)]
    assert times
    assert set(times) <= {it.at for it in trace.receipts}
    assert trace.sent is not None
    assert trace.sent < times[0]
    assert (trace.status, trace.headers["content-type"]) == (200, "application/x-ndjson")


def test_each_exchange_has_a_trace_of_its_own() -> None:
    with Script(Reply(OLLAMA, headers=NDJSON)) as server:
        arm, wires = measuring(server.url)
        with wires:
            source = wires.source(arm)
            read(wires, source)
            first = source.trace
            read(wires, source)
            assert source.trace is not first
            assert first.receipts[-1].at < source.trace.receipts[0].at


def test_a_parameter_that_is_refused_once_is_not_sent_again() -> None:
    message = "'max_tokens' is not supported here. Use 'max_completion_tokens' instead."
    refused = Reply.json({"error": {"message": message, "code": "unsupported_parameter"}}, 400)
    with Script(refused, Reply(OPENAI, headers=SSE)) as server:
        arm, wires = measuring(f"{server.url}/v1", "openai")
        with wires:
            for _ in range(2):
                source = wires.source(arm)
                assert read(wires, source, max_tokens=7)[0].text == "hi"
        asked = [request.json for request in server.requests]
    assert [it.get("max_tokens") for it in asked] == [7, None, None]
    assert [it.get("max_completion_tokens") for it in asked] == [None, 7, 7]


@pytest.mark.parametrize(
    ("reply", "limits", "failure", "phase"),
    [
        (Reply(b""), {"first_token_timeout": 0.3}, TimedOut, "first_token"),
        (Reply(OLLAMA[2:3]), {"idle_timeout": 0.3}, Stalled, "between_tokens"),
        (Reply(OLLAMA[2:3]), {"timeout": 0.3}, TimedOut, "total"),
    ],
)
def test_the_limits_of_the_settings_hold(
    reply: Reply, limits: dict[str, Any], failure: type[TimedOut], phase: str
) -> None:
    held = replace(reply, headers=NDJSON, hold={len(list(reply.writes())): threading.Event()})
    with Script(held) as server:
        arm, wires = measuring(server.url, **limits)
        with wires, pytest.raises(failure) as caught:
            read(wires, wires.source(arm))
        assert server.wait_closed()
    assert caught.value.phase == phase


def test_a_missing_key_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    arm = Arm(name="m", provider="openai", model="m")
    with Measuring({"m": Settings(provider="openai")}) as wires, pytest.raises(AuthError):
        wires.source(arm)
