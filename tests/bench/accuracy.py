"""What the measuring core says, against what a server that logs every send has sent.

The server is a process of its own: `python -m tests.bench.accuracy` prints its address, and for
each line on its standard input the logs since the line before, as JSON. On Linux the monotonic
clock is the same for all processes.
"""

from __future__ import annotations

import math
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

import msgspec

from chatstream.bench.result import OK, Client, Sample
from chatstream.bench.selftest import (
    ARM,
    GAP_P99_SECONDS,
    KERNEL_P50_SECONDS,
    KERNEL_P99_SECONDS,
    SLACK_SECONDS,
    USER_P50_SECONDS,
    USER_P99_SECONDS,
    arrival_errors,
    found,
    gap_errors,
    p99,
    play,
    sure_errors,
    true_stalls,
)
from chatstream.bench.source import Source, Wires
from chatstream.bench.truth import Log, Script, Truth
from chatstream.bench.verdict import client_of
from chatstream.cancel import CancelToken
from chatstream.collector import resting
from chatstream.engine.measuring import Measuring
from chatstream.engine.settings import Settings
from tests.bench.rig import Failed, Rig
from tests.bench.rows import Row
from tests.support.listener import Listener
from tests.support.tls import TLSStream, make_certificate

STREAMS = (1, 16, 64, 256)
AT_ONCE = 100
FRONT_DELAY = 0.150
FRONT_DIFFERENCE = 0.005
"""Seconds: how slow the TLS front is, and by how much a TTFT may differ because of that."""

_logs = msgspec.json.Decoder(list[Log])


def rows(rig: Rig) -> Iterator[Row]:
    """Errors against their limits, in one row each: `ours` is the error, `theirs` the limit."""
    with Served() as server:
        yield from _one_stream(server, rig)
        yield from _many_streams(server, rig)
        yield from _beside_hogs(server, rig)
        yield from _stalls(server, rig)
        yield from _slow_front(server, rig)


class Served:
    """The truth server as a process."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench.accuracy"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self._line().decode().strip()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def logs(self) -> dict[str, Log]:
        """What was asked since the last call, by its prompt."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return {log.prompt: log for log in _logs.decode(self._line())}

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Run(NamedTuple):
    """Samples with their logs, and the share of a core that the client used."""

    pairs: list[tuple[Sample, Log]]
    cpu: float

    @property
    def errors(self) -> list[float]:
        """Of the arrival of every delta, in seconds."""
        return [abs(error) for pair in self.pairs for error in arrival_errors(*pair)]

    @property
    def sure(self) -> list[float]:
        """The same without the sends that the machine held up: what a miss comes from."""
        return [abs(error) for pair in self.pairs for error in sure_errors(*pair)]

    @property
    def lags(self) -> list[float]:
        """What the core says of itself."""
        return [lag for sample, _ in self.pairs for lag in sample.lags]

    @property
    def client(self) -> Client:
        """The verdict on this process."""
        return client_of([sample for sample, _ in self.pairs], self.cpu)


def _wires(url: str, *, kernel: bool = True, ca_file: str | None = None) -> Measuring:
    settings = Settings(provider="ollama", base_url=url, ca_file=ca_file)
    return Measuring({ARM.name: settings}, kernel=kernel)


def _play(server: Served, wires: Wires, asked: Sequence[tuple[Source, Script]]) -> Run:
    """Raises `Failed` when an answer is not whole."""
    with resting():
        began, spent = time.monotonic(), time.process_time()
        samples = play(wires, asked, CancelToken())
        cpu = (time.process_time() - spent) / (time.monotonic() - began)
    logs = server.logs()
    pairs = [(sample, logs[prompt]) for prompt, sample in samples]
    for sample, log in pairs:
        if sample.status != OK or sample.deltas != len(log.sends):
            raise Failed(f"{sample.deltas} of {len(log.sends)} deltas came, {sample.status}")
    return Run(pairs, cpu)


def _streams(server: Served, count: int, script: Script, *, kernel: bool = True) -> Run:
    with _wires(server.url, kernel=kernel) as wires:
        return _play(server, wires, [(wires.source(ARM), script) for _ in range(count)])


def _row(what: str, errors: Sequence[float], limits: Sequence[float]) -> Row:
    """In seconds, one of each for a run."""
    ours, theirs = ([it * 1e3 for it in seconds] for seconds in (errors, limits))
    return Row(f"accuracy: {what}", 1.0, ours, theirs, "ms")


def _share(what: str, good: int, of: int) -> Row:
    """Met when all are good."""
    return Row(f"accuracy: {what}", 1.0, [of], [good or math.nan], "")


# ---- T1


def _one_stream(server: Served, rig: Rig) -> Iterator[Row]:
    script = Script(tokens=100 if rig.quick else 400, gap=0.005, first=0.05)
    for name, kernel, p50_limit, p99_limit in (
        ("kernel", True, KERNEL_P50_SECONDS, KERNEL_P99_SECONDS),
        ("user clock", False, USER_P50_SECONDS, USER_P99_SECONDS),
    ):
        runs = [_streams(server, 1, script, kernel=kernel) for _ in range(rig.pairs(5))]
        if any(run.client.clock != name.split()[0] for run in runs):
            raise Failed("the kernel gives no receive times here")
        yield _row(f"{name}, p50", [median(it.errors) for it in runs], [p50_limit] * len(runs))
        yield _row(f"{name}, p99", [p99(it.errors) for it in runs], [p99_limit] * len(runs))
        held = sum(len(it.errors) - len(it.sure) for it in runs)
        sure = [p99(it.sure) for it in runs]
        yield _row(f"{name}, p99 without {held} held sends", sure, [p99_limit] * len(runs))
        if kernel:
            gaps = [p99(gap_errors(*run.pairs[0])) for run in runs]
            yield _row("kernel, gaps, p99", gaps, [GAP_P99_SECONDS] * len(runs))


# ---- T4


def _many_streams(server: Served, rig: Rig) -> Iterator[Row]:
    script = Script(tokens=20 if rig.quick else 150, gap=0.020, first=1.0)
    for count in STREAMS:
        run = _streams(server, count, script)
        yield _row(
            f"{count} streams, p99 / own lag", [p99(run.errors)], [p99(run.lags) + SLACK_SECONDS]
        )


# ---- T5


def _beside_hogs(server: Served, rig: Rig) -> Iterator[Row]:
    """As many busy processes as cores, and one more on the only core that this one may use."""
    script = Script(tokens=100 if rig.quick else 400, gap=0.005, first=0.05)
    cores = os.sched_getaffinity(0)
    core = max(cores)
    with _hogs([*[cores] * len(cores), {core}]):
        os.sched_setaffinity(0, {core})
        try:
            runs = [_streams(server, 1, script) for _ in range(rig.pairs(5))]
        finally:
            os.sched_setaffinity(0, cores)
    said = sum(run.client.verdict == "CLIENT-BOUND" for run in runs)
    yield _share("beside hogs: says CLIENT-BOUND", said, len(runs))
    for name, share, limit in (
        ("p50", median, KERNEL_P50_SECONDS),
        ("p99", p99, KERNEL_P99_SECONDS),
    ):
        errors = [share(run.errors) for run in runs]
        yield _row(f"beside hogs, kernel, {name}", errors, [3 * limit] * len(runs))


@contextmanager
def _hogs(affinities: Sequence[set[int]]) -> Iterator[None]:
    """Processes that are busy all the time, each on its cores."""
    code = "import os, sys\nos.sched_setaffinity(0, map(int, sys.argv[1:]))\nwhile True: pass"
    hogs = [
        subprocess.Popen([sys.executable, "-c", code, *map(str, cores)]) for cores in affinities
    ]
    try:
        time.sleep(0.2)  # until they have started
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


# ---- T6


def _stalls(server: Served, rig: Rig) -> Iterator[Row]:
    """Up to two stalls in a stream. The true ones are those of the log, by the same rule."""
    chance = random.Random(6)
    true = told = hits = right = scripted = streams = 0
    for _ in range(1 if rig.quick else 10):
        scripts = [_stalling(chance) for _ in range(AT_ONCE)]
        with _wires(server.url) as wires:
            run = _play(server, wires, [(wires.source(ARM), script) for script in scripts])
        for sample, log in run.pairs:
            stalls = true_stalls(sample, log)
            true += len(stalls)
            told += len(sample.stalls)
            hits += found(stalls, sample.stalls)
            right += found(sample.stalls, stalls)
            scripted += len(log.script.stalls)
        streams += len(run.pairs)
    if true < scripted:
        raise Failed(f"of {scripted} stalls {true} were sent")
    yield _share(f"{streams} streams, stalls, precision", right, told)
    yield _share(f"{streams} streams, stalls, recall", hits, true)


def _stalling(chance: random.Random) -> Script:
    where = chance.sample(range(1, 40), chance.choice((0, 1, 2)))
    stalls = {index: chance.uniform(0.3, 0.8) for index in where}
    return Script(tokens=40, gap=0.020, first=0.3, stalls=stalls)


# ---- T3


def _slow_front(server: Served, rig: Rig) -> Iterator[Row]:
    """The median TTFT of new connections and of reused ones through a slow TLS front."""
    script = Script(tokens=2, gap=0.001, first=0.02)
    new: list[float] = []
    reused: list[float] = []
    with Front(int(server.url.rpartition(":")[2])) as front:
        for _ in range(rig.pairs(11)):
            with _wires(front.url, ca_file=str(front.ca_file)) as wires:
                source = wires.source(ARM)
                for ttfts in (new, reused):
                    ((sample, _),) = _play(server, wires, [(source, script)]).pairs
                    if sample.reused != (ttfts is reused) or sample.ttft is None:
                        raise Failed("the connection was not reused")
                    if not sample.reused and (sample.tls or 0.0) < FRONT_DELAY:
                        raise Failed(f"the slow front took only {sample.tls} s")
                    ttfts.append(sample.ttft)
    difference = abs(median(new) - median(reused))
    yield _row("TTFT, new - reused, slow TLS", [difference], [FRONT_DIFFERENCE])


class Front(Listener):
    """Speaks TLS for a server on loopback, after a delay that each new connection pays."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._upstream = port
        self._cleanup = ExitStack()

    @property
    def url(self) -> str:
        """https://localhost:PORT"""
        return f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory()))
        certificate = make_certificate(folder)
        self.ca_file = certificate.ca
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert, certificate.key)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._cleanup.close()

    def handle(self, number: int, sock: socket.socket) -> None:
        """Pass bytes both ways until one side ends."""
        time.sleep(FRONT_DELAY)
        client = TLSStream(sock, self._context)
        client.handshake()
        with socket.create_connection(("127.0.0.1", self._upstream)) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            down = threading.Thread(target=_down, args=(upstream, client), daemon=True)
            down.start()
            while data := client.recv(65536):
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_RDWR)
            down.join()


def _down(upstream: socket.socket, client: TLSStream) -> None:
    with suppress(OSError):
        while data := upstream.recv(65536):
            client.sendall(data)


# ---- the server's process


def main() -> None:
    """Serve until standard input ends."""
    with Truth() as truth:
        print(truth.url, flush=True)
        told = 0
        for _ in sys.stdin:
            logs = truth.logs[told:]
            told += len(logs)
            print(msgspec.json.encode(logs).decode(), flush=True)


if __name__ == "__main__":
    main()
