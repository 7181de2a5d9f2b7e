"""Claimed: whatever goes wrong, an answer is whole exactly once, or it is the exact text that had
come, with an error that says why.

The matrix: every protocol and framing, every trouble, every way to deal with it (`--on-drop`).
How many places are cut, and which, `support.sampling` says.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.api import resume, stream
from chatstream.store.place import runs_folder
from chatstream.store.reading import events_of, read
from tests.support.client import Answer, Finished, answer_of, run
from tests.support.continuing import (
    Continuing,
    Fault,
    RequestRecord,
    begins_anew,
    garbage,
    gzipped,
    half,
    long_text,
    overloaded,
    page,
    refuses_prefill,
    repeats,
    says_something_else,
    status,
)
from tests.support.faultproxy import FaultProxy
from tests.support.figures import Figures
from tests.support.loopback import Framing, Reply
from tests.support.real.servers import nginx
from tests.support.sampling import by_size, chosen, sampled, seeded
from tests.support.unavailable import require

CUTS = by_size(20, 60)
SEAMS = by_size(3, 30)
CELLS = 10  # of each row
THREADS = 8  # cells at once; most of their time they wait
TEXT = long_text(300)

MODELS = {  # a provider of each protocol, and of OpenAI's one that goes on with an answer too
    "ollama": "m",
    "openai": "m",
    "openai-responses": "m",
    "vllm": "m",
    "anthropic": "claude-haiku-4-5",
}
DIALECTS = {"vllm": "openai"}
CONTINUE = ["ollama", "vllm", "anthropic"]
FRAMINGS: list[Framing] = ["chunked", "close"]
MODES = ["stop", "restart", "continue", "fallback"]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with the first request: in the network (`plan`), or at the server."""

    name: str
    codes: frozenset[str] = frozenset()  # what a truthful error says of it; none: it is no failure
    plan: str | None = None
    fault: Fault | None = None
    after: int | None = None  # bytes of the body that arrive, where that is certain
    pause: tuple[float, float] | None = None  # the seconds that the server asks for
    idle: float = 30.0
    heals: bool = True  # asking again helps

    def __str__(self) -> str:
        return self.name


def troubles(provider: str, framing: Framing) -> list[Trouble]:
    """All of them, for the body that this protocol makes of the answer."""
    body = body_of(provider, framing)
    cuts = chosen(range(1, len(body)), CUTS, "cuts", provider, framing)
    middle = len(body) // 2
    broken, busy = frozenset({"truncated"}), frozenset({"overloaded"})
    limited = frozenset({"rate_limited"})
    slow = by_size(max(0, len(body) - 2000), 0)
    found = [Trouble(f"cut at {n}", broken, f"cut:after={n}:body=1,clean", after=n) for n in cuts]
    found += [
        Trouble(f"rst at {n}", broken, f"rst:after={n}:body=1,clean")
        for n in chosen(cuts, 3, "resets", provider, framing)
    ]
    found += [
        Trouble("half-close", broken, f"half-close:after={middle}:body=1,clean", after=middle),
        Trouble(
            "stall",
            frozenset({"stalled"}),
            f"stall:after={middle}:body=1,clean",
            after=middle,
            idle=0.5,
        ),
        Trouble("drip", plan=f"drip:delay=0:after={slow}:body=1"),
        Trouble("garbage", fault=garbage(100)),
        Trouble("500", frozenset({"server_error"}), fault=status(500)),
        Trouble("502 page", frozenset({"server_error"}), fault=status(502, page=True)),
        Trouble("503", busy, fault=status(503)),
        Trouble("529", busy, fault=status(529)),
        Trouble("429 seconds", limited, fault=status(429, {"Retry-After": "1"}), pause=(1.0, 1.0)),
        Trouble("429 date", limited, fault=limited_until, pause=(0.2, 1.5)),
        Trouble("429 ms", limited, fault=status(429, {"retry-after-ms": "30"}), pause=(0.03, 0.03)),
        Trouble("overloaded at once", busy, fault=overloaded(0)),
        Trouble("overloaded", busy, fault=overloaded(120)),
        Trouble("gzip", fault=gzipped()),
        Trouble("gzip, cut", broken, fault=gzipped(cut=1500)),
        Trouble("page", frozenset({"protocol"}), fault=page, heals=False),
        Trouble("eof before the head", frozenset({"connect"}), "cut:after=0,clean"),
    ]
    return found


def limited_until(server: Continuing, asked: RequestRecord) -> Reply:
    """Too many requests, up to a date, which has whole seconds."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.5), usegmt=True)
    return status(429, {"Retry-After": date})(server, asked)


def body_of(provider: str, framing: Framing) -> bytes:
    """The bytes of the whole answer after the response head."""
    dialect = DIALECTS.get(provider, provider)
    writes = Continuing(TEXT, framing=framing).reply(RequestRecord(0, dialect, "", False)).writes()
    if framing == "close":
        return b"".join(writes)
    return b"".join(b"%x\r\n%s\r\n" % (len(w), w) for w in writes) + b"0\r\n\r\n"


def text_in(provider: str, framing: Framing, body: bytes) -> str:
    """The text of the frames that are whole in the beginning of a body, their line ends or not."""
    if framing == "chunked":
        body = _unchunked(body)
    if provider == "ollama":
        found = [_parsed(line) for line in body.split(b"\n")]
    else:
        found = [_parsed(b) for b in re.findall(rb"data: (.*)", body)]
    return "".join(_delta(frame) for frame in found)


def _unchunked(body: bytes) -> bytes:
    payload = b""
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        payload += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return payload


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _delta(frame: Any) -> str:
    choices = frame.get("choices") or [{}]
    delta = frame.get("message") or choices[0].get("delta") or frame.get("delta") or {}
    if isinstance(delta, str):  # of the Responses API
        return delta
    text: str = delta.get("content") or delta.get("text") or ""
    return text


# ---- one cell


def ask(provider: str, url: str, **settings: Any) -> Answer:
    """One run, its events legal and its journal the same."""
    given: dict[str, Any] = {"api_key": "test-key", "retries": 3, "first_token_timeout": 30.0}
    given |= {"model": MODELS[provider], **settings}
    return checked(answer_of(stream("hi", provider=provider, base_url=url, **given)))


def checked(answer: Answer) -> Answer:
    """The answer of a run whose events are legal, and whose journal reads back the same."""
    grammar.check(answer.events)
    opening = answer.events[0]
    assert isinstance(opening, ev.Metadata)
    path = runs_folder() / f"{opening.run}.jsonl"
    assert list(events_of([path.read_bytes()])) == answer.events, "the journal says otherwise"
    record = read(path)
    assert record.message.content == answer.text
    assert record.damage is None
    assert record.outcome == getattr(answer.terminal, "code", "complete")
    return answer


def assert_once(answer: Answer, codes: frozenset[str]) -> None:
    """The whole answer, or the exact beginning with a truthful error."""
    end = answer.terminal
    if isinstance(end, ev.Done):
        assert answer.text == TEXT, difference(answer.text)
        return
    assert TEXT.startswith(answer.text), difference(answer.text)
    assert end.code in codes, f"{end.code}: {end.message}"
    assert end.partial == bool(answer.text)
    assert (end.resume is not None) == end.partial


def difference(text: str) -> str:
    """Where a text leaves the one that it should be."""
    at = next((n for n, (a, b) in enumerate(zip(text, TEXT, strict=False)) if a != b), -1)
    at = min(len(text), len(TEXT)) if at < 0 else at
    here, there = text[at - 20 : at + 20], TEXT[at - 20 : at + 20]
    return f"at {at}: {here!r}, where it should be {there!r}"


def first_attempt(answer: Answer) -> str:
    """The text that had come before anything was done about a failure."""
    rest = itertools.takewhile(lambda e: not isinstance(e, ev.Retry | ev.Fallback), answer.events)
    return "".join(event.delta for event in rest if isinstance(event, ev.Content))


def run_cell(provider: str, framing: Framing, mode: str, trouble: Trouble) -> None:
    """Raises AssertionError when the cell fails."""
    settings: dict[str, Any] = {"on_drop": mode, "idle_timeout": trouble.idle}
    if mode == "fallback":
        settings["fallback"] = [
            "m@ollama" if provider != "ollama" else "claude-haiku-4-5@anthropic"
        ]
    with ExitStack() as stack:
        server = stack.enter_context(Continuing(TEXT, faults=[trouble.fault], framing=framing))
        url = server.url
        if trouble.plan is not None:
            address = (server.host, server.port)
            url = stack.enter_context(FaultProxy(address, trouble.plan)).url
        answer = ask(provider, url, **settings)
    assert server.strays == []
    assert_once(answer, trouble.codes)
    came = first_attempt(answer)
    if trouble.after is not None and came != TEXT:
        arrived = text_in(provider, framing, body_of(provider, framing)[: trouble.after])
        assert arrived.startswith(came)
        # Elsewhere the last characters may be held still: they could be the beginning of a tag.
        assert came == arrived or mode != "stop", "what had arrived was not all shown"
    if trouble.pause is not None and mode != "fallback":
        (again,) = [event for event in answer.events if isinstance(event, ev.Retry)]
        assert trouble.pause[0] <= again.delay <= trouble.pause[1], again.delay
        assert again.status == 429
    recovers = mode in {"restart", "fallback"} or (mode == "continue" and provider in CONTINUE)
    if trouble.heals and (recovers or not came):
        assert isinstance(answer.terminal, ev.Done), f"it ended with {answer.terminal}"
    if not trouble.codes:
        assert isinstance(answer.terminal, ev.Done)
        assert answer.terminal.attempts == 1
    if not recovers and came not in {"", TEXT}:
        assert answer.text == came
        assert len(server.asked) == 1, "a text that cannot be gone on with was asked for again"


# ---- the matrix


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of hundredths of a second, where the server does not name one."""
    monkeypatch.setenv("CHATSTREAM_RETRY_DELAY", "0.01")


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Continuing]:
    """A second server, which nothing is wrong with: it is the usual one of two providers."""
    with Continuing(TEXT) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        yield server
    assert server.strays == []


def run_row(provider: str, framing: Framing, mode: str) -> tuple[int, list[str]]:
    """Every trouble for one protocol, framing and mode: how many, and what failed."""

    def attempt(trouble: Trouble) -> str | None:
        try:
            run_cell(provider, framing, mode, trouble)
        except AssertionError as error:
            return f"{provider}, {framing}, {mode}, {trouble}: {error}"
        return None

    cells = sampled(troubles(provider, framing), CELLS, "cells", provider, framing, mode)
    cells = sorted(cells, key=lambda it: it.pause is None)  # those wait
    with ThreadPoolExecutor(THREADS) as pool:
        return len(cells), [said for said in pool.map(attempt, cells) if said is not None]


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("provider", MODELS)
def test_an_answer_is_whole_once_or_its_exact_beginning(
    figures: Figures, provider: str, framing: Framing, mode: str
) -> None:
    cells, failed = run_row(provider, framing, mode)
    figures.count("cells of the fault matrix", cells)
    assert not failed, "\n".join(failed)


# ---- seams


def cut_and_go_on(provider: str, cuts: Sequence[int], *faults: Fault | None) -> Answer:
    """An answer that is cut after so many bytes, and what the server does then, one by one."""
    plan: list[Fault | None] = [half(n) for n in cuts]
    with Continuing(TEXT, faults=[*plan, *faults]) as server:
        answer = ask(provider, server.url, on_drop="continue", retries=len(plan) + len(faults))
    assert server.strays == []
    return answer


def seeded_cuts(provider: str, count: int) -> list[int]:
    places = range(1500, len(body_of(provider, "close")) - 300)
    return list(chosen(places, count, "seams", provider))


@pytest.mark.parametrize("provider", CONTINUE)
def test_an_answer_that_breaks_again_and_again_is_whole(provider: str) -> None:
    answer = cut_and_go_on(provider, [1800, 2500, 900, 3333, 1200])
    assert (answer.outcome, answer.text) == ("complete", TEXT), difference(answer.text)
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.attempts == 6
    seams = [e for e in answer.events if isinstance(e, ev.Retry)]
    assert {seam.action for seam in seams} == {"continue"}
    lengths = [seam.emitted_chars for seam in seams]
    assert lengths == sorted(lengths)


def chain(chance: random.Random) -> list[Fault]:
    """Five troubles in a row, of those after which a server can be asked to go on."""

    def one() -> Fault:
        at = chance.randrange(300, 9000)
        return chance.choice(
            [
                half(at),
                half(at, rst=True),
                overloaded(at % 90),
                gzipped(cut=at // 5),
                status(503),
                status(429, {"retry-after-ms": "5"}),
                lambda server, asked: replace(begins_anew(server, asked), cut_after=2 * at),
            ]
        )

    return [half(chance.randrange(2000, 9000)), *(one() for _ in range(4))]


@pytest.mark.parametrize("provider", CONTINUE)
@pytest.mark.parametrize("mode", ["continue", "restart"])
def test_one_trouble_after_another_leaves_an_answer_whole(provider: str, mode: str) -> None:
    for number in range(SEAMS):
        faults = chain(seeded("chain", provider, number))
        with Continuing(TEXT, faults=faults) as server:
            answer = ask(provider, server.url, on_drop=mode, retries=len(faults))
        assert server.strays == []
        assert answer.text == TEXT, f"chain {number}: {answer.terminal} {difference(answer.text)}"
        assert answer.outcome == "complete"


@pytest.mark.parametrize("provider", MODELS)
def test_a_server_that_breaks_off_each_time_gives_way_to_the_next(
    healthy: Continuing, provider: str
) -> None:
    other = "m@ollama" if provider != "ollama" else "claude-haiku-4-5@anthropic"
    with Continuing(TEXT, faults=[half(3000)] * 9) as server:
        answer = ask(provider, server.url, on_drop="continue", retries=2, fallback=[other])
    assert len(server.asked) == (3 if provider in CONTINUE else 1)
    assert (answer.outcome, answer.text) == ("complete", TEXT), difference(answer.text)
    assert [asked.there for asked in healthy.asked] == [""]


@pytest.mark.parametrize("provider", MODELS)
def test_text_stays_when_the_next_model_fails_too(healthy: Continuing, provider: str) -> None:
    other = "m@ollama" if provider != "ollama" else "claude-haiku-4-5@anthropic"
    healthy.faults = [status(500)] * 9
    with Continuing(TEXT, faults=[half(3000)] * 9) as server:
        answer = ask(provider, server.url, on_drop="fallback", retries=1, fallback=[other])
    assert isinstance(answer.terminal, ev.Error)
    assert_once(answer, frozenset({"truncated"}))
    assert answer.text.startswith(first_attempt(answer) or "nothing came")


@pytest.mark.parametrize("provider", CONTINUE)
def test_a_server_that_begins_anew_instead_repeats_nothing(provider: str) -> None:
    for cut in seeded_cuts(provider, SEAMS):
        answer = cut_and_go_on(provider, [cut], begins_anew)
        assert (answer.outcome, answer.text) == ("complete", TEXT), difference(answer.text)


@pytest.mark.parametrize("provider", CONTINUE)
def test_a_server_that_begins_anew_with_something_else_is_not_joined(provider: str) -> None:
    other = TEXT[:700] + "Something else. " * 30
    for cut in seeded_cuts(provider, 5):
        answer = cut_and_go_on(provider, [cut], says_something_else(other))
        if len(first_attempt(answer)) > 716:
            assert_once(answer, frozenset({"truncated"}))
            assert answer.text.startswith(first_attempt(answer))
            assert "not_continued" in {e.code for e in answer.events if isinstance(e, ev.Warn)}


@pytest.mark.parametrize("provider", CONTINUE)
def test_a_server_that_refuses_to_go_on_leaves_the_text_and_the_first_cause(provider: str) -> None:
    answer = cut_and_go_on(provider, [4000], refuses_prefill)
    assert isinstance(answer.terminal, ev.Error)
    assert answer.text.startswith(first_attempt(answer) or "nothing came")
    assert_once(answer, frozenset({"truncated"}))


def is_refrain(provider: str, cut: int) -> bool:
    """Whether the last words before this cut are a repetition of the text's own."""
    at = len(text_in(provider, "close", body_of(provider, "close")[:cut]))
    return TEXT.count(TEXT[at - 40 : at]) > 1


@pytest.mark.parametrize("characters", [16, 40, 200])
def test_words_that_a_model_repeats_when_it_is_asked_in_words_come_once(characters: int) -> None:
    for cut in [n for n in seeded_cuts("openai", SEAMS) if not is_refrain("openai", n)]:
        with Continuing(TEXT, faults=[half(cut), repeats(characters)]) as server:
            begun = ask("openai", server.url)
            assert isinstance(begun.terminal, ev.Error)
            answer = checked(answer_of(resume(api_key="test-key")))
        assert (answer.outcome, answer.text) == ("complete", TEXT), difference(answer.text)
        assert [asked.in_words for asked in server.asked] == [False, True]


@pytest.mark.parametrize("provider", CONTINUE)
def test_what_is_left_of_any_cut_can_be_resumed(provider: str) -> None:
    for cut in seeded_cuts(provider, SEAMS):
        with Continuing(TEXT, faults=[half(cut)]) as server:
            begun = ask(provider, server.url, on_drop="stop")
            opening = begun.events[0]
            assert isinstance(opening, ev.Metadata)
            answer = checked(answer_of(resume(opening.run, api_key="test-key")))
        assert (answer.outcome, answer.text) == ("complete", TEXT), difference(answer.text)
        assert server.strays == []
        second = answer.events[0]
        assert isinstance(second, ev.Metadata)
        assert second.continues == opening.run


def test_an_openai_server_is_never_sent_a_beginning_that_it_would_not_go_on_with() -> None:
    with Continuing(TEXT, faults=[half(9000)]) as server:
        answer = ask("openai", server.url, on_drop="continue")
    assert_once(answer, frozenset({"truncated"}))
    assert isinstance(answer.terminal, ev.Error)
    assert [asked.there for asked in server.asked] == [""]


# ---- the process: its standard output


def flags(provider: str, url: str) -> list[str]:
    return ["-p", provider, "--base-url", url, "-m", MODELS[provider]]


def in_a_pipe(provider: str, url: str, *more: str) -> Finished:
    done = run(["ask", *flags(provider, url), *more, "hi"])
    if done.status:
        assert "chatstream resume " in done.stderr
    return done


PROCESSES: list[tuple[str, str, Fault, int]] = [
    ("ollama", "continue", half(5001), 0),
    ("vllm", "continue", half(8001), 0),
    ("anthropic", "continue", overloaded(77), 0),
    ("anthropic", "continue", half(20001, rst=True), 0),
    ("openai", "continue", half(8001), 5),
    ("ollama", "stop", half(5001), 5),
    ("anthropic", "restart", half(20001), 5),  # bytes in a pipe cannot be taken back
    ("vllm", "stop", overloaded(77), 1),
    ("ollama", "stop", gzipped(), 0),
]


@pytest.mark.parametrize(("provider", "mode", "fault", "code"), PROCESSES)
def test_standard_output_has_every_byte_once(
    provider: str, mode: str, fault: Fault, code: int
) -> None:
    with Continuing(TEXT, faults=[fault]) as server:
        done = in_a_pipe(provider, server.url, "--plain", "--on-drop", mode)
    assert done.status == code
    whole = TEXT.encode()
    if code == 0:
        assert done.stdout == whole
    else:
        assert done.stdout != b""
        assert whole.startswith(done.stdout)


@pytest.mark.parametrize(
    ("provider", "mode", "fault"),
    [
        ("ollama", "continue", half(5001)),
        ("vllm", "restart", half(8001)),
        ("anthropic", "fallback", overloaded(77)),
        ("openai", "continue", half(8001)),
    ],
)
def test_json_tells_the_answer_once(
    healthy: Continuing, provider: str, mode: str, fault: Fault
) -> None:
    more = ["--fallback", "m@ollama"] if mode == "fallback" else []
    with Continuing(TEXT, faults=[fault]) as server:
        done = run(["ask", *flags(provider, server.url), "--json", "--on-drop", mode, *more, "hi"])
    answer = checked(answer_of(done.events))
    assert_once(answer, frozenset({"truncated"}))
    assert (answer.outcome == "complete") == (provider != "openai")
    assert bool(healthy.asked) == (mode == "fallback")


# ---- behind a real proxy

WAYS = ["plain", "gzip", "gzip-streamed", "close"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("provider", "way", "mode"),
    sampled(list(itertools.product(MODELS, WAYS, MODES[:3])), 24, "nginx"),
)
def test_the_same_holds_behind_nginx(figures: Figures, provider: str, way: str, mode: str) -> None:
    faults = [
        half(6000),
        half(9001, rst=True),
        overloaded(90),
        garbage(100),
        status(503),
        status(429, {"retry-after-ms": "30"}),
    ]
    failed: list[str] = []
    with Continuing(TEXT) as server, require(nginx(server.url)) as front:
        for number, fault in sampled([*enumerate(faults)], 3, "nginx", provider, way, mode):
            server.play(Reply())
            server.faults = [fault]
            try:
                answer = ask(provider, front.urls[way], on_drop=mode)
                assert_once(answer, frozenset({"truncated", "overloaded"}))
                if mode == "restart" or (mode == "continue" and provider in CONTINUE):
                    assert answer.text == TEXT, difference(answer.text)
            except AssertionError as error:
                failed.append(f"fault {number}: {error}")
    figures.count("cells of the fault matrix", len(faults))
    assert not failed, "\n".join(failed)
    assert server.strays == []
