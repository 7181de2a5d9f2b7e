"""Claimed: every figure says what it hangs on, and none is made up where there is nothing."""

from __future__ import annotations

import msgspec
import pytest

from chatstream.bench.figures import (
    cell,
    cold_ttft,
    figure,
    gaps_of,
    interval,
    is_approximate,
    median_of,
    parts_of,
    per_arrival,
    percentiles_of,
    row,
    runs_of,
    summaries_of,
    ttfts_of,
)
from chatstream.bench.layout import Span
from chatstream.bench.result import Arm, Sample, Summary
from chatstream.events import ServerTimes
from tests.support.results import result

DASH = "\u2013"
TTFT = Summary(
    metric="ttft", n=12, median=0.396, low=0.37, high=0.407, min=0.365, max=0.433, p90=0.43
)
PACE = msgspec.structs.replace(TTFT, metric="tpot", median=0.018, low=0.0009, high=0.0184)


def texts(spans: list[Span]) -> list[str]:
    return [text for text, _ in spans]


def bundled(tokens: int, deltas_at: list[int], *, approximate: bool = False) -> Sample:
    arrivals = [0.4 + 0.02 * n for n in range(len(deltas_at))]
    return Sample(
        number=1,
        arm="a",
        tokens=tokens,
        deltas=sum(deltas_at),
        deltas_at=deltas_at,
        arrivals=arrivals,
        approximate=approximate,
    )


def test_a_figure_has_the_unit_of_its_metric() -> None:
    told = [figure("ttft", 0.396), figure("tokens_per_second", 55.4), figure("stalls", 2.0)]
    assert told == ["396 ms", "55.4", "2.00"]
    assert figure("of tomorrow", 0.5) == "0.500"
    assert figure("ttft", None) == DASH


def test_only_what_hangs_on_the_count_of_tokens_is_approximate() -> None:
    assert figure("tpot", 0.018, True) == "≈18.0 ms"
    assert figure("tokens_per_second", 55.4, True) == "≈55.4"
    assert figure("ttft", 0.396, True) == "396 ms"
    assert texts(row(PACE, True)) == ["≈18.0 ms", "≈[900 µs, 18.4 ms]", "≈365 ms", "≈433 ms"]


def test_an_interval_names_its_unit_once_where_there_is_one() -> None:
    assert interval(TTFT, False) == "[370, 407] ms"
    assert interval(PACE, False) == "[900 µs, 18.4 ms]"
    rate = Summary(metric="tokens_per_second", n=9, median=55.4, low=54.0, high=56.0)
    assert interval(rate, True) == "≈[54.0, 56.0]"
    assert interval(Summary(metric="ttft", n=3, median=0.4), False) == DASH


def test_a_figure_that_failures_made_infinite_reads_failed() -> None:
    ill = msgspec.structs.replace(TTFT, failed=2, max=None, high=None, p90=None)
    assert texts(row(ill, False)) == ["396 ms", "[370 ms, failed]", "365 ms", "failed"]
    # Twelve values are too few for p90, failures or not.
    assert cell(ill, ill.p90, False, 29) == DASH
    assert cell(msgspec.structs.replace(ill, n=29), ill.p90, False, 29) == "failed"


def test_a_metric_that_is_not_there_is_a_row_of_dashes() -> None:
    assert texts(row(None, False, ["p90"])) == [DASH] * 5


def test_percentiles_are_told_from_as_many_values_as_each_needs() -> None:
    told = [percentiles_of([msgspec.structs.replace(TTFT, n=n)]) for n in (28, 29, 59, 299)]
    assert told == [[], ["p90"], ["p90", "p95"], ["p90", "p95", "p99"]]
    assert percentiles_of([None]) == []


def test_only_whole_runs_that_are_not_cold_are_told_of() -> None:
    made = result(n=8, failures=3)
    runs = runs_of(made, made.arms[0])
    assert [it.number for it in runs] == [2, 3, 4, 5, 6]
    assert sorted(ttfts_of(made, made.arms[0]))[-3:] == [float("inf")] * 3
    assert gaps_of(runs[:1]) == runs[0].gaps


def test_empty_summaries_are_none() -> None:
    arm = Arm(name="a", provider="p", model="m", summaries=[TTFT, Summary(metric="tpot", n=0)])
    assert summaries_of(arm) == {"ttft": TTFT}


def test_one_approximate_run_makes_the_arm_approximate() -> None:
    assert not is_approximate([bundled(4, [1, 1])])
    assert is_approximate([bundled(4, [1, 1]), bundled(2, [1, 1], approximate=True)])


def test_a_median_is_one_of_what_is_known() -> None:
    assert median_of([None, 3.0, 1.0, None, 2.0]) == 2.0
    assert median_of([None]) is None


def test_the_cold_ttft_has_the_connection_in_it() -> None:
    cold = Sample(number=1, arm="a", cold=True, ttft=0.4, tcp=0.001, tls=0.012)
    arm = Arm(name="a", provider="p", model="m", cold=cold)
    assert cold_ttft(arm) == pytest.approx(0.413)
    for run in (None, msgspec.structs.replace(cold, status="reset")):
        assert cold_ttft(msgspec.structs.replace(arm, cold=run)) is None


def test_the_parts_of_ttft_add_up_to_its_median() -> None:
    runs = [
        Sample(number=n, arm="a", ttft=0.4, rtt=0.001, server=ServerTimes(load=0.1, prompt=0.2))
        for n in range(3)
    ]
    parts = parts_of(runs)
    assert (parts.network, parts.load, parts.prompt) == (0.001, 0.1, 0.2)
    assert parts.server == pytest.approx(0.3)
    assert parts.rest == pytest.approx(0.099)


def test_a_server_that_tells_nothing_leaves_nothing_explained() -> None:
    silent = [Sample(number=1, arm="a", ttft=0.4, server=ServerTimes(total=3.0))]
    assert parts_of(silent) == (None, None, None, None)
    assert parts_of([]).rest is None


def test_a_server_that_tells_too_much_leaves_no_rest_below_zero() -> None:
    boasting = [Sample(number=1, arm="a", ttft=0.4, server=ServerTimes(prompt=0.5))]
    assert parts_of(boasting).rest == 0.0


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        pytest.param([bundled(40, [1] * 40)], None, id="one-each"),
        pytest.param([bundled(41, [1] * 40)], None, id="an-end-token-besides"),
        pytest.param([bundled(10, [5, 1, 4])], "mean 3.33, max 5.00", id="coalesced"),
        pytest.param([bundled(40, [1] * 10)], "mean 4.00, max ≈4.00", id="bundled-deltas"),
        pytest.param(
            [bundled(10, [5, 1, 4], approximate=True)], "mean ≈3.33, max ≈5.00", id="no-count"
        ),
        pytest.param([bundled(48, [48])], None, id="in-one-piece"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_tokens_per_arrival_are_told_where_arrivals_bring_more_than_one(
    runs: list[Sample], told: str | None
) -> None:
    assert per_arrival(runs) == told
