"""Figures come at most every second and at the end, and are those of the whole answer."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pytest
from msgspec.structs import replace

from chatstream import grammar
from chatstream.analysis.text import TextAnalysis
from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, Truncated
from chatstream.events import (
    Analysis,
    Content,
    Done,
    Event,
    Metadata,
    Reasoning,
    Retry,
    TextFigures,
    ToolCall,
    ToolComplete,
    ToolStart,
    Warn,
    new_run,
)
from chatstream.flow import Arrival, Finish, Logprobs, events_in, pipe
from chatstream.stages.analyze import EVERY_SECONDS, Analyzer, Make, analyze
from chatstream.stages.seal import seal
from tests.bench.analysis import TOKEN, chinese, english, loop
from tests.bench.rendering import pieces
from tests.support.sampling import by_size

RESET = Retry(attempt=2, max=3, delay=0.0, cause="cut", action="reset")
CONTINUE = Retry(attempt=2, max=3, delay=0.0, cause="cut", action="continue")
ROUND: list[Event] = [
    ToolCall("1", "t", "{}"),
    ToolStart(id="1", name="t"),
    ToolComplete("1", "t", "", 0.1),
    Metadata(model="m"),
]


def source(
    arrivals: Sequence[tuple[float, Sequence[Event]]], error: Exception | None = None
) -> Iterator[Arrival]:
    for t, events in arrivals:
        yield Arrival([replace(it) for it in events], t)
    if error is not None:
        raise error
    yield Arrival([Finish("stop")], arrivals[-1][0] if arrivals else 0.0)


def analysed(
    *arrivals: tuple[float, Sequence[Event]],
    error: Exception | None = None,
    earlier: Sequence[Event] = (),
    plugins: dict[str, tuple[str, Make]] | None = None,
) -> list[Event]:
    """What comes of these arrivals, each with its time; a failure is left out."""
    out: list[Event] = []
    stage = analyze(plugins or {}, earlier, clock=lambda: arrivals[-1][0])
    try:
        for event in events_in(stage(source(arrivals, error))):
            out.append(event)  # noqa: PERF402 - what came before a failure counts
    except ChatstreamError:
        assert error is not None
    return out


def texts(*pieces: str, every: float = 0.1) -> list[tuple[float, list[Event]]]:
    return [(100 + at * every, [Content(it)]) for at, it in enumerate(pieces)]


def whole(text: str) -> TextFigures:
    found = TextAnalysis()
    found.feed(text)
    found.finish()
    return found.figures


def figures(events: Sequence[Event]) -> list[TextFigures]:
    return [it.figures for it in events if isinstance(it, Analysis)]


def test_the_last_one_comes_right_before_the_end_and_has_all_of_it() -> None:
    events = analysed(*texts("One two. ", "Thr", "ee."))
    assert [type(it) for it in events] == [Content, Content, Content, Analysis, Finish]
    assert events[-2] == Analysis(whole("One two. Three."), final=True)


@pytest.mark.parametrize("every", [0.02, 0.25, 0.9, 1.0, 5.0])
def test_in_between_one_comes_at_most_every_second(every: float) -> None:
    count = int(20 / every) + 1
    told: list[float] = []
    stage = analyze()
    for arrival in stage(source(texts(*["word "] * count, every=every))):
        told += [arrival.t for it in arrival.events if isinstance(it, Analysis) and not it.final]
    gaps = [after - before for before, after in zip([100.0, *told], told, strict=False)]
    assert min(gaps) >= EVERY_SECONDS - 1e-6
    assert max(gaps) < EVERY_SECONDS + every + 1e-6


def test_without_new_text_none_comes() -> None:
    quiet: list[tuple[float, Sequence[Event]]] = [(101.0 + at, []) for at in range(10)]
    events = analysed(*texts("one two"), *quiet)
    assert len(figures(events)) == 2  # of the first text, after a second; and the last


def test_reasoning_and_calls_are_no_text() -> None:
    events = analysed((0.0, [Reasoning("one two"), ToolCall("1", "t", '"three"'), Content("four")]))
    assert figures(events)[-1].words == 1


def test_what_is_void_does_not_count_and_what_continues_does() -> None:
    events = analysed(
        (0.0, [Content("one tw"), RESET, Content("three fo"), CONTINUE]), *texts("ur")
    )
    assert figures(events)[-1] == whole("three four")


def test_the_text_of_all_responses_counts_and_no_word_goes_beyond_one() -> None:
    events = analysed((0.0, [Content("one"), *ROUND, Content("two"), RESET, Content("three")]))
    assert figures(events)[-1] == whole("one\nthree")


def test_the_text_of_an_answer_that_is_continued_counts_once() -> None:
    events = analysed(*texts("ther words"), earlier=[Reasoning("no"), Content("some o")])
    assert figures(events)[-1] == whole("some other words")


def test_the_confidence_is_of_the_tokens_that_count() -> None:
    void = [Content("one"), Logprobs(-9.0, 1), RESET]
    first = [Content("two"), Logprobs(-1.0, 2), Reasoning("hm"), Logprobs(-9.0, 1), *ROUND]
    again = [Content("three"), Logprobs(-9.0, 1), RESET, Content("four"), Logprobs(-1.0, 2)]
    events = analysed((0.0, void), (0.1, first), (0.2, again))
    assert figures(events)[-1].confidence == round(math.exp(-0.5), 3)
    assert not any(isinstance(it, Logprobs) for it in events)


def test_a_failure_has_the_figures_of_what_came() -> None:
    events = analysed(*texts("one two"), error=Truncated("cut"))
    assert events[-1] == Analysis(whole("one two"), final=True)
    assert figures(analysed((0.0, [Reasoning("no")]), error=Truncated("cut"))) == []


def test_its_events_fit_the_grammar_of_a_run() -> None:
    opening = new_run()
    arrivals = source([(100.0 + at, [Content("word ")]) for at in range(5)])
    stages = [analyze(), seal(opening, CancelToken())]
    events = list(events_in(pipe(arrivals, *stages)))
    grammar.check(events)
    assert len(figures(events)) == 5
    assert isinstance(events[-1], Done)


class Recorded:
    """Events as a recording has them: numbered, with an analysis of their own."""

    def __init__(self, *texts: str) -> None:
        opening = new_run()
        arrivals = source([(at * 0.5, [Content(it)]) for at, it in enumerate(texts)])
        stages = [analyze(), seal(opening, CancelToken(), clock=lambda: 0.0)]
        self.events = list(events_in(pipe(arrivals, *stages)))

    def arrivals(self, together: int) -> Iterator[Arrival]:
        events = [replace(it) for it in self.events]
        return (Arrival(events[at : at + together]) for at in range(0, len(events), together))


@pytest.mark.parametrize("together", [1, 3, 100])
def test_a_recording_is_analysed_again_and_stays_numbered(together: int) -> None:
    recorded = Recorded(*["one", "two", "three", "four", "five", "six", "seven"])
    assert len(figures(recorded.events)) == 4
    again = list(events_in(analyze()(recorded.arrivals(together))))
    grammar.check(again)
    assert figures(again)[-1] == figures(recorded.events)[-1]
    if together == 1:
        assert again == recorded.events
    bare = [it for it in recorded.events if not isinstance(it, Analysis)]
    assert [replace(it, seq=0) for it in again if not isinstance(it, Analysis)] == [
        replace(it, seq=0) for it in bare
    ]


class Vowels:
    """An analyzer, which fails where it is told to."""

    def __init__(self, fails: str = "") -> None:
        self._fails = fails
        self._count = 0
        self._check("begin")

    def feed(self, text: str) -> None:
        self._check(text.strip())
        self._count += sum(it in "aeiou" for it in text)

    def figures(self) -> dict[str, Any]:
        self._check("figures")
        return {"vowels": object() if self._fails == "json" else self._count}

    def __deepcopy__(self, _memo: object) -> Vowels:
        self._check("copy")
        copied = Vowels()
        copied._fails, copied._count = self._fails, self._count
        return copied

    def _check(self, where: str) -> None:
        if where == self._fails:
            raise ValueError(f"in {where}\nand more")


def plugin(make: Callable[[], Analyzer]) -> dict[str, tuple[str, Make]]:
    return {"vowels": ("analyzer 'vowels' of the package 'p'", make)}


def test_an_analyzer_of_a_package_adds_its_figures() -> None:
    arrivals = [(0.0, [Content("a"), *ROUND, Content("bee"), RESET, Content("ou")])]
    events = analysed(*arrivals, plugins=plugin(Vowels))
    assert figures(events)[-1].plugins == {"vowels": {"vowels": 3}}


@pytest.mark.parametrize("fails", ["begin", "one", "two", "figures", "json", "copy"])
def test_one_that_fails_is_left_out_with_one_warning_and_nothing_else_changes(fails: str) -> None:
    arrivals = [*texts("one ", "two", every=2.0), (200.0, [*ROUND, Content("x")])]
    events = analysed(*arrivals, plugins=plugin(lambda: Vowels(fails)))
    (warning,) = [it for it in events if isinstance(it, Warn)]
    assert warning.code == "plugin"
    assert "analyzer 'vowels' of the package 'p' failed, so its figures are left out" in (
        warning.message
    )
    assert "\n" not in warning.message
    others = [it for it in events if not isinstance(it, Warn)]
    bare = analysed(*arrivals)
    assert [type(it) for it in others] == [type(it) for it in bare]
    assert figures(others)[-1] == figures(bare)[-1]


def test_a_failure_at_the_end_of_a_recording_keeps_the_numbers() -> None:
    recorded = Recorded("one ", "two")
    events = list(events_in(analyze(plugin(lambda: Vowels("figures")))(recorded.arrivals(2))))
    grammar.check(events)
    assert [it.code for it in events if isinstance(it, Warn)] == ["plugin"]


@pytest.mark.parametrize("make", [english, chinese, loop])
def test_the_work_for_an_arrival_does_not_grow_with_the_answer(make: Callable[[int], str]) -> None:
    """Counted in calls, which is the same on any machine; `tests.bench analysis` has the times."""
    tokens = by_size(5_000, 100_000)
    arrivals = analyze()(source(texts(*pieces(make(tokens * TOKEN), TOKEN), every=0.02)))
    first, *_, last = [calls(islice(arrivals, tokens // 5)) for _ in range(5)]
    assert last <= 1.05 * first


def calls(arrivals: Iterator[Arrival]) -> int:
    """How many functions are called to get them."""
    count = 0

    def called(_frame: object, event: str, _value: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(called)
    try:
        for _ in arrivals:
            pass
    finally:
        sys.setprofile(None)
    return count
