"""A pull is told step by step, ends at its end mark, and fails in words that help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.services import awaited
from chatstream.errors import ChatstreamError, ModelNotFound, ProtocolError, Truncated
from chatstream.events import Progress
from chatstream.providers import Endpoint
from chatstream.providers.ollama import Ollama
from chatstream.transport import Transport
from tests.support.loopback import NDJSON, Reply, Script

STEPS: list[dict[str, Any]] = [
    {"status": "pulling manifest"},
    {"status": "pulling aa", "digest": "sha256:aa", "total": 2_000_000_000},
    {"status": "pulling aa", "digest": "sha256:aa", "total": 2_000_000_000, "completed": 10**9},
    {"status": "pulling bb", "digest": "sha256:bb", "total": 400, "completed": 400},
    {"status": "verifying sha256 digest"},
    {"status": "success"},
]


def lines(*steps: object) -> bytes:
    return b"".join(json.dumps(step).encode() + b"\n" for step in steps)


@contextmanager
def asked(*replies: Reply) -> Iterator[tuple[Ollama, Script]]:
    with Script(*replies) as server:
        provider = Ollama(Endpoint("ollama", server.url), Transport())
        try:
            yield provider, server
        finally:
            provider.close()


def pulled(reply: Reply) -> list[Progress]:
    with asked(reply) as (provider, _):
        arrivals = list(provider.pull("qwen3:4b", CancelToken()))
    return [it for arrival in arrivals for it in arrival.events if isinstance(it, Progress)]


@pytest.mark.parametrize("split", [None, 1, 7])
def test_each_step_is_told_with_how_far_it_is(split: int | None) -> None:
    told = pulled(Reply(lines(*STEPS), headers=NDJSON, split=split))
    assert [(it.stage, it.percentage, it.message) for it in told] == [
        ("pulling manifest", None, None),
        ("pulling aa", 0.0, "0 B of 2.0 GB"),
        ("pulling aa", 50.0, "1.0 GB of 2.0 GB"),
        ("pulling bb", 100.0, "400 B of 400 B"),
        ("verifying sha256 digest", None, None),
    ]


def test_the_model_is_named_and_the_end_mark_ends_the_pull() -> None:
    with asked(Reply(lines({"status": "success"}, {"error": "too late"}))) as (provider, server):
        list(provider.pull("qwen3:4b", CancelToken()))
    assert server.requests[0].path == "/api/pull"
    assert server.requests[0].json == {"model": "qwen3:4b", "stream": True}


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(lines(*STEPS[:3])), Truncated, "before the model was complete"),
        (Reply(b""), Truncated, "before the model was complete"),
        (Reply(lines(*STEPS[:3]), cut_after=90), Truncated, ""),
        (Reply(lines(STEPS[0], {"error": "disk full"})), ChatstreamError, "disk full"),
        (
            Reply(lines({"error": "pull model manifest: file does not exist"})),
            ModelNotFound,
            "there is no model qwen3:4b to pull",
        ),
        (Reply.json({"error": "invalid model name"}, 400), ChatstreamError, "invalid model name"),
        (Reply(b"<html>\n"), ProtocolError, "not an answer: <html>"),
        (Reply(b"{}\n"), ProtocolError, "not an answer"),
        (Reply(b"[1]\n"), ProtocolError, "not an answer"),
        (Reply(status=204, framing="close"), ProtocolError, "204"),
    ],
)
def test_a_pull_that_fails(reply: Reply, kind: type[ChatstreamError], said: str) -> None:
    with pytest.raises(kind) as caught:
        pulled(reply)
    assert said in caught.value.message


def test_details_have_the_size_from_the_list() -> None:
    shown = Reply.json({"details": {"family": "qwen3"}})
    tags = Reply.json({"models": [{"name": "qwen3:latest", "size": 5}]})
    with asked(shown, tags) as (provider, _):
        found = awaited(provider.details("qwen3", CancelToken()))
    assert (found.model, found.size, found.family) == ("qwen3", 5, "qwen3")


def test_details_of_a_model_that_is_not_there() -> None:
    missing = Reply.json({"error": "model 'x' not found"}, 404)
    with asked(missing) as (provider, _), pytest.raises(ModelNotFound, match="'x' not found"):
        awaited(provider.details("x", CancelToken()))
