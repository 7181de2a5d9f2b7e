"""Claimed: a reader that is slow slows the server down; memory does not grow, and nothing is lost.

Memory is the peak of the client's own process (VmHWM), told by the client itself at its end. That
the server waits is seen in the kernel's table of connections: bytes in its send queue, and the
number of tokens that it has sent, which stands still. `support.sampling` says how many it sends.
Linux only.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.figures import Figures
from tests.support.mockscript import parse_spec, tokens
from tests.support.mockserver import MockServer
from tests.support.sampling import by_size

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

FEW, MANY = 1000, by_size(60_000, 1_000_000)
LIMIT = 60.0  # seconds for everything that a test waits for
STILL = 5  # looks, a tenth of a second apart, at a number that does not change
SLOWLY = by_size(1, 3)  # seconds of a reader that takes 1 KB/s
GROWTH = 10.0  # MB
RUNS, MANY_EACH = 4, 50_000

# What notes at its very end the most memory that the process ever had.
NOTE = """\
import atexit, pathlib, sys
status, peak = pathlib.Path("/proc/self/status"), pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: peak.write_text(status.read_text()))
"""

CLIENT = """\
from chatstream.__main__ import run
run()
"""

# Several runs, merged: it takes a first event, and the others when it is told to.
MERGED = """\
from chatstream.engine.client import Client
from chatstream.engine.place import START
from chatstream.events import encode
from chatstream.flow import events_in
from chatstream.merge import merge

url, spec, runs = sys.argv[1:]
client = Client(provider="ollama", base_url=url, model=spec)
each = [client.run_at(START, "hi", {}, None, None) for _ in range(int(runs))]
events = events_in(merge({str(number): run.arrivals for number, run in enumerate(each)}))
print(encode(next(events)).decode(), flush=True)
sys.stdin.read()
for event in events:
    print(encode(event).decode())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    with MockServer() as mock:
        yield mock


class Client:
    """A client with a pipe for its standard output, of one page: hardly anything hides there."""

    def __init__(self, folder: Path, script: str, *arguments: str) -> None:
        self._peak = folder / "peak"
        self.process = subprocess.Popen(
            [sys.executable, "-c", NOTE + script, str(self._peak), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def read(self, size: int) -> bytes:
        """At most so many bytes of its output, b"" at the end."""
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), size)

    def end_input(self) -> None:
        """Its standard input ends. Idempotent."""
        if self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None

    def rest(self) -> bytes:
        """End its input; what is still to come of its output."""
        self.end_input()
        return b"".join(iter(lambda: self.read(65536), b""))

    def peak(self) -> float:
        """Wait for the end; the most memory that it had, in MB."""
        _, said = self.process.communicate(timeout=LIMIT)
        assert self.process.returncode == 0, said.decode()
        (line,) = [it for it in self._peak.read_text().splitlines() if it.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6


def asking(server: MockServer, folder: Path, spec: str, *flags: str) -> Client:
    where = ["-p", "ollama", "--base-url", server.url, "-m", spec]
    client = Client(folder, CLIENT, "ask", *where, *flags, "hi")
    client.end_input()
    return client


def wait_until_still(server: MockServer, client: Client) -> tuple[int, int]:
    """Wait until the server does not send any more: the tokens it has sent, and the bytes that
    wait in its send queue."""
    end, seen = time.monotonic() + LIMIT, [(-1, 0)]
    while time.monotonic() < end:
        assert client.process.poll() is None, "it does not wait for its reader"
        seen.append((tokens_sent(server), bytes_in_queue(server)))
        if len(seen) > STILL and len(set(seen[-STILL:])) == 1 and seen[-1][0]:
            return seen[-1]
        select.select([], [], [], 0.1)
    raise AssertionError(f"the server never stops: {seen[-STILL:]}")


def tokens_sent(server: MockServer) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.url}/_stamps") as answer:
        return len(json.load(answer)["sent"])


def bytes_in_queue(server: MockServer) -> int:
    """What the server's kernel could not send yet, over all its connections."""
    return sum(queues(server))


def queues(server: MockServer) -> list[int]:
    """The same, for each connection."""
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(port)]


def text_of(spec: str) -> str:
    return "".join(tokens(parse_spec(spec)))


def shown_in(output: bytes, flags: Sequence[str]) -> str:
    """The answer that standard output tells."""
    if "--json" not in flags:
        return output.decode()
    events = map(ev.decode, output.splitlines())
    return "".join(event.delta for event in events if isinstance(event, ev.Content))


WAYS = [["--plain"], ["--json"], ["--plain", "--buffer", "fixed"]]
MORE_WAYS = [["--plain", "--buffer", "dynamic"], ["--json", "--buffer", "fixed"]]


@pytest.mark.parametrize("flags", WAYS + by_size([], MORE_WAYS), ids=" ".join)
def test_a_slow_reader_stops_the_server_and_costs_no_memory(
    server: MockServer, tmp_path: Path, flags: list[str], figures: Figures
) -> None:
    few = asking(server, tmp_path, f"t={FEW},size=5", *flags)
    few.rest()
    usual = few.peak()

    spec = f"t={MANY},size=5"
    client = asking(server, tmp_path, spec, *flags)
    output = client.read(100)
    sent, queued = wait_until_still(server, client)
    for _ in range(SLOWLY * 10):  # 1 KB/s
        output += client.read(100)
        select.select([], [], [], 0.1)
    later, _ = wait_until_still(server, client)
    output += client.rest()
    peak = client.peak()

    figures.line(
        f"{' '.join(flags)}: {usual:.1f} MB for {FEW:,} tokens, {peak:.1f} MB for {MANY:,};"
        f" blocked after {sent:,}, then {later:,} tokens, {queued:,} bytes in its send queue"
    )
    assert queued > 0, "the server does not wait in its send"
    assert later < MANY * 0.75
    assert peak - usual < GROWTH
    assert shown_in(output, flags) == text_of(spec)
    newest = read(journals(runs_folder())[0])
    assert (newest.outcome, newest.message.content) == ("complete", text_of(spec))


def test_merged_runs_wait_for_their_reader_each_and_cost_no_memory(
    server: MockServer, tmp_path: Path, figures: Figures
) -> None:
    """Four runs of 50,000 tokens, and a reader that stalls after the first event of them."""
    few = Client(tmp_path, MERGED, server.url, f"t={FEW},size=5", str(RUNS))
    few.rest()
    usual = few.peak()

    spec = f"t={MANY_EACH},size=5"
    client = Client(tmp_path, MERGED, server.url, spec, str(RUNS))
    output = client.read(65536)
    sent, _ = wait_until_still(server, client)
    waiting = [queued for queued in queues(server) if queued]
    output += client.rest()
    peak = client.peak()

    figures.line(
        f"{RUNS} runs: {usual:.1f} MB for {FEW:,} tokens each, {peak:.1f} MB for {MANY_EACH:,};"
        f" blocked after {sent:,}, {waiting} bytes in the send queues"
    )
    assert len(waiting) == RUNS, "a server does not wait in its send"
    assert peak - usual < GROWTH
    texts = dict.fromkeys(map(str, range(RUNS)), "")
    for event in map(ev.decode, output.splitlines()):
        if isinstance(event, ev.Content):
            assert event.stream is not None
            texts[event.stream] += event.delta
    assert set(texts.values()) == {text_of(spec)}
    newest = [read(path) for path in journals(runs_folder())[:RUNS]]
    assert {record.message.content for record in newest} == {text_of(spec)}
