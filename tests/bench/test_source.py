"""The sources that the loop asks are the real ones."""

from __future__ import annotations

import time

import pytest

from chatstream.bench.result import Arm
from chatstream.bench.source import Source, Wires
from chatstream.cancel import CancelToken
from chatstream.engine.measuring import Measuring
from chatstream.engine.settings import Settings
from chatstream.flow import Arrival, Finish
from chatstream.messages import ChatRequest, Message
from tests.support.arrivals import heartbeats
from tests.support.loopback import NDJSON, Reply, Script

pytestmark = pytest.mark.serial

LIMIT = 20.0  # seconds that an answer takes at most


def whole_answer(wires: Wires, arm: Arm) -> list[Arrival]:
    """As any loop reads it, by nothing but the protocol."""
    source: Source = wires.source(arm)
    request = ChatRequest(arm.model, (Message("user", "hi"),))
    arrivals = source.open(request, CancelToken(), raw=iter, answer=iter)
    kept: list[Arrival] = []
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        wires.wait()
        for arrival in arrivals:
            kept.append(arrival)
            if not arrival.events and not source.news:
                break
        else:
            source.close()
            source.close()  # idempotent
            return kept
    raise AssertionError("it never ended")


def test_a_source_gives_a_heartbeat_whenever_it_holds_nothing_and_never_blocks() -> None:
    lines = [b'{"message":{"content":"a"}}\n', b'{"done":true}\n']
    with Script(Reply(lines, headers=NDJSON, pace=0.01)) as server:
        settings = Settings(provider="ollama", base_url=server.url, model="m")
        with Measuring({"m": settings}) as wires:
            arrivals = whole_answer(wires, Arm(name="m", provider="ollama", model="m"))
    assert len(heartbeats(arrivals)) > 2
    assert type(arrivals[-1].events[-1]) is Finish
