"""Claimed: the screen says all that matters at any width, and a pipe gets every figure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench.figures import NONE
from chatstream.bench.layout import cells, text_of
from chatstream.stats.reckoning import By, grouped, total
from chatstream.stats.report import rows, screen
from chatstream.store.figures import Figures
from tests.stats.test_reckoning import run

USUAL = [
    *(
        run(
            ttft=0.2 + number / 100,
            tokens_per_second=40.0 + number,
            input_tokens=1000,
            output_tokens=200,
            dollars=0.01,
            estimated=1,
            retries=int(number == 0),
            fallbacks=0,
        )
        for number in range(59)
    ),
    run("rate_limited", model="other"),
    run("cancelled", model="other"),
]

SCREEN = """\
61 runs · 2026-11-20

whole     59 (96 %)
failed    1 · rate_limited 1
stopped   1 by you
recovered 1 of 1 run · retries 1
TTFT      p50 490 ms · p90 730 ms · p95 760 ms
tokens/s  p50 69.0 · p10 45.0 · p05 42.0
tokens    59,000 in · 11,800 out
cost      ≈$0.59 · unknown for 2 runs
"""

TABLE = f"""\
by model  runs  whole  TTFT p50     p95  tokens/s     out    cost
m@p         59  100 %    490 ms  760 ms      69.0  11,800  ≈$0.59
other@p      2    0 %         {NONE}       {NONE}         {NONE}       0       {NONE}"""

CARDS = f"""\
m@p
          59 runs · 100 % whole
          TTFT p50 490 ms · p95 760 ms
          69.0 tokens/s · 11,800 out
          cost ≈$0.59
other@p
          2 runs · 0 % whole
          TTFT p50 {NONE} · p95 {NONE}
          {NONE} tokens/s · 0 out · cost {NONE}"""


def shown(runs: list[Figures], width: int, *, ascii_only: bool = False) -> str:
    ttfts = [it.ttft for it in runs if it.ttft is not None]
    groups = grouped(runs, By.MODEL)
    return text_of(screen(total(runs), groups, ttfts, width, ascii_only=ascii_only))


def test_a_screen_says_how_runs_ended_how_fast_they_were_and_what_they_cost() -> None:
    text = shown(USUAL, 80)
    assert text.startswith(SCREEN)
    assert "TTFT: number of runs" in text
    assert text.endswith(TABLE)


def test_a_narrow_terminal_gets_the_same_figures_below_each_other() -> None:
    text = shown(USUAL, 40)
    assert text.endswith(CARDS)
    assert "          ≈$0.59" not in text
    assert "unknown for 2 runs" in text


def test_without_block_characters_there_is_only_ascii() -> None:
    assert shown(USUAL, 80, ascii_only=True).isascii()


def test_what_nobody_knows_is_left_out() -> None:
    text = shown([run()], 80)
    assert text.startswith("1 run · 2026-11-20\n\nwhole     1 (100 %)\ntokens    0 in · 0 out\n")
    assert "failed" not in text
    assert f"cost      {NONE}" in text
    assert "unknown for" not in text


def test_only_all_runs_are_a_hundred_percent() -> None:
    assert "999 (99 %)" in shown([run() for _ in range(999)] + [run("auth")], 80)
    assert "1 (<1 %)" in shown([run()] + [run("auth") for _ in range(999)], 80)
    assert "0 (0 %)" in shown([run("auth")], 80)


def test_each_kind_of_failure_is_named() -> None:
    kinds = [f"kind_{number}" for number in range(30)]
    text = shown([run(it) for it in kinds], 40)
    assert all(it in text for it in kinds)


@given(st.text(max_size=60), st.integers(20, 80))
def test_no_line_is_wider_than_the_terminal_whatever_a_model_is_called(
    name: str, width: int
) -> None:
    runs = [*USUAL, run("auth" + name, model=name, provider=name, input_tokens=2**62)]
    groups = grouped(runs, By.MODEL)
    lines = screen(total(runs), groups, [0.1, 1e9], width)
    assert max(sum(cells(text) for text, _ in line) for line in lines) <= width


def test_a_good_share_and_a_bad_one_have_their_roles() -> None:
    spans = [it for line in screen(total(USUAL), grouped(USUAL, By.MODEL), [], 80) for it in line]
    roles = {text.strip(): role for text, role in spans}
    assert (roles["59 (96 %)"], roles["100 %"], roles["0 %"]) == ("good", "good", "warn")
    assert roles["1"] == "bad"


@pytest.mark.parametrize("runs", [USUAL, [run()], []])
def test_a_table_has_a_head_and_as_many_columns_in_every_row(runs: list[Figures]) -> None:
    table = list(rows([total(runs), *grouped(runs, By.MODEL)]))
    assert len({len(row) for row in table}) == 1
    assert table[0][0] == "name"
    assert table[1][:2] == ["all", str(len(runs))]


def test_a_table_has_plain_figures() -> None:
    head, _, first, second = rows([total(USUAL), *grouped(USUAL, By.MODEL)])
    it = dict(zip(head, first, strict=True))
    assert (it["name"], it["runs"], it["failures"]) == ("m@p", "59", "-")
    assert (it["ttft_p50"], it["ttft_p99"], it["cost"]) == ("0.49", "-", "0.59")
    assert dict(zip(head, second, strict=True))["failures"] == "rate_limited 1"
