"""Claimed: an answer of a real server that breaks off is gone on with, in flight or later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.api import stream
from chatstream.store.place import runs_folder
from chatstream.store.reading import Record, journals, read
from tests.support.client import Answer, Finished, answer_of, run
from tests.support.faultproxy import FaultProxy, address
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.unavailable import require

pytestmark = pytest.mark.real

MODELS = {"ollama": "m", "openai": "m", "anthropic": "claude-haiku-4-5", "llamacpp": "tiny"}
PROMPT = "one char a chunk"
WHOLE: str = fixture(PROMPT)["response"]["content"]
UNMATCHED = "Unmatched prompt: this is the catch-all."  # what aimock says to anything else
CUT = "cut:after=4000:body=1"
GREEDY = ["-t", "0", "--max-tokens", "80"]


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with require(llama_server("tiny")) as server:
        yield server.url


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with require(aimock()) as server:
        yield server.url


def flags(provider: str, url: str) -> list[str]:
    return ["-p", provider, "--base-url", url, "-m", MODELS[provider]]


def cut_run(provider: str, url: str, after: int, prompt: str, more: Sequence[str] = ()) -> Finished:
    """A run that is cut after so many bytes of the body, and not recovered."""
    with FaultProxy(address(url), f"cut:after={after}:body=1") as proxy:
        arguments = ["ask", "--plain", "--on-drop", "stop", *flags(provider, proxy.url), *more]
        done = run([*arguments, prompt])
    assert done.status == 5, done.stderr
    assert done.stdout != b""
    return done


def runs() -> list[Record]:
    """The records of all runs, the newest first."""
    return [read(path) for path in journals(runs_folder())]


def assert_kept(done: Finished) -> Record:
    """The text that came is in the journal, and the command that goes on is printed."""
    (record,) = runs()
    assert record.message.content == done.stdout.decode()
    assert record.outcome == "truncated"
    assert f"chatstream resume {record.run}" in done.stderr
    return record


def resumed(record: Record, url: str, *more: str) -> Finished:
    """The same answer, gone on with at another address."""
    done = run(["resume", "--plain", "--base-url", url, *more])
    assert done.status == 0, done.stderr
    assert done.stdout.decode().startswith(record.message.content)
    newest = runs()[0]
    assert newest.continues == record.run
    assert (newest.outcome, newest.message.content) == ("complete", done.stdout.decode())
    return done


def in_flight(provider: str, url: str, plan: str, prompt: str, **settings: Any) -> Answer:
    """A run in this process that goes on by itself."""
    with FaultProxy(address(url), plan) as proxy:
        given: Any = {"on_drop": "continue", "model": MODELS[provider], "api_key": "k", **settings}
        answer = answer_of(stream(prompt, provider=provider, base_url=proxy.url, **given))
        proxy.stop()
        faults = [record.ended_by for record in proxy.log]
    grammar.check(answer.events)
    assert {"fault", "client"} & set(faults), f"nothing was cut: {faults}"
    return answer


# ---- llama.cpp goes on with a message of the assistant. Its model is small and greedy here: what
# it writes depends on the text before it alone, so that a seam leaves no trace at all.


@pytest.mark.parametrize("after", [3000, 6000, 12000])
def test_llamacpp_makes_an_answer_whole_that_was_cut(llama: str, after: int) -> None:
    done = cut_run("llamacpp", llama, after, "hi", GREEDY)
    record = assert_kept(done)
    whole = run(["ask", "--plain", "--no-journal", *flags("llamacpp", llama), *GREEDY, "hi"])
    again = resumed(record, llama)
    assert len(again.stdout) > len(done.stdout)
    assert again.stdout == whole.stdout


@pytest.mark.parametrize("plan", [CUT, f"{CUT},{CUT}", "cut:after=3001:body=1", "stall:after=6000"])
def test_llamacpp_goes_on_in_flight(llama: str, plan: str) -> None:
    settings: dict[str, Any] = {"temperature": 0.0, "max_tokens": 80, "idle_timeout": 1.0}
    whole = answer_of(stream("hi", provider="llamacpp", base_url=llama, model="tiny", **settings))
    answer = in_flight("llamacpp", llama, f"{plan},clean", "hi", **settings)
    assert isinstance(answer.terminal, ev.Done)
    assert answer.text == whole.text
    seams = [event for event in answer.events if isinstance(event, ev.Retry)]
    assert len(seams) == len(plan.split(","))
    assert {seam.action for seam in seams} == {"continue"}
    assert seams[0].emitted_chars > 0


# ---- aimock has its answers ready, and begins them anew whoever asks


@pytest.mark.parametrize("provider", ["ollama", "anthropic"])
def test_aimock_makes_an_answer_whole_that_was_cut(mock: str, provider: str) -> None:
    done = cut_run(provider, mock, 4000, PROMPT)
    record = assert_kept(done)
    assert WHOLE.encode().startswith(done.stdout)
    assert resumed(record, mock).stdout.decode() == WHOLE


@pytest.mark.parametrize("provider", ["ollama", "anthropic"])
def test_aimock_goes_on_in_flight(mock: str, provider: str) -> None:
    answer = in_flight(provider, mock, f"{CUT},clean", PROMPT)
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.attempts == 2
    assert answer.text == WHOLE


def test_aimock_as_openai_goes_on_when_it_is_told_to_in_words(mock: str) -> None:
    done = cut_run("openai", mock, 4000, PROMPT)
    again = resumed(assert_kept(done), mock).stdout.decode()
    # It knows no answer to the request to go on, and says so: that is not in the text twice.
    assert again == done.stdout.decode() + UNMATCHED


def test_aimock_as_openai_is_not_asked_to_go_on_in_flight(mock: str) -> None:
    answer = in_flight("openai", mock, f"{CUT},clean", PROMPT)
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.partial) == ("truncated", True)
    assert WHOLE.startswith(answer.text)
