"""Results of benchmarks that never ran: realistic, the same for the same seed.

Summaries are filled here with plain textbook arithmetic, so that what shows or stores a result
needs nothing of what computes one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from chatstream.bench.result import OK, Arm, Client, Result, Sample, Stall, Summary
from chatstream.events import ServerTimes

MODELS = ("qwen3:0.6b", "llama3.2:1b", "gemma3:1b", "phi4-mini:3.8b")
SPEED = (1.0, 1.6, 1.3, 2.4)
TOKENS = 48


def sample(
    rng: Random,
    number: int,
    arm: str,
    *,
    speed: float = 1.0,
    cold: bool = False,
    streamed: bool = True,
    status: str = OK,
) -> Sample:
    """One run: a TTFT of about 0.4 s, a token each 18 ms, now and then a stall.

    `speed` stretches all times. A run that is not `OK` stops after eight tokens.
    """
    load = 1.1 if cold else 0.02
    prompt = 0.3 * speed * rng.lognormvariate(0.0, 0.08)
    ttft = load + prompt + 0.06 * rng.lognormvariate(0.0, 0.3)
    count = TOKENS if status == OK else 8
    arrivals = [ttft]
    stalls = []
    for n in range(1, count):
        gap = 0.018 * speed * rng.lognormvariate(0.0, 0.1)
        if n == 30 and rng.random() < 0.2:
            gap += 0.4
            stalls.append(Stall(round(arrivals[-1], 6), round(gap, 6)))
        arrivals.append(arrivals[-1] + gap)
    arrivals = [round(at, 6) for at in arrivals]
    if not streamed:
        arrivals, stalls = arrivals[-1:], []
    ok = status == OK
    return Sample(
        number=number,
        arm=arm,
        cold=cold,
        status=status,
        message=None if ok else "the answer ended before it was whole",
        started=round(number * 1.4, 3),
        reused=not cold,
        dns=0.0004 if cold else None,
        tcp=0.0011 if cold else None,
        rtt=round(0.0003 * rng.lognormvariate(0.0, 0.2), 6),
        ttfb=round(arrivals[0] * 0.998, 6),
        ttft=arrivals[0],
        ttfa=arrivals[0],
        duration=arrivals[-1],
        tokens=count if ok else None,
        approximate=not ok,
        deltas=count,
        first_tokens=1.0 if streamed else float(count),
        tpot=(arrivals[-1] - arrivals[0]) / (count - 1) if ok and streamed else None,
        arrivals=arrivals,
        deltas_at=[1] * count if streamed else [count],
        stalls=stalls,
        server=ServerTimes(total=arrivals[-1] - 0.01, load=load, prompt=prompt) if ok else None,
        lags=[round(0.00005 * rng.lognormvariate(0.0, 0.5), 7) for _ in arrivals],
        kernel=True,
    )


def _rate(it: Sample) -> list[float]:
    return [1 / it.tpot] if it.tpot else []


METRICS: dict[str, Callable[[Sample], list[float]]] = {
    "ttft": lambda it: [] if it.ttft is None else [it.ttft],
    "ttfa": lambda it: [] if it.ttfa is None else [it.ttfa],
    "ttfb": lambda it: [] if it.ttfb is None else [it.ttfb],
    "tpot": lambda it: [] if it.tpot is None else [it.tpot],
    "gap": lambda it: it.gaps,
    "tokens_per_second": _rate,
    "duration": lambda it: [] if it.duration is None else [it.duration],
    "connect": lambda it: [] if it.connect is None else [it.connect],
    "stalls": lambda it: [float(len(it.stalls))],
}


def summary(metric: str, samples: list[Sample]) -> Summary:
    """The figures of one metric over the runs that are not cold; failed ones are +∞."""
    warm = [it for it in samples if not it.cold]
    failed = sum(it.status != OK for it in warm)
    values = sorted(v for it in warm if it.status == OK for v in METRICS[metric](it))
    values += [math.inf] * failed
    n = len(values)
    if not n:
        return Summary(metric=metric, n=0)
    edge = max(0, math.floor(n / 2 - 0.98 * math.sqrt(n)))

    def told(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def percentile(share: float, least: int) -> float | None:
        return told(values[math.ceil(share * n) - 1]) if n >= least else None

    return Summary(
        metric=metric,
        n=n,
        failed=failed,
        median=told(statistics.median(values)),
        low=told(values[edge]) if n >= 6 else None,
        high=told(values[n - 1 - edge]) if n >= 6 else None,
        min=told(values[0]),
        max=told(values[-1]),
        p90=percentile(0.9, 29),
        p95=percentile(0.95, 59),
        p99=percentile(0.99, 299),
    )


def summed(arm: Arm, samples: list[Sample]) -> Arm:
    """The arm with statuses, summaries and the cold run of its samples."""
    mine = [it for it in samples if it.arm == arm.name]
    statuses: dict[str, int] = {}
    for it in mine:
        statuses[it.status] = statuses.get(it.status, 0) + 1
    return msgspec.structs.replace(
        arm,
        statuses=statuses,
        summaries=[it for it in (summary(m, mine) for m in METRICS) if it.n > it.failed],
        cold=next((it for it in mine if it.cold), None),
    )


def resummed(made: Result) -> Result:
    """The result after its samples were changed."""
    arms = [summed(arm, made.samples) for arm in made.arms]
    return msgspec.structs.replace(made, arms=arms)


def result(
    n: int = 12,
    arms: int = 1,
    seed: int = 1,
    *,
    failures: int = 0,
    blocking: bool = False,
    **changes: Any,
) -> Result:
    """`n` runs of each of `arms` models and a cold one each before.

    The last `failures` runs of each arm are truncated. `blocking` adds an arm that is not
    streamed. `changes` are fields of the `Result`.
    """
    rng = Random(seed)
    shown = [Arm(name=m, provider="ollama", model=m) for m in MODELS[:arms]]
    if blocking:
        shown.append(Arm(name="blocking", provider="ollama", model=MODELS[0], streamed=False))
    samples: list[Sample] = []
    for run in range(n + 1):
        for at, arm in enumerate(shown):
            made = sample(
                rng,
                len(samples) + 1,
                arm.name,
                speed=SPEED[at] if arm.streamed else 1.0,
                cold=run == 0,
                streamed=arm.streamed,
                status=OK if run == 0 or run <= n - failures else "truncated",
            )
            samples.append(made)
    fields: dict[str, Any] = {
        "version": 1,
        "chatstream": "0.5.0",
        "started_at": "2026-03-02T09:30:00Z",
        "target": "http://127.0.0.1:11434",
        "settings": {"time": 30.0, "precision": 0.05, "max_tokens": TOKENS, "cache": "bust"},
        "definitions": {"ttft": "until the first generated token of any kind"},
        "samples": samples,
        "arms": [summed(arm, samples) for arm in shown],
        "client": Client(
            clock="kernel",
            verdict="TRUSTED",
            reason="client lag p99 0.21 ms, at most 2 ms is fine",
            lag_p50=0.00005,
            lag_p99=0.00021,
            lag_max=0.0004,
            cpu=0.06,
        ),
        "elapsed": 19.6,
    }
    return Result(**fields | changes)
