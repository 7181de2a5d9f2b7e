"""Claimed: what the benchmarks compute from their measurements; they themselves run in `bench`."""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import rendering
from tests.bench.lateness import lateness
from tests.bench.peers import live_markdown, sliding_window
from tests.bench.rig import Failed, Rig
from tests.bench.rows import Row, compare


def test_a_row_is_judged_by_the_median_of_the_ratios_of_its_pairs() -> None:
    row = Row("it", 1.15, [1.0, 2.2, 90.0], [1.0, 2.0, 3.0], "s")
    assert row.ratio == pytest.approx(1.1)
    assert row.met
    assert not Row("it", 1.05, row.ours, row.theirs, "s").met


def test_pairs_are_measured_in_turns_and_the_first_does_not_count() -> None:
    clock = map(float, itertools.count(1))
    row = compare("it", 1.0, lambda: next(clock), lambda: next(clock), pairs=2)
    assert (row.ours, row.theirs) == ([3.0, 5.0], [4.0, 6.0])


def test_a_token_is_as_late_as_the_read_that_brings_its_last_byte() -> None:
    reads = [(3, 100), (10, 200), (12, 350)]
    assert lateness([0, 50, 300], [2, 8, 2], reads) == [100, 150, 50]


def test_an_output_of_another_length_than_was_sent_is_no_measurement() -> None:
    with pytest.raises(Failed, match="12 bytes were sent, 10 came out"):
        lateness([0, 1], [6, 6], [(10, 5)])
    with pytest.raises(Failed, match="6 bytes were sent, 0 came out"):
        lateness([0], [6], [])


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks are for Linux")
def test_the_peak_is_that_of_the_program_and_not_of_who_measures_it(tmp_path: Path) -> None:
    rig = Rig("", tmp_path, quick=True)
    ours = bytearray(os.urandom(1)) * 100_000_000
    usual = rig.peak([sys.executable, "-S", "-c", ""])
    large = rig.peak([sys.executable, "-S", "-c", "bytes(b'x' * 50_000_000)"])
    assert 1 < usual < 50 < len(ours) / 1e6
    assert 45 < large - usual < 60
    with pytest.raises(Failed, match="exit status 3"):
        rig.peak([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks are for Linux")
def test_a_prompt_is_measured_until_it_is_shown_and_has_to_be_shown(tmp_path: Path) -> None:
    rig = Rig("", tmp_path, quick=True)
    prompt = "import contextlib\nwith contextlib.suppress(EOFError): input('› ')"
    assert 0 < rig.first_shown([sys.executable, "-c", prompt], "›") < 60
    with pytest.raises(Failed, match="ended without '›': hello"):
        rig.first_shown([sys.executable, "-c", "print('hello')"], "›")


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_the_power_that_the_time_grows_with(power: float) -> None:
    lengths = [10, 40, 160]
    seconds = [0.3 * length**power for length in lengths]
    assert rendering.exponent(lengths, seconds) == pytest.approx(power)


def test_an_answer_of_the_benchmark_is_as_long_as_it_says_and_always_the_same() -> None:
    assert len(rendering.mixed(5_000)) == len(rendering.paragraph(5_000)) == 5_000
    assert rendering.mixed(5_000) == rendering.mixed(5_000)


@pytest.mark.parametrize("show", [sliding_window.show, live_markdown.show])
def test_a_peer_of_the_rendering_shows_the_whole_answer_in_the_end(
    show: Callable[[Console, Iterator[str]], None],
) -> None:
    file = io.StringIO()
    show(rendering.terminal(file), iter(["a", "a\n\nb", "a\n\nb\n\n- the last"]))
    assert "the last" in file.getvalue()
