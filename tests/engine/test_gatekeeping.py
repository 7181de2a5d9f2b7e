"""Claimed: a gatekeeper sees every request, and what it holds counts against no time limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.engine.client import Client
from chatstream.engine.gatekeeping import Asked
from chatstream.engine.pool import Pool
from chatstream.events import Done
from chatstream.flow import Arrival, Open
from chatstream.messages import ChatRequest
from tests.support.answers import DIALECTS, TEXT, whole
from tests.support.loopback import Reply, Script


class Holding:
    """Holds each request for a while; notes who was asked."""

    def __init__(self, beats: int = 0) -> None:
        self.asked: list[tuple[str, str | None, float | None]] = []
        self._beats = beats

    def around(self, server: Asked, source: Open) -> Open:
        """`source`, after so many heartbeats."""

        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            for _ in range(self._beats):
                token.sleep(POLL_SECONDS)
                yield Arrival(connected=False, held=True)
            try:
                yield from source(request, token)
            finally:
                place = server.endpoint
                self.asked.append((place.base_url, place.key, server.used_up()))

        return opened


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_request_passes_the_gatekeeper_who_learns_what_the_server_said(dialect: str) -> None:
    limits = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
    reply = whole(dialect)
    reply = Reply(reply.body, headers={**reply.headers, **limits})
    keeper = Holding(beats=1)
    with Script(reply) as server, Client(Pool(keeper), provider=dialect, model="m") as client:
        answer = client.ask("hi", base_url=server.url, api_key="k")
        events = list(client.stream("hi", base_url=server.url, api_key="k"))
        assert len(server.requests) == 2
    assert answer.content == TEXT
    assert isinstance(events[-1], Done)
    assert [it[1:] for it in keeper.asked] == [("k", 30.0)] * 2
    assert all(place.startswith(server.url) for place, _, _ in keeper.asked)


def test_without_a_gatekeeper_nothing_is_between() -> None:
    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        yield from ()

    assert Pool().guarded(None, source) is source  # type: ignore[arg-type]  # it asks nobody
