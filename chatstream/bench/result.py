"""What a benchmark found: the values that are exported, saved and compared. Plain data.

Times are in seconds, everywhere. A latency counts from `t0`, the moment before the first byte of
the request went to the kernel on a connected socket.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatstream.events import Event, ServerTimes

RESULT_VERSION = 1

OK = "ok"
"""The `status` of a whole answer. The others: `truncated`, `stream_error`, `http_NNN`, `reset`,
`connect`, `cancelled`, and `timeout_connect`, `timeout_first_token`, `timeout_between_tokens`,
`timeout_total`."""


class Stall(msgspec.Struct, frozen=True):
    """A gap that is much too long: it began `at` seconds after t0."""

    at: float
    seconds: float


class Sample(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run.

    `arrivals` are the receive instants that brought at least one token, in seconds since t0;
    `deltas_at` is the number of deltas in each. `lags` is how late this process was to each delta.
    `tokens` is N: from the server's usage, else its counters, else (`approximate`) the number of
    deltas. `first_tokens` is how many of them the first arrival brought. `late` is how far behind
    the intended start of an open loop the request was sent. `kernel`: receive times are the
    kernel's.
    """

    number: int
    arm: str
    cold: bool = False
    status: str = OK
    message: str | None = None
    started: float = 0.0  # since the benchmark began
    late: float = 0.0
    reused: bool = False
    dns: float | None = None
    tcp: float | None = None
    tls: float | None = None
    rtt: float | None = None
    ttfb: float | None = None
    ttft: float | None = None
    ttfa: float | None = None
    duration: float | None = None  # until the last token
    tokens: int | None = None
    approximate: bool = False
    deltas: int = 0
    first_tokens: float = 0.0
    tpot: float | None = None
    arrivals: list[float] = []
    deltas_at: list[int] = []
    stalls: list[Stall] = []
    server: ServerTimes | None = None
    lags: list[float] = []
    kernel: bool = False

    @property
    def connect(self) -> float | None:
        """Seconds that a new connection took; None on a reused one."""
        phases = [it for it in (self.dns, self.tcp, self.tls) if it is not None]
        return sum(phases) if phases else None

    @property
    def gaps(self) -> list[float]:
        """The seconds between arrivals."""
        return [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


class Summary(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One metric of one arm, over `n` values of runs that are not cold.

    `low` and `high` are the 95 % interval of the median; None where n is too small for one.
    A percentile is None where n is too small for it. Infinite values, those of failed runs, are
    None too; `failed` says how many there are.
    """

    metric: str
    n: int
    failed: int = 0
    median: float | None = None
    low: float | None = None
    high: float | None = None
    min: float | None = None
    max: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class Arm(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that is measured: a model, a use of the cache, streamed or not."""

    name: str
    provider: str
    model: str
    cache: Literal["bust", "reuse"] = "bust"
    streamed: bool = True
    statuses: dict[str, int] = {}  # of all its runs, the cold one too
    summaries: list[Summary] = []
    cold: Sample | None = None


class Client(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Our own part in the figures: how late this process was to what the kernel had received."""

    clock: Literal["kernel", "user"]
    verdict: Literal["TRUSTED", "CLIENT-BOUND"]
    reason: str
    lag_p50: float = 0.0
    lag_p99: float = 0.0
    lag_max: float = 0.0
    cpu: float = 0.0  # of one core, while it measured


class Gate(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A condition under which the benchmark fails (`--fail-if`), and what became of it."""

    text: str
    failed: bool
    measured: float | None = None  # None: infinite, or nothing to measure
    limit: float | None = None
    note: str | None = None


class Comparison(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One metric against another arm or a baseline. `ratio` is new / old, of the medians.

    The verdict against a baseline is REGRESSED, OK or INCONCLUSIVE; between two arms it is
    FASTER, SLOWER, SAME or INCONCLUSIVE.
    """

    metric: str
    arm: str
    against: str
    old: float | None
    new: float | None
    ratio: float | None = None
    low: float | None = None  # the 95 % interval of the ratio
    high: float | None = None
    p: float | None = None  # Mann-Whitney, two-sided
    verdict: Literal["REGRESSED", "OK", "FASTER", "SLOWER", "SAME", "INCONCLUSIVE"]
    more_runs: int | None = None  # about this many more runs would decide


class Throughput(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the server delivered in all, over the time in which runs that count were open.

    `approximate`: in some runs each delta counts as a token.
    """

    requests_per_second: float
    tokens_per_second: float
    approximate: bool = False


class Result(Event, tag="result", kw_only=True):
    """A whole benchmark; also the last event of `bench --json`.

    `exit_status`: 0 pass, 1 a gate failed, 3 too many failures, 4 inconclusive with --strict,
    5 client-bound with --strict, 130 stopped, with what was measured until then.
    """

    version: int  # RESULT_VERSION; in every file, so it has no default
    chatstream: str
    started_at: str  # RFC 3339, UTC
    target: str  # the address that was asked, without secrets
    settings: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)
    definitions: dict[str, str] = msgspec.field(default_factory=dict)
    samples: list[Sample] = msgspec.field(default_factory=list)
    arms: list[Arm] = msgspec.field(default_factory=list)
    client: Client | None = None
    throughput: Throughput | None = None  # None where runs came one after another
    gates: list[Gate] = msgspec.field(default_factory=list)
    comparisons: list[Comparison] = msgspec.field(default_factory=list)
    baseline: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)
    elapsed: float = 0.0
    exit_status: int = 0


def encode(result: Result) -> bytes:
    """The result as JSON, one line."""
    return msgspec.json.encode(result)


_decoder: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)


def decode(data: bytes | str) -> Result:
    """A result of `encode`. Raises `ValueError` for anything else."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a result of chatstream bench: {error}") from error
