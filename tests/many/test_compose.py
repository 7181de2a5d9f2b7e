"""Claimed: each section is a run that fails, is kept and is asked for again by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.engine.pipeline import run
from chatstream.engine.pool import Pool
from chatstream.engine.prices import Price
from chatstream.engine.resolve import resolve
from chatstream.engine.resume import continuation, unfinished
from chatstream.errors import Cancelled
from chatstream.events import (
    Content,
    Counts,
    Done,
    Error,
    Event,
    Metadata,
    Progress,
    Terminal,
    Warn,
)
from chatstream.many import outline as outlines
from chatstream.many.compose import Composition, Plan
from chatstream.many.job import Job
from chatstream.many.outline import Outline
from chatstream.store.composed import Composed
from chatstream.store.history import History
from chatstream.store.journal import SUFFIX
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import journals, read
from chatstream.transcript import Transcript
from tests.support.answers import ALL_DIALECTS, frames
from tests.support.arrivals import events_of
from tests.support.continuing import Continuing, long_text
from tests.support.continuing import half as half_of
from tests.support.costly import costs
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.readers import until
from tests.support.sampling import by_size, seeded
from tests.support.sections import (
    OUTLINE,
    Continued,
    Sections,
    ignored,
    outline,
    refused,
    says,
)

BROKEN = Reply.json({"error": "no room left"}, 400)


def three(*texts: str) -> dict[int, Reply]:
    return dict(enumerate(map(says, texts or ("one", "two", "three")), 1))


def given(*headings: str) -> Outline:
    text = "".join(f"## {it}\n" for it in headings or ("A", "B", "C"))
    return outlines.of_file(f"# Title\n{text}", "file", "topic")


def plan(server: Script, its: Outline | None = None, **settings: Any) -> Plan:
    flags = {"provider": "ollama", "base_url": server.url, "model": "m", "retries": 0, **settings}
    return Plan("topic", resolve(flags), its, flags=flags)


@contextmanager
def composing(
    its: Plan, token: CancelToken | None = None, most: int = 3, clock: Clock = monotonic
) -> Iterator[Composition]:
    with closing(Pool()) as pool, closing(Composed(state_folder(), its.key)) as composed:
        job = Job(composed)
        yield Composition(its, job, pool, token or CancelToken(), most=most, clock=clock)


def written(its: Plan, most: int = 3) -> list[Event]:
    with composing(its, most=most) as composition:
        return events_of(composition.arrivals())


def texts(events: list[Event]) -> dict[str, str]:
    found: dict[str, str] = {}
    for it in events:
        if isinstance(it, Content) and it.stream:
            found[it.stream] = found.get(it.stream, "") + it.delta
    return found


def test_every_section_is_a_journalled_run_that_knows_the_outline() -> None:
    with Sections(three()) as server:
        events = written(plan(server, given()))
    assert texts(events) == {"1 A": "one", "2 B": "two", "3 C": "three"}
    assert sorted(server.asked) == [1, 2, 3]
    assert sorted(read(it).message.content for it in journals(runs_folder())) == [
        *("one", "three", "two")
    ]
    for request in server.requests:
        asked = request.json["messages"][-1]["content"]
        assert "1. A\n2. B\n3. C" in asked
    end = events[-1]
    assert isinstance(end, Done)
    assert end.stream is None
    assert end.usage == Counts(input_tokens=9, output_tokens=15)
    assert end.cost is None


def test_a_model_makes_the_outline_by_a_schema_and_then_the_sections_follow_it() -> None:
    with Sections({OUTLINE: outline("Dawn", "Dusk"), **three("one", "two")}) as server:
        events = written(replace(plan(server), sections=2))
    assert server.asked[0] == OUTLINE
    assert sorted(server.asked[1:]) == [1, 2]
    assert server.requests[0].json["format"]["properties"]["sections"]["minItems"] == 2
    assert "format" not in server.requests[1].json
    found = texts(events)
    del found["outline"]
    assert found == {"1 Dawn": "one", "2 Dusk": "two"}


def test_a_second_run_asks_for_nothing_and_shows_everything() -> None:
    with Sections({OUTLINE: outline("A", "B", "C"), **three()}) as server:
        its = plan(server)
        first = texts(written(its))
        server.play(Reply())
        events = written(its)
    assert server.asked == []
    assert {**texts(events), "outline": first["outline"]} == first
    assert all(it.replayed for it in events if it.stream)
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_section_that_fails_ends_no_other_and_is_all_that_is_asked_for_again(number: int) -> None:
    with Sections({**three(), number: BROKEN}) as server:
        its = plan(server, given())
        events = written(its)
        end = events[-1]
        assert isinstance(end, Error)
        assert "1 section could not be written" in end.message
        assert "again" in (end.hint or "")
        assert len(texts(events)) == 2
        server.play(Reply())
        server.replies = three()
        again = written(its)
    assert server.asked == [number]
    assert texts(again) == {"1 A": "one", "2 B": "two", "3 C": "three"}
    assert isinstance(again[-1], Done)


@pytest.mark.parametrize("answer", ["", " \n", "## B", "# B\n\n"])
def test_a_section_without_text_has_failed(answer: str) -> None:
    with Sections({**three(), 2: says(answer)}) as server:
        its = plan(server, given())
        assert isinstance(written(its)[-1], Error)
        server.replies = three()
        server.play(Reply())
        assert isinstance(written(its)[-1], Done)
    assert server.asked == [2]


def test_a_section_that_was_resumed_is_whole() -> None:
    cut = Reply(frames("ollama", ["tw"]), headers=NDJSON)
    with Sections({**three(), 2: cut}) as server:
        its = plan(server, given(), on_drop="stop")
        assert isinstance(written(its)[-1], Error)
        server.replies[2] = says("two")
        resolved, question = continuation(unfinished(None), {})
        with closing(Pool()) as pool, run(resolved, question, pool, CancelToken()) as resumed:
            assert isinstance(events_of(resumed.arrivals)[-1], Done)
        server.play(Reply())
        assert texts(written(its))["2 B"] == "two"
    assert server.asked == []


def half(text: str) -> Reply:
    return Reply(frames("ollama", [text]), headers=NDJSON)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_section_that_broke_off_is_continued_and_nothing_else_is_asked(number: int) -> None:
    whole = ("one two ", "three  \n\n four 🌍", "```\nfive")
    with Sections({**three(*whole), number: half(whole[number - 1][:4])}) as server:
        its = plan(server, given())
        assert isinstance(written(its)[-1], Error)
        server.replies = three(*whole)
        server.play(Reply())
        events = written(its)
    assert server.begun == [(number, whole[number - 1][:4])]
    assert isinstance(events[-1], Done)
    found = {label: text.strip() for label, text in texts(events).items()}
    assert found == {
        it: text.strip() for it, text in zip(("1 A", "2 B", "3 C"), whole, strict=True)
    }
    its_own = [it for it in events if it.stream == "123"[number - 1] + " " + "ABC"[number - 1]]
    assert [it.seq for it in its_own] == list(range(len(its_own)))
    opening = its_own[0]
    assert isinstance(opening, Metadata)
    assert opening.continues is not None
    replayed = [it for it in its_own if it.replayed]
    assert [it.delta for it in replayed if isinstance(it, Content)] == [whole[number - 1][:4]]
    again = texts(written(its))
    assert again == {label: text.strip() for label, text in found.items()}


def test_a_section_is_continued_as_often_as_it_breaks_off() -> None:
    said = " ".join(map(str, range(40)))
    with Sections({1: half(said[:10])}) as server:
        its = plan(server, given("A"))
        for size in (20, 40, len(said)):
            assert isinstance(written(its)[-1], Error)
            server.replies = {1: half(said[:size])}
        server.replies = {1: says(said)}
        assert texts(written(its)) == {"1 A": said}
    assert [len(text) for _, text in server.begun] == [0, 10, 20, 40]


@pytest.mark.parametrize("continued", [refused, ignored])
def test_a_section_that_the_server_does_not_continue_is_written_from_the_beginning(
    continued: Continued,
) -> None:
    new = "Once upon a time, and not long ago."
    with Sections({**three(), 2: half("Once upon a time there was a server.")}) as server:
        its = plan(server, given())
        written(its)
        server.replies, server.continued = three("one", new, "three"), continued
        server.play(Reply())
        events = written(its)
    own = [it for it in events if it.stream == "2 B"]
    assert isinstance(own[-1], Done)
    assert sum(isinstance(it, Terminal) for it in own) == 1
    assert [it.seq for it in own] == list(range(len(own)))
    answer = Transcript()
    for it in own:
        answer.add(it)
    assert answer.message.content == new
    reasons = [it.message for it in own if isinstance(it, Warn) and it.code == "started_over"]
    assert len(reasons) == 1
    assert server.begun[-1] == (2, "")
    told = [it.percentage or 0.0 for it in events if isinstance(it, Progress)]
    assert told == sorted(told)
    assert texts(written(its))["2 B"] == new


def test_a_section_whose_continuation_fails_keeps_its_text_for_the_next() -> None:
    with Sections({1: half("one ")}) as server:
        its = plan(server, given("A"))
        written(its)
        for status in (500, 429, 401):
            server.replies = {1: Reply.json({"error": "not now"}, status)}
            assert isinstance(written(its)[-1], Error)
        server.replies = {1: says("one two")}
        assert texts(written(its)) == {"1 A": "one two"}
    assert server.begun == [(1, ""), *[(1, "one ")] * 4]


def test_a_section_whose_prompt_has_changed_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Sections({1: half("one ")}) as server:
        its = plan(server, given("A"))
        written(its)
        request = outlines.request
        monkeypatch.setattr(outlines, "request", lambda *its: request(*its) + " Be brief.")
        server.replies = {1: says("brief")}
        events = written(its)
    assert server.begun[-1] == (1, "")
    assert texts(events) == {"1 A": "brief"}
    assert [it.message for it in events if isinstance(it, Warn)] == [
        "asked again from the beginning: its prompt has changed"
    ]


def test_a_section_without_text_is_asked_again_without_a_word() -> None:
    with Sections({1: half("")}) as server:
        its = plan(server, given("A"))
        written(its)
        server.replies = {1: says("one")}
        events = written(its)
    assert server.begun == [(1, ""), (1, "")]
    assert not [it for it in events if isinstance(it, Warn)]


def test_an_outline_that_broke_off_is_continued_too() -> None:
    whole = outline("A", "B", "C").whole().splitlines(keepends=True)
    text = json.loads(whole[0])["message"]["content"]
    with Sections({OUTLINE: half(text[:30]), **three()}) as server:
        its = plan(server)
        assert isinstance(written(its)[-1], Error)
        server.replies[OUTLINE] = outline("A", "B", "C")
        events = written(its)
    assert server.begun[:2] == [(OUTLINE, ""), (OUTLINE, text[:30])]
    found = texts(events)
    assert found.pop("outline") == text
    assert found == {"1 A": "one", "2 B": "two", "3 C": "three"}


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_wherever_a_section_is_cut_it_is_whole_to_the_byte(dialect: str) -> None:
    """OpenAI's servers are asked in words: a line that comes twice may be one that they repeat."""
    lines = "".join(f"{number}. Café {number**2} 👍🏽\n" for number in range(30))
    text = lines if dialect.startswith("openai") else long_text(120)
    chance = seeded(f"cut sections {dialect}")
    for _ in range(by_size(2, 40)):
        cuts = [half_of(chance.randrange(500, 4000)) for _ in range(2)]
        with Continuing(text, faults=cuts) as server:
            its = plan(server, given("A"), provider=dialect, api_key="k")
            for _ in range(3):
                events = written(its)
                if isinstance(events[-1], Done):
                    break
            assert texts(events) == {"1 A": text}
            assert server.strays == []


def test_another_outline_has_other_sections() -> None:
    with Sections({OUTLINE: outline("A", "B"), **three("one", "two")}) as server:
        its = plan(server)
        written(its)
        journals(runs_folder())[-1].unlink()  # the outline's
        server.replies = {OUTLINE: outline("C", "D"), **three("three", "four")}
        found = texts(written(its))
    assert (found["1 C"], found["2 D"]) == ("three", "four")


def test_an_outline_is_not_ended_early() -> None:
    with Sections({OUTLINE: outline("A"), **three("one")}) as server:
        assert isinstance(written(plan(server, stop_when="title"))[-1], Done)


@pytest.mark.parametrize("journal", [True, False])
def test_the_limit_of_the_cost_is_that_of_the_document(
    journal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstream.engine.prices.price_of", lambda *_: Price(1.0, 1.0))
    settings = {"provider": "openai", "api_key": "k", "max_cost": 1.2, "journal": journal}
    with Sections(dict.fromkeys(range(1, 5), costs(0.5))) as server:
        its = plan(server, given("A", "B", "C", "D"), **settings)
        with closing(Pool()) as pool, closing(Composed(state_folder(), its.key)) as composed:
            job = Job(composed if journal else None)
            for asked in ([1, 2, 3], [] if journal else [1, 2, 3]):
                server.play(Reply())
                made = Composition(its, job, pool, CancelToken(), most=3)
                end = events_of(made.arrivals())[-1]
                assert isinstance(end, Error)
                assert {it.code for it in made.failures.values()} == {"max_cost"}
                assert server.asked == asked


def test_sections_that_all_failed_alike_are_a_failure_of_that_kind() -> None:
    with Sections(dict.fromkeys((1, 2, 3), BROKEN)) as server:
        end = written(plan(server, given()))[-1]
    assert isinstance(end, Error)
    assert end.code == "bad_request"


@pytest.mark.parametrize(
    "reply", [BROKEN, says("no JSON"), says('{"title": "T", "sections": []}'), outline(" ", "#")]
)
def test_without_an_outline_there_is_no_section(reply: Reply) -> None:
    with Sections({OUTLINE: reply}) as server:
        its = plan(server)
        end = written(its)[-1]
        assert isinstance(end, Error)
        assert "outline" in end.message
        server.play(Reply())
        server.replies = {OUTLINE: outline("A"), 1: says("one")}
        assert isinstance(written(its)[-1], Done)
    assert server.asked == [OUTLINE, 1]


def test_only_so_many_sections_are_written_at_once() -> None:
    held = threading.Event()
    headings = [f"H{number}" for number in range(6)]
    replies = {number: says("x", hold={"after_head": held}) for number in range(1, 7)}
    most = 0
    with Sections(replies) as server, composing(plan(server, given(*headings)), most=2) as made:
        for _ in made.arrivals():
            under_way = sum(it.holding for it in server.connections)
            most = max(most, under_way)
            if under_way == 2:
                held.set()
    assert most == 2
    assert len(server.asked) == 6


def test_a_document_that_is_stopped_is_continued() -> None:
    held = threading.Event()
    token = CancelToken()
    with Sections({**three(), 2: says("two", hold={"after_head": held})}) as server:
        its = plan(server, given())
        with composing(its, token) as made:
            events: list[Event] = []
            for arrival in made.arrivals():
                events += arrival.events
                ends = {it.stream for it in events if isinstance(it, Done)}
                if ends == {"1 A", "3 C"} and 2 in server.asked and not token.cancelled:
                    token.cancel(Cancelled("stopped"))
        end = events[-1]
        assert isinstance(end, Error)
        assert (end.code, end.stream) == ("cancelled", None)
        assert "again" in (end.hint or "")
        server.play(Reply())
        held.set()
        assert isinstance(written(its)[-1], Done)
    assert server.asked == [2]


def test_a_document_whose_journals_have_expired_is_in_the_history() -> None:
    with Sections(three()) as server:
        its = plan(server, given())
        first = texts(written(its))
        with History(state_folder()) as history:
            history.sync()
        for path in journals(runs_folder()):
            path.unlink()
        server.play(Reply())
        assert texts(written(its)) == first
    assert server.asked == []


def test_a_journal_that_is_damaged_or_gone_is_written_again() -> None:
    with Sections(three()) as server:
        its = plan(server, given())
        written(its)
        by_text = {read(it).message.content: it for it in journals(runs_folder())}
        by_text["one"].unlink()
        data = by_text["two"].read_bytes()
        by_text["two"].write_bytes(data.replace(b'"two"', b'"TWO"'))
        server.play(Reply())
        assert isinstance(written(its)[-1], Done)
    assert sorted(server.asked) == [1, 2]


def test_without_a_journal_nothing_is_remembered() -> None:
    with Sections(three()) as server, closing(Pool()) as pool:
        its = plan(server, given(), journal=False)
        for _ in range(2):
            made = Composition(its, Job(None), pool, CancelToken(), most=3)
            assert isinstance(events_of(made.arrivals())[-1], Done)
    assert len(server.asked) == 6
    assert not list(Path(state_folder()).glob("*/*" + SUFFIX))


def test_the_progress_never_goes_backwards_and_is_whole_only_at_the_end() -> None:
    said = "word " * 30
    replies = {number: says(*[said] * number) for number in range(1, 6)}
    headings = [f"H{number}" for number in range(5)]
    ticks = iter(range(10**6))
    with (
        Sections({OUTLINE: outline(*headings), **replies}) as server,
        composing(plan(server), most=2, clock=lambda: float(next(ticks))) as made,
    ):
        events = events_of(made.arrivals())
    told = [it for it in events if isinstance(it, Progress)]
    shares = [it.percentage or 0.0 for it in told]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert max(shares[:-1]) < 100
    assert [it.stage for it in told][:2] == ["outline", "writing"]
    assert told[-1].message == "5 of 5 sections"


def test_the_weight_of_a_section_is_its_number_of_words() -> None:
    pieces = outlines.of_answer(
        '{"title": "T", "sections": [{"heading": "A", "notes": "", "words": 900},'
        ' {"heading": "B", "notes": "", "words": 100}]}',
        "topic",
    )
    first = threading.Event()
    replies = {1: says("one", hold={"before_head": first}), 2: says("two")}
    with Sections(replies) as server, composing(plan(server, pieces)) as made:
        for arrival in made.arrivals():
            for it in arrival.events:
                if isinstance(it, Progress) and it.message == "1 of 2 sections":
                    assert it.percentage == 10
                    first.set()
    until(first)


def test_what_is_missing_is_all_that_the_progress_counts() -> None:
    with Sections({**three(), 2: BROKEN, 3: BROKEN}) as server:  # whose ends never come together
        its = plan(server, given())
        written(its)
        server.replies = three()
        told = [it for it in written(its) if isinstance(it, Progress)]
    assert (told[0].percentage or 0) < 100
    assert told[-1].percentage == 100
    assert told[-1].message == "3 of 3 sections"


@pytest.mark.parametrize(
    "other",
    [{"topic": "other"}, {"sections": 4}, {"outline": given("A", "B")}, {"outline": outlines.PAGE}],
)
def test_another_topic_or_outline_is_another_document(other: dict[str, Any]) -> None:
    its = Plan("topic", resolve({"model": "m"}))
    assert replace(its, **other).key != its.key
    assert Plan("topic", resolve({"model": "m"})).key == its.key


@pytest.mark.parametrize("setting", [{"model": "n"}, {"temperature": 0.5}, {"options": ["seed=1"]}])
def test_another_model_or_request_is_another_document(setting: dict[str, Any]) -> None:
    its = Plan("topic", resolve({"model": "m"}))
    assert Plan("topic", resolve({"model": "m", **setting})).key != its.key
    assert Plan("topic", resolve({"model": "m", "color": "never"})).key == its.key


def test_heartbeats_pass() -> None:
    held, beats = threading.Event(), 0
    replies = {1: says("one", hold={"after_head": held})}
    with Sections(replies) as server, composing(plan(server, given("A"))) as made:
        for arrival in made.arrivals():
            beats += not arrival.events
            if beats > 2:
                held.set()
    assert beats > 2
