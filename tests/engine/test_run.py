"""A run: read by one, watched by any number, each at its own pace; and closed at any moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import chatstream
from chatstream import grammar
from chatstream.cancel import CancelToken
from chatstream.engine.run import Question, Run
from chatstream.events import Content, Done, Error, Event, Stats, new_run
from chatstream.flow import Arrival
from chatstream.store.place import runs_folder
from chatstream.store.reading import read
from tests.support.answers import TEXT, frames, headers, whole
from tests.support.loopback import Reply, Script

WORDS = [f"w{number} " for number in range(200)]


def words() -> Iterator[Arrival]:
    """A run of the pipeline, as it reaches `Run`."""
    yield Arrival([Content(WORDS[0], seq=0)])
    yield Arrival()
    yield Arrival([Content(word, seq=at) for at, word in enumerate(WORDS[1:], 1)])
    stats = Stats(duration=1.0, chunks=200)
    yield Arrival([Done(finish_reason="stop", stats=stats, attempts=1, seq=200)])


def run_of(arrivals: Iterator[Arrival], *, keeps: bool = True) -> Run:
    return Run(Question(messages=(), keeps=keeps), new_run(), CancelToken(), arrivals)


def text_of(events: Iterator[Event]) -> str:
    return "".join(event.delta for event in events if isinstance(event, Content))


def test_a_watcher_sees_every_event_whenever_it_comes() -> None:
    run = run_of(words())
    early = run.watch()
    seen = list(run)
    assert text_of(early) == text_of(run.watch()) == "".join(WORDS)
    assert [event.seq for event in run.watch()] == [event.seq for event in seen] == [*range(201)]


def test_watchers_that_stall_raise_or_leave_harm_nobody() -> None:
    with Script(whole("ollama")) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        with chatstream.Client(**options) as client, client.run("hi") as run:
            stalls, leaves, raises = run.watch(), run.watch(), run.watch()
            read_on, texts = threading.Event(), []

            def stall() -> None:
                next(stalls)
                read_on.wait(5)
                texts.append(text_of(stalls))

            def leave() -> None:
                for _ in leaves:
                    break

            def fail() -> None:
                try:
                    for _ in raises:
                        raise ValueError
                except ValueError:
                    texts.append("raised")

            def take() -> None:
                texts.append(text_of(run.watch()))

            threads = [threading.Thread(target=it) for it in (stall, leave, fail, take)]
            for thread in threads:
                thread.start()
            run.start()
            for thread in threads[1:]:
                thread.join(5)
            assert sorted(texts) == sorted(["raised", TEXT])
            read_on.set()
            threads[0].join(5)
            assert texts[-1] == TEXT
            grammar.check(list(run.watch()))
            record = read(runs_folder() / f"{run.id}.jsonl")
    assert (record.outcome, record.message.content) == ("complete", TEXT)


def test_what_a_run_says_of_itself() -> None:
    run = run_of(words())
    assert (run.active, run.stats, run.partial.content) == (True, None, "")
    events = iter(run)
    next(events)
    assert (run.active, run.partial.content, run.partial.complete) == (True, WORDS[0], False)
    list(events)
    assert (run.active, run.partial.complete) == (False, True)


def test_the_figures_of_a_run_are_there_at_its_end() -> None:
    with Script(whole("openai")) as server:
        options: dict[str, Any] = {"provider": "openai", "base_url": server.url, "model": "m"}
        with chatstream.Client(**options) as client, client.run("hi") as run:
            list(run)
            assert run.stats is not None
            assert run.stats.chunks > 0
            assert isinstance(run.terminal, Done)


def test_a_cancel_ends_a_run_that_nobody_reads() -> None:
    body = frames("ollama")
    held = Reply(body, headers=headers("ollama"), hold={len(body): threading.Event()})
    with Script(held) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        with chatstream.Client(**options) as client:
            run = client.run("hi").start()
            for _ in run.watch():
                if run.partial.content == TEXT:
                    run.cancel()
            *_, last = run.watch()
            assert isinstance(last, Error)
            assert last.code == "cancelled"
            assert server.wait_closed()
            run.close()
    assert run.partial.content == TEXT


@pytest.mark.parametrize("started", [False, True])
def test_closing_early_leaves_nothing_behind(started: bool) -> None:
    body = frames("ollama")
    held = Reply(body, headers=headers("ollama"), hold={len(body): threading.Event()})
    with Script(held) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        before = set(threading.enumerate())
        with chatstream.Client(**options) as client:
            run = client.run("hi")
            if started:
                run.start()
            else:
                next(event for event in run if isinstance(event, Content))
            assert server.wait_requests()
            run.close()
            run.close()
            assert not run.active
        assert server.wait_closed()
        ours = [
            it for it in threading.enumerate() if it not in before and it.name.startswith("run")
        ]
        assert ours == []


def test_a_run_that_was_never_read_can_be_closed() -> None:
    over: list[str] = []
    run = Run(
        Question(messages=(), keeps=True),
        new_run(),
        CancelToken(),
        words(),
        ended=lambda: over.append("over"),
    )
    run.close()
    run.close()
    assert (over, run.active, list(run.watch())) == (["over"], False, [])


def test_a_run_that_keeps_nothing_cannot_be_watched() -> None:
    run = run_of(words(), keeps=False)
    assert text_of(iter(run)) == "".join(WORDS)
    with pytest.raises(RuntimeError):
        run.watch()
