"""Claimed: with real servers that limit, fail and hang up each compared answer is what its server
gave, and tells how it ended; a server that answers one at a time has the others queued.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream import grammar
from chatstream.events import Content, Done, Error, Event
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.client import COMMAND, Finished, run, run_here
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.sampling import by_size
from tests.support.tmux import tmux
from tests.support.unavailable import require

pytestmark = pytest.mark.real

LABELS = ["m", "m #2", "m #3", "m #4"]
RATES = {"--chaos-ratelimit": "0.25", "--chaos-drop": "0.25", "--chaos-disconnect": "0.25"}
TEXT = fixture("plain text")["response"]["content"]


@pytest.fixture(scope="module")
def chaos() -> Iterator[str]:
    """A server that answers a quarter of all requests with 429, with 500, and by hanging up."""
    with require(aimock(*[word for it in RATES.items() for word in it])) as server:
        yield server.url


def compared(url: str, *more: str) -> Finished:
    line = ["compare", "-p", "ollama", "--base-url", url, "-m", "m", "-n", str(len(LABELS))]
    return run_here([*line, *more, "plain text"], CHATSTREAM_RETRY_DELAY="0.01")


def by_label(done: Finished) -> dict[str, list[Event]]:
    return {label: [it for it in done.events if it.stream == label] for label in LABELS}


def test_under_chaos_each_answer_is_whole_or_says_why_not(chaos: str) -> None:
    ends = []
    for _ in range(by_size(6, 40)):
        done = compared(chaos, "--json", "--retries", "0")
        statuses = set()
        for events in by_label(done).values():
            grammar.check(events)
            end = events[-1]
            ends.append(end)
            text = "".join(it.delta for it in events if isinstance(it, Content))
            assert (text == TEXT) is isinstance(end, Done)
            assert TEXT.startswith(text)
            statuses.add(0 if isinstance(end, Done) else 1)
        assert (done.status == 0) is (statuses == {0})
    assert {Done, Error} == {*map(type, ends)}
    assert {read(it).outcome for it in journals(runs_folder())} >= {
        "complete",
        "server_error",
        "rate_limited",
    }


def test_under_chaos_retries_make_all_of_them_whole(chaos: str) -> None:
    for _ in range(by_size(3, 20)):
        done = compared(chaos, "--json", "--retries", "40")
        assert done.status == 0
        for events in by_label(done).values():
            grammar.check(events)
            assert "".join(it.delta for it in events if isinstance(it, Content)) == TEXT


def test_under_chaos_the_document_stays_in_order(chaos: str) -> None:
    for _ in range(by_size(3, 20)):
        text = compared(chaos, "--retries", "1").stdout.decode()
        heads = [line for line in text.splitlines() if line.startswith("## ")]
        assert heads == [*(f"## {at}. {it}" for at, it in enumerate(LABELS, 1)), "## Summary"]
        assert text.count(TEXT.strip()) == text.count("| whole |")


@pytest.mark.parametrize("slots", [1, 2])
def test_llamacpp_answers_as_many_at_once_as_it_has_slots(slots: int) -> None:
    with require(llama_server("tiny", "--parallel", str(slots), "--ctx-size", "16384")) as server:
        line = ["compare", "-p", "llamacpp", "--base-url", server.url, "-m", "tiny", "-n", "3"]
        line += ["-t", "0", "-o", "ignore_eos=true", "Tell me a story."]
        done = run([*line, "--max-tokens", "100", "--json"])
        assert done.status == 0
        texts = {}
        for label in ("tiny", "tiny #2", "tiny #3"):
            events = [it for it in done.events if it.stream == label]
            grammar.check(events)
            texts[label] = "".join(it.delta for it in events if isinstance(it, Content))
        assert all(texts.values())
        with require(tmux(120, 24)) as pane:
            pane.run([*COMMAND, *line, "--max-tokens", "3000"])
            pane.until_shown("queued")
            pane.until(lambda: pane.ended)
            assert pane.status == 0
            assert pane.text().count("── ") >= 3
            assert "answers from one server may wait for each other" in " ".join(pane.lines())
