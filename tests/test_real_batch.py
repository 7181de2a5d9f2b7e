"""A batch at servers that nobody here wrote: llama.cpp with two slots, aimock with its chaos."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.place import START, resolved_at
from chatstream.engine.pool import Pool
from chatstream.many.asking import Asker
from chatstream.many.batch import Batch
from chatstream.many.gate import Gates
from chatstream.many.inputs import Line
from chatstream.many.requests import requests_of
from tests.support.batches import lines_in
from tests.support.client import run_here, server_flags
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.sampling import by_size
from tests.support.unavailable import require

pytestmark = pytest.mark.real

COUNT = by_size(20, 200)
PLAIN = "plain text"


@pytest.mark.parametrize(
    ("chaos", "retries"),
    [
        pytest.param(["--chaos-ratelimit", "0.3"], 0, id="429"),
        pytest.param(["--chaos-drop", "0.2", "--chaos-disconnect", "0.2"], 20, id="500-and-cut"),
    ],
)
def test_aimock_loses_no_line_in_its_chaos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chaos: list[str], retries: int
) -> None:
    """A limit costs no retry: there are none. What breaks off does."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("CHATSTREAM_RETRY_DELAY", "0.05")
    source, out = tmp_path / "prompts.txt", tmp_path / "out.jsonl"
    source.write_text(f"{PLAIN}\n" * COUNT)
    with require(aimock(*chaos)) as server:
        flags = [*server_flags("openai", f"{server.url}/v1"), "--retries", str(retries)]
        done = run_here(["batch", str(source), "--out", str(out), "-j", "8", *flags])
    assert done.status == 0, done.stderr
    lines = lines_in(out)
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert {line["content"] for line in lines} == {fixture(PLAIN)["response"]["content"]}


def test_llamacpp_answers_two_at_a_time_and_the_others_queue() -> None:
    with require(llama_server("tiny")) as server, closing(Pool(gates := Gates())) as pool:
        flags = {"provider": "openai", "base_url": server.url, "model": "tiny", "api_key": "k"}
        ask = Asker(resolved_at(START, {**flags, "max_tokens": 60}), pool)
        batch = Batch(ask, gates, CancelToken(), most=6)
        lines = (Line(number, prompt=f"Say {number}.") for number in range(1, 13))
        found, queued = [], 0
        for it in batch.results(requests_of(lines)):
            running, writing = batch.under_way
            queued = max(queued, running - writing if writing else 0)
            found += [it] if it is not None else []
    assert [it.index for it in found] == list(range(12))
    assert all(it.content and it.error is None for it in found)
    assert queued >= 2
