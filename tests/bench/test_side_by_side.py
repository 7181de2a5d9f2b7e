"""Claimed: several arms stand side by side on one screen, and what differs is said for sure."""

from __future__ import annotations

import msgspec
import pytest

from chatstream.bench.report import screen
from chatstream.bench.result import Result
from tests.bench.test_report import compared, shown
from tests.support.results import result


def against_each_other() -> Result:
    made = result(n=30, arms=3)
    slower = [
        compared(
            arm=arm.name,
            against="qwen3:0.6b",
            verdict="SLOWER",
            old=0.375,
            new=new,
            ratio=new / 0.375,
            low=new / 0.39,
            high=new / 0.363,
        )
        for arm, new in zip(made.arms[1:], (0.573, 0.475), strict=True)
    ]
    return msgspec.structs.replace(made, comparisons=slower)


SIDE_BY_SIDE = """
chatstream bench · ollama · http://127.0.0.1:11434
90 runs and 3 cold · 19.6 s · 2026-03-02 09:30 UTC · chatstream 0.5.0

TTFT         median  95 % interval     min     max    cold     p90
qwen3:0.6b   375 ms  [363, 390] ms  325 ms  447 ms  1.48 s  431 ms
llama3.2:1b  573 ms  [551, 591] ms  468 ms  651 ms  1.61 s  608 ms
gemma3:1b    475 ms  [458, 501] ms  429 ms  579 ms  1.56 s  515 ms

pace            TPOT    95 % interval  tokens/s  max gap  stalls     ok
qwen3:0.6b   18.0 ms  [17.9, 18.2] ms      55.4   421 ms       6  31/31
llama3.2:1b  29.4 ms  [29.0, 29.9] ms      34.1   431 ms       9  31/31
gemma3:1b    23.6 ms  [23.5, 24.1] ms      42.4   427 ms       5  31/31

of TTFT      network     load  prompt  unexplained
qwen3:0.6b    289 µs  20.0 ms  301 ms      53.4 ms
llama3.2:1b   312 µs  20.0 ms  487 ms      64.9 ms
gemma3:1b     293 µs  20.0 ms  389 ms      65.6 ms

qwen3:0.6b   ▃▃▃▃▃▃▃▆▆██▅▅██  ▃▃  ▆▆  ▂▂
llama3.2:1b                               ▁▁      ▁▁  ▁▁▃▃██▁▁▄▄▄▄▄▄▇▇▁▁▃▃    ▁▁
gemma3:1b                         ▂▂██████▄▄▂▂▂▂██▆▆██  ▂▂      ▂▂
TTFT         325 ms                        488 ms                         651 ms

client    kernel receive times · lag p50 50.0 µs, p99 210 µs · TRUSTED
terms     chatstream bench --explain explains each figure

against qwen3:0.6b
SLOWER  llama3.2:1b  TTFT  375 ms -> 573 ms  ×1.53  [1.47, 1.58]  p < 0.001
SLOWER  gemma3:1b    TTFT  375 ms -> 475 ms  ×1.27  [1.22, 1.31]  p < 0.001

The best two of 3: qwen3:0.6b is 1.27 × sooner to its first token and 1.31 ×
faster than gemma3:1b; all kernel-timed.
"""


def test_several_arms_stand_side_by_side() -> None:
    assert shown(against_each_other()) == SIDE_BY_SIDE


@pytest.mark.parametrize("arms", [1, 2, 3, 4])
def test_up_to_four_arms_fit_into_forty_rows(arms: int) -> None:
    made = result(n=60, arms=arms)
    against = made.arms[0].name
    told = [
        compared(it, against, arm=a.name, verdict="SLOWER")
        for a in made.arms[1:]
        for it in ("ttft", "tpot")
    ]
    made = msgspec.structs.replace(made, comparisons=told)
    assert len(screen(made)) <= 40


def test_streaming_against_waiting() -> None:
    told = "first visible text: 402 ms with streaming, 1.25 s without: 3.10 \u00d7 sooner"
    assert told in shown(result(blocking=True))
    made = result(arms=2)
    assert "first visible text" not in shown(made)


def test_thinking_is_no_visible_text() -> None:
    made = result(blocking=True)
    for it in made.samples:
        if it.arm != "blocking" and it.ttfa is not None:
            it.ttfa += 0.25
    assert "652 ms with streaming, " in shown(made)


def test_a_stream_that_is_no_sooner_is_not_praised() -> None:
    made = result(blocking=True)
    for it in made.samples:
        it.ttfa = 1.0 if it.arm == "blocking" else 2.0
    assert "1.00 s without: no sooner" in shown(made)
