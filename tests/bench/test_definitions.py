"""The definitions: all of them, and as the code has them."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from chatstream.bench.definitions import DEFINITIONS, explain
from chatstream.bench.measure import MIN_STALL_SECONDS, STALL_MEDIAN_GAPS
from chatstream.bench.result import Client, Sample
from chatstream.bench.stats import Verdict, percentile
from chatstream.events import Phase

TOLD = {"ttfb", "ttft", "ttfa", "tpot", "duration", "late"}
"""The figures of a sample that are shown as they are."""


def test_every_term_of_the_issue_is_defined() -> None:
    terms = {"t0", "ttft_cold", "arrival", "gap", "N", "stall", "status", "failures"}
    assert terms | {"interval", "percentiles", "lag", "client"} <= set(DEFINITIONS)


def test_every_figure_of_a_sample_is_defined() -> None:
    assert set(Sample.__struct_fields__) >= TOLD
    assert set(DEFINITIONS) >= TOLD


@pytest.mark.parametrize("width", [40, 80, 132])
def test_the_explanation_fits_its_width_and_loses_nothing(width: int) -> None:
    lines = explain(width)
    assert max(map(len, lines)) <= width
    terms = [line for line in lines if not line.startswith(" ")]
    assert terms == list(DEFINITIONS)
    words = [word for term, text in DEFINITIONS.items() for word in (term, *text.split())]
    told = [word for line in lines for word in line.split()]
    assert "".join(told) == "".join(words)  # a word may be broken at its hyphen


def test_every_status_is_named() -> None:
    phases = [*get_args(Phase), "total"]
    statuses = ["ok", "truncated", "stream_error", "http_NNN", "reset", "connect", "cancelled"]
    for status in [*statuses, *(f"timeout_{phase}" for phase in phases)]:
        assert status in DEFINITIONS["status"]


def test_every_verdict_is_named() -> None:
    for verdict in get_args(Verdict):
        assert f"{verdict}:" in DEFINITIONS["verdict"]
    for verdict in get_args(get_type_hints(Client)["verdict"]):
        assert verdict in DEFINITIONS["client"]


def test_the_limits_are_those_of_the_code() -> None:
    assert (
        f"{round(MIN_STALL_SECONDS * 1000)} ms and over {STALL_MEDIAN_GAPS} x"
        in DEFINITIONS["stall"]
    )
    assert "need at least 29, 59 and 299 values" in DEFINITIONS["percentiles"]
    for q, n in ((0.90, 29), (0.95, 59), (0.99, 299)):
        assert percentile([1.0] * n, q) is not None
        assert percentile([1.0] * (n - 1), q) is None
