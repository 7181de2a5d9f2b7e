"""Claimed: the screen tells all of a result, in 80 columns, and nothing that it does not know."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from chatstream.bench.conclusion import conclusion
from chatstream.bench.layout import cells
from chatstream.bench.report import screen, text_of
from chatstream.bench.result import (
    Arm,
    Client,
    Comparison,
    Gate,
    Result,
    Sample,
    Stall,
    Summary,
    Throughput,
)
from chatstream.events import ServerTimes
from tests.support.results import result, resummed
from tests.support.sampling import examples


def shown(made: Result, width: int = 80, **options: Any) -> str:
    """The screen, with a line end before it, as the goldens have it."""
    return "\n" + text_of(screen(made, width, **options)) + "\n"


def compared(metric: str = "ttft", against: str = "baseline", **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "metric": metric,
        "arm": "qwen3:0.6b",
        "against": against,
        "old": 0.3,
        "new": 0.384,
        "ratio": 1.28,
        "low": 1.21,
        "high": 1.35,
        "p": 0.0003,
        "verdict": "REGRESSED",
    }
    return Comparison(**fields | changes)


def troubled() -> Result:
    """A result with everything in it that can be told of one arm."""
    return result(
        n=30,
        failures=2,
        seed=4,
        baseline="monday",
        exit_status=1,
        comparisons=[
            compared(),
            compared(
                "tpot",
                old=0.018,
                new=0.0181,
                ratio=1.01,
                low=0.93,
                high=1.08,
                p=0.412,
                verdict="INCONCLUSIVE",
                more_runs=14,
            ),
        ],
        gates=[
            Gate(text="tpot.p50>baseline+10%", failed=False, measured=0.0181, limit=0.0198),
            Gate(text="ttft.p50>300ms", failed=True, measured=0.384, limit=0.3),
            Gate(
                text="errors>5%",
                failed=True,
                measured=2 / 31,
                limit=0.05,
                note="2 of 31 runs failed",
            ),
        ],
        warnings=["all answers ended at max_tokens: compare durations of the same length only"],
    )


ALONE = """
qwen3:0.6b · ollama · http://127.0.0.1:11434
12 runs and 1 cold · 19.6 s · 2026-03-02 09:30 UTC · chatstream 0.5.0

           median    95 % interval      min      max
TTFT       396 ms    [370, 407] ms   365 ms   433 ms
TTFB       395 ms    [369, 406] ms   364 ms   432 ms
TPOT      18.1 ms  [17.8, 18.5] ms  17.8 ms  26.5 ms
tokens/s     55.4     [54.2, 56.0]     37.7     56.2
duration   1.25 s   [1.21, 1.29] s   1.20 s   1.65 s

ttft_cold 1.48 s = connect 1.50 ms + ttft 1.47 s · dns 400 µs, tcp 1.10 ms
of TTFT   ▒ network 326 µs · █ server 328 ms (load 20.0 ms + prompt 308 ms)
          ░ unexplained 68.1 ms
          ██████████████████████████████████████████████████████████░░░░░░░░░░░░
pace      gap p50 18.0 ms, max 421 ms · one token per arrival
stalls    2 in 2 runs · longest 421 ms at 925 ms of run 7 · 7.63 % of the time

TTFT: number of runs                     TTFT: share of runs done by then
 5│████████                              100%│                    ⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡼
  │████████                                  │                  ⢠⠤⠞
  │████████       ███████                 50%│     ⣀⣀⣀⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠏
  │████████       ███████       ███████      │  ⢠⠤⠴⠃
  │████████████████████████████████████      │⡖⠒⠋
 0└────────────────────────────────────     0└──────────────────────────────────
   365 ms         399 ms         433 ms       365 ms        399 ms        433 ms

client    kernel receive times · lag p50 50.0 µs, p99 210 µs · TRUSTED
terms     chatstream bench --explain explains each figure

qwen3:0.6b sends its first token after 396 ms, known to within 4.7 %, and then
55.4 tokens/s (median of 12 runs; kernel-timed).
"""


TROUBLED = """
qwen3:0.6b · ollama · http://127.0.0.1:11434
30 runs and 1 cold · 19.6 s · 2026-03-02 09:30 UTC · chatstream 0.5.0

           median    95 % interval      min     max      p90
TTFT       384 ms    [367, 391] ms   322 ms  failed   434 ms
TTFB       384 ms    [366, 390] ms   321 ms  failed   433 ms
TPOT      18.1 ms  [18.1, 18.4] ms  17.6 ms  failed  26.6 ms
tokens/s     55.2     [54.5, 55.5]     37.3  failed     56.4
duration   1.24 s   [1.22, 1.26] s   1.17 s  failed   1.66 s

ttft_cold 1.45 s = connect 1.50 ms + ttft 1.44 s · dns 400 µs, tcp 1.10 ms
of TTFT   ▒ network 302 µs · █ server 313 ms (load 20.0 ms + prompt 293 ms)
          ░ unexplained 66.6 ms
          ██████████████████████████████████████████████████████████░░░░░░░░░░░░
pace      gap p50 18.0 ms, max 420 ms · one token per arrival
stalls    4 in 4 runs · longest 420 ms at 957 ms of run 22 · 6.58 % of the time

TTFT: number of runs                     TTFT: share of runs done by then
 7│           ██████████                 100%│                         ⢀⣀⣀⣀⣠⠤⠤⠤⠴
  │           ██████████                     │                  ⡤⠤⠤⠼⠉⠉⠉⠉
  │▇▇▇▇▇▇▁▁▁▁▁██████████▁▁▁▁▁             50%│            ⢀⣀⡤⠤⠼⠉⠁
  │██████████████████████████▃▃▃▃▃▃▃▃▃▃      │        ⢀⣀⡴⠒⠋
  │████████████████████████████████████      │⡤⠤⠴⠋⠉⠉⠉⠉⠉
 0└────────────────────────────────────     0└──────────────────────────────────
   322 ms         386 ms         450 ms       322 ms        386 ms        450 ms
2 of 30 failed                           2 of 30 failed: the line ends at 93 %

client    kernel receive times · lag p50 50.0 µs, p99 210 µs · TRUSTED
terms     chatstream bench --explain explains each figure
failed    2 of 31 truncated
          the answer ended before it was whole

against the baseline monday
REGRESSED     TTFT  300 ms -> 384 ms    ×1.28   [1.21, 1.35]  p < 0.001
INCONCLUSIVE  TPOT  18.0 ms -> 18.1 ms  ×1.01  [0.930, 1.08]  p = 0.412
about 14 more runs would decide

FAIL      fail if ttft.p50>300ms · measured 384 ms
FAIL      fail if errors>5% · measured 6.45 % · 2 of 31 runs failed
PASS      fail if tpot.p50>baseline+10% · measured 18.1 ms · limit 19.8 ms
warning   all answers ended at max_tokens: compare durations of the same length
          only
exit 1    a gate failed, or a figure is worse than the baseline

qwen3:0.6b sends its first token after 384 ms, known to within 3.2 %, and then
55.2 tokens/s (median of 30 runs, 2 of which failed; kernel-timed).
"""


ASCII = """
chatstream bench | ollama | http://127.0.0.1:11434
24 runs and 2 cold | 19.6 s | 2026-03-02 09:30 UTC | chatstream 0.5.0

TTFT        median   95 % interval     min     max    cold
qwen3:0.6b  402 ms   [380, 419] ms  343 ms  444 ms  1.48 s
blocking    1.25 s  [1.21, 1.30] s  1.18 s  1.63 s  2.28 s

pace           TPOT    95 % interval  tokens/s  max gap  stalls     ok
qwen3:0.6b  18.1 ms  [17.7, 18.3] ms      55.4  26.8 ms       0  13/13
blocking          -                -         -        -       0  13/13

of TTFT     network     load  prompt  unexplained
qwen3:0.6b   315 us  20.0 ms  306 ms      75.4 ms
blocking     300 us  20.0 ms  302 ms       922 ms
first visible text: 402 ms with streaming, 1.25 s without: 3.10 x sooner

qwen3:0.6b  ::##::
blocking                                                ::##::::              ..
TTFT        343 ms                         985 ms                         1.63 s

client    kernel receive times | lag p50 50.0 us, p99 210 us | TRUSTED
terms     chatstream bench --explain explains each figure

qwen3:0.6b is 3.1 x sooner to its first token than blocking; both kernel-timed.
"""


NARROW = """
qwen3:0.6b · ollama · http://127.0.0.1:…
12 runs and 1 cold · 19.6 s · 2026-03-02
09:30 UTC · chatstream 0.5.0

          median   95 % interval     min
TTFT      396 ms   [370, 407] ms  365 ms
TTFB      395 ms   [369, 406] ms  364 ms
TPOT     18.1 ms [17.8, 18.5] ms 17.8 ms
tokens/s    55.4    [54.2, 56.0]    37.7
duration  1.25 s  [1.21, 1.29] s  1.20 s

ttft_cold 1.48 s = connect 1.50 ms +
          ttft 1.47 s
          dns 400 µs, tcp 1.10 ms
of TTFT   ▒ network 326 µs
          █ server 328 ms (load 20.0 ms
          + prompt 308 ms)
          ░ unexplained 68.1 ms
          █████████████████████████░░░░░
pace      gap p50 18.0 ms, max 421 ms
          one token per arrival
stalls    2 in 2 runs
          longest 421 ms at 925 ms of
          run 7 · 7.63 % of the time

TTFT: number of runs
 5│████████
  │████████
  │████████       ████████
  │████████       ████████       ███████
  │█████████████████████████████████████
 0└─────────────────────────────────────
   365 ms         399 ms          433 ms
TTFT: share of runs done by then
100%│                     ⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡼
    │                   ⡤⠴⠚
 50%│     ⣀⣀⣀⣀⣀⣀⣀⣀⡤⠤⠤⠤⠤⠼⠁
    │  ⢠⠤⠴⠃
    │⡖⠒⠋
   0└───────────────────────────────────
     365 ms        399 ms         433 ms

client    kernel receive times
          lag p50 50.0 µs, p99 210 µs
          TRUSTED
terms     chatstream bench --explain
          explains each figure

qwen3:0.6b sends its first token after
396 ms, known to within 4.7 %, and then
55.4 tokens/s (median of 12 runs;
kernel-timed).
"""


def test_one_arm_fills_one_screen() -> None:
    assert shown(result()) == ALONE


def test_what_went_wrong_is_told_below() -> None:
    assert shown(troubled()) == TROUBLED


def test_a_terminal_without_block_characters_gets_ascii() -> None:
    assert shown(result(blocking=True), ascii_only=True) == ASCII
    assert ASCII.isascii()


def test_a_narrow_terminal_has_plots_below_each_other_and_fewer_columns() -> None:
    assert shown(result(), 40) == NARROW


def test_roles_stand_on_words_that_say_the_same() -> None:
    spans = [(role, text.strip()) for line in screen(troubled()) for text, role in line]
    assert [text for role, text in spans if role == "good"] == ["TRUSTED", "PASS"]
    assert [text for role, text in spans if role == "bad"] == [
        "2 of 31 truncated",
        "REGRESSED",
        "FAIL",
        "FAIL",
        "exit 1",
        "a gate failed, or a figure is worse than the baseline",
    ]
    assert {"INCONCLUSIVE", "about 14 more runs would decide"} < {
        text for role, text in spans if role == "warn"
    }


def test_the_answers_first_token_is_told_where_it_is_not_the_first() -> None:
    made = result()
    assert "TTFA" not in shown(made)
    for it in made.samples:
        it.ttfa = it.ttft and it.ttft + 1.0
    rows = [it.split()[:3] for it in shown(resummed(made)).splitlines()]
    assert rows[5:7] == [["TTFT", "396", "ms"], ["TTFA", "1.40", "s"]]


def test_counted_tokens_are_marked_on_every_figure_and_explained() -> None:
    made = result()
    for it in made.samples:
        it.approximate = True
    told = shown(made)
    assert "TPOT      ≈18.1 ms  ≈[17.8, 18.5] ms  ≈17.8 ms  ≈26.5 ms" in told
    assert "tokens/s     ≈55.4     ≈[54.2, 56.0]     ≈37.7     ≈56.2" in told
    assert "≈ each delta counts as one token" in told
    assert "≈" not in shown(result())


def test_percentiles_have_columns_from_as_many_runs_as_they_need() -> None:
    heads = [shown(result(n=n)).splitlines()[4].split()[-3:] for n in (28, 29, 60, 300)]
    assert heads[0] == ["interval", "min", "max"]
    assert heads[1:] == [["min", "max", "p90"], ["max", "p90", "p95"], ["p90", "p95", "p99"]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"tls": 0.012}, "1.49 s = connect 13.5 ms + ttft 1.47 s", id="tls"),
        pytest.param({"dns": None, "tcp": None}, "1.47 s without a new connection", id="reused"),
        pytest.param({"status": "http_429"}, "failed: http_429", id="failed"),
        pytest.param({"ttft": None}, "failed: no token", id="nothing-came"),
    ],
)
def test_the_cold_run_is_told_apart(changes: dict[str, Any], told: str) -> None:
    made = result()
    cold = msgspec.structs.replace(made.samples[0], **changes)
    arm = msgspec.structs.replace(made.arms[0], cold=cold)
    assert f"ttft_cold {told}" in shown(msgspec.structs.replace(made, arms=[arm]))


def test_a_server_that_tells_nothing_is_said_to() -> None:
    made = result()
    for it in made.samples:
        it.server = None
    assert "of TTFT   network 326 µs · the server reports no times" in shown(made)


def test_the_bar_shows_the_parts_in_their_proportion() -> None:
    made = result()
    for it in made.samples:
        it.ttft, it.rtt, it.server = 0.35, 0.05, ServerTimes(load=0.05, prompt=0.1)
    assert " " * 10 + "▒" * 10 + "█" * 30 + "░" * 30 in shown(made).splitlines()


def test_stalls_say_how_long_and_where() -> None:
    made = result()
    for it in made.samples:
        it.stalls = []
    assert "stalls    none" in shown(made)
    made.samples[4].stalls = [Stall(0.5, 2.0), Stall(2.9, 0.3)]
    assert "stalls    2 in 1 run · longest 2.00 s at 500 ms of run 5 · " in shown(made)


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (
            Client(clock="user", verdict="TRUSTED", reason="", lag_max=0.0012),
            "client    user clock · error up to 1.20 ms · TRUSTED",
        ),
        (
            Client(clock="user", verdict="TRUSTED", reason=""),
            "client    user clock · error unknown · TRUSTED",
        ),
        (
            Client(clock="kernel", verdict="CLIENT-BOUND", reason="it is busy", lag_p99=0.02),
            "client    kernel receive times · lag p50 0 ms, p99 20.0 ms · CLIENT-BOUND\n"
            "          it is busy",
        ),
    ],
)
def test_our_own_part_is_told_with_its_error(client: Client, told: str) -> None:
    assert told in shown(result(client=client))


def test_every_kind_of_failure_is_told_with_its_first_message() -> None:
    made = result(n=6)
    for at, status in ((2, "reset"), (3, "http_429"), (4, "http_429")):
        made.samples[at].status = status
        made.samples[at].message = f"message {at}"
    told = shown(resummed(made))
    assert "failed    1 of 7 reset\n          message 2\n" in told
    assert "failed    2 of 7 http_429\n          message 3\n" in told
    assert "message 4" not in told


def test_failures_of_several_arms_name_the_arm() -> None:
    assert "failed    llama3.2:1b: 1 of 7 truncated" in shown(result(n=6, arms=2, failures=1))


def test_lists_without_end_end() -> None:
    gates = [Gate(text=f"ttft.p50>{n}ms", failed=n == 40, measured=0.4) for n in range(50)]
    told = shown(result(gates=gates, warnings=["a"] * 50))
    assert told.count("PASS") == 5
    assert "FAIL      fail if ttft.p50>40ms" in told
    assert told.count("and 44 more") == 2


@pytest.mark.parametrize(
    ("text", "measured", "told"),
    [
        ("ttft.p50>300ms", 0.384, "measured 384 ms"),
        ("TTFT . p50 > 300ms", 0.384, "measured 384 ms"),
        ("llama3.2: x: tpot.p50>10ms", 0.012, "measured 12.0 ms"),
        ("tokens_per_second.p50<30", 12.0, "measured 12.0"),
        ("errors>5%", 0.0645, "measured 6.45 %"),
        ("errors>0", 3.0, "measured 3.00"),
    ],
)
def test_a_gate_tells_its_figure_in_its_unit(text: str, measured: float, told: str) -> None:
    lines = shown(result(gates=[Gate(text=text, failed=True, measured=measured)])).splitlines()
    (line,) = [it for it in lines if it.startswith("FAIL")]
    assert line.endswith(told)


def test_a_load_says_what_all_streams_got() -> None:
    load = Throughput(requests_per_second=3.2149, tokens_per_second=412.4, approximate=True)
    assert "load      3.21 requests/s · ≈412 tokens/s in total\n" in shown(result(throughput=load))
    assert "load  " not in shown(result())


def test_the_last_words_are_the_sentence_and_the_terms_have_their_command() -> None:
    made = result(warnings=["something"], exit_status=1)
    assert text_of(screen(made)[-2:]).replace("\n", " ") == conclusion(made)
    for width in (40, 80):
        assert "chatstream bench --explain" in shown(made, width)


def test_an_exit_status_has_its_reason() -> None:
    assert "exit 130  stopped early: only the runs up to then are included" in shown(
        result(n=2, exit_status=130)
    )


def test_names_of_servers_are_text_and_nothing_else() -> None:
    made = result(target="http://h/\x1b]0;x\x07")
    made.arms[0].name = made.arms[0].model = "evil\x1b[2J\r\nmodel\u202e"
    told = shown(made)
    assert "evil?[2J  model?" in told
    assert "http://h/?]0;x?" in told


# ---- odd results

TEXT = st.text("ab1:/. \n\x1b\u202e日\uff57😀\u0301❤\ufe0f\ud800", max_size=50)
TIME = st.one_of(st.none(), st.sampled_from([0.0, 1e-9, 1e9]), st.floats(0.0, 100.0))
COUNT = st.one_of(st.none(), st.integers(0, 3))


@st.composite
def samples(draw: st.DrawFn, arm: str) -> Sample:
    gaps = draw(st.lists(st.floats(0.0, 10.0), max_size=4))
    arrivals = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    return Sample(
        number=draw(st.integers(0, 10**6)),
        arm=arm,
        cold=draw(st.booleans()),
        status=draw(st.sampled_from(["ok", "ok", "truncated", "cancelled"])),
        message=draw(st.one_of(st.none(), TEXT)),
        tcp=draw(TIME),
        rtt=draw(TIME),
        ttft=draw(TIME),
        ttfa=draw(TIME),
        duration=draw(TIME),
        tpot=draw(TIME),
        tokens=draw(COUNT),
        approximate=draw(st.booleans()),
        deltas=len(gaps),
        arrivals=arrivals,
        deltas_at=[1] * len(gaps),
        stalls=[Stall(1.0, it) for it in draw(st.lists(st.floats(0.25, 1e6), max_size=2))],
        server=draw(st.one_of(st.none(), st.builds(ServerTimes, load=TIME, prompt=TIME))),
    )


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    metric = draw(st.sampled_from(["ttft", "late_ttft", "ttfb", "tpot", "tokens_per_second", "x"]))
    figures = {
        it: draw(TIME) for it in ("median", "low", "high", "min", "max", "p90", "p95", "p99")
    }
    return Summary(
        metric=metric,
        n=draw(st.sampled_from([0, 1, 6, 29, 400])),
        failed=draw(st.integers(0, 2)),
        **figures,
    )


@st.composite
def results(draw: st.DrawFn) -> Result:
    arms: list[Arm] = []
    runs: list[Sample] = []
    for at in range(draw(st.integers(0, 4))):
        name = f"{at}{draw(TEXT)}"
        own = draw(st.lists(samples(name), max_size=3))
        runs += own
        arms.append(
            Arm(
                name=name,
                provider=draw(TEXT),
                model=draw(st.sampled_from(["m", "日本"])),
                streamed=draw(st.booleans()),
                statuses=draw(st.dictionaries(TEXT, st.integers(1, 9), max_size=3)),
                summaries=draw(st.lists(summaries(), max_size=4)),
                cold=next((it for it in own if it.cold), None),
            )
        )
    verdicts = st.sampled_from(get_args(get_type_hints(Comparison)["verdict"]))
    return Result(
        version=1,
        chatstream=draw(TEXT),
        started_at=draw(TEXT),
        target=draw(TEXT),
        settings={"concurrency": draw(st.sampled_from([None, True, 1, 10**9])), "rate": 1e-9},
        samples=runs,
        arms=arms,
        client=draw(
            st.one_of(
                st.none(),
                st.builds(
                    Client,
                    clock=st.sampled_from(["kernel", "user"]),
                    verdict=st.sampled_from(["TRUSTED", "CLIENT-BOUND"]),
                    reason=TEXT,
                ),
            )
        ),
        gates=draw(
            st.lists(
                st.builds(
                    Gate, text=TEXT, failed=st.booleans(), measured=TIME, limit=TIME, note=TEXT
                ),
                max_size=3,
            )
        ),
        comparisons=draw(
            st.lists(
                st.builds(
                    Comparison,
                    metric=TEXT,
                    arm=TEXT,
                    against=st.one_of(st.just("baseline"), TEXT),
                    old=TIME,
                    new=TIME,
                    ratio=TIME,
                    low=TIME,
                    high=TIME,
                    p=TIME,
                    verdict=verdicts,
                    more_runs=COUNT,
                ),
                max_size=3,
            )
        ),
        baseline=draw(st.one_of(st.none(), TEXT)),
        warnings=draw(st.lists(TEXT, max_size=3)),
        elapsed=draw(st.floats(0.0, 1e9)),
        exit_status=draw(st.sampled_from([0, 1, 3, 42, 130])),
    )


@settings(max_examples=examples(70))
@given(results(), st.sampled_from([80, 80, 20, 40, 63, 64, 200]), st.booleans())
def test_no_line_of_any_result_is_wider_than_the_screen(
    made: Result, width: int, ascii_only: bool
) -> None:
    lines = screen(made, width, ascii_only=ascii_only)
    for line in lines:
        text = text_of([line])
        assert 0 <= wcswidth(text) <= cells(text) <= width
        assert text.isprintable()
        assert not ascii_only or text.isascii()


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(result(arms=0), id="no-arm"),
        pytest.param(result(n=0), id="cold-only"),
        pytest.param(result(n=1), id="one-run"),
        pytest.param(result(n=12, failures=12), id="all-failed"),
        pytest.param(result(n=12, arms=2, failures=12), id="all-failed-of-two"),
        pytest.param(resummed(result(samples=[])), id="no-samples"),
        pytest.param(
            resummed(result(samples=[Sample(number=1, arm="qwen3:0.6b", status="ok")])),
            id="no-token",
        ),
        pytest.param(
            resummed(
                result(samples=[Sample(number=1, arm="qwen3:0.6b", ttft=0.3, arrivals=[0.3])])
            ),
            id="one-arrival",
        ),
    ],
)
def test_little_is_told_of_little(made: Result) -> None:
    for width in (40, 80):
        lines = screen(made, width)
        assert 3 <= len(lines) <= 60
        assert all(cells(text_of([line])) <= width for line in lines)


def test_nothing_measured_is_said() -> None:
    assert "nothing was measured" in shown(result(arms=0))
    assert "there are no figures" in shown(result(n=12, failures=12))


def test_many_runs_fill_no_more_rows_than_few() -> None:
    assert len(screen(result(n=400))) <= len(screen(result(n=12))) + 1
