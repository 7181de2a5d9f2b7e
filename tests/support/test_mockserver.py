"""The mock server: every protocol says the text of its script, and paced ones keep their time."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.mockscript import batches, parse_spec
from tests.support.mockserver import APIS, MockServer

SCRIPT = "t=300,think=7,kind=cjk,chunk=4"


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    with MockServer() as running:
        yield running


def get(server: MockServer, path: str, **body: object) -> bytes:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(server.url + path, data)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        received: bytes = answer.read()
        return received


def said(frame: dict[str, Any]) -> str:
    """What one frame of any protocol adds to the answer, reasoning or text."""
    choices = frame.get("choices") or [{}]
    parts = frame.get("message") or frame.get("delta") or choices[0].get("delta") or {}
    names = ("thinking", "reasoning_content", "content", "text")
    return "".join(parts.get(name) or "" for name in names)


@pytest.mark.parametrize("body", ["chunked", "close"])
@pytest.mark.parametrize("path", APIS)
def test_a_stream_says_the_text_of_its_script(server: MockServer, path: str, body: str) -> None:
    spec = f"{SCRIPT},body={body}"
    streamed = get(server, path, model=spec, stream=True).decode()
    lines = [line.removeprefix("data: ") for line in streamed.splitlines()]
    frames = [json.loads(line) for line in lines if line.startswith("{")]
    assert (
        "".join(map(said, frames[1:] if "messages" in path else frames))
        == get(server, f"/_text?m={spec}").decode()
    )


def test_the_stamps_are_those_of_the_last_stream(server: MockServer) -> None:
    get(server, "/api/chat?t=100&rate=1000", model="t=7")
    stamps = json.loads(get(server, "/_stamps"))
    assert len(stamps["sent"]) == 100
    assert 0.090 < (stamps["sent"][-1] - stamps["sent"][0]) / 1e9 < 0.5
    assert stamps["t_accept"] <= stamps["t_request"] <= stamps["t_head"] <= stamps["sent"][0]


def test_batches_carry_every_token_once() -> None:
    spec = parse_spec("t=1001,chunk=7,batch=1000,unknown=1")
    parts = batches("openai", spec, True)
    assert sum(count for _, count in parts) == 1001
    assert b"".join(data for data, _ in parts).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
