"""Claimed: a chat with a real server keeps an answer that ends early, and completes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import BRANCHED, place_of
from chatstream.errors import JournalError
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import events_at, journals, read
from tests.support.chats import Typed
from tests.support.client import COMMAND
from tests.support.faultproxy import FaultProxy, address
from tests.support.real.servers import llama_server
from tests.support.sampling import by_size
from tests.support.unavailable import require
from tests.support.waiting import signal_once, until_true

pytestmark = pytest.mark.real

QUESTION = "Tell me a story."
LIMIT = 60.0  # seconds
STOP_AFTER = 40  # bytes of an answer


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with require(llama_server("tiny")) as server:
        yield server.url


def greedy(url: str) -> dict[str, Any]:
    return {
        "provider": "llamacpp",
        "base_url": url,
        "model": "tiny",
        "temperature": 0.0,
        "max_tokens": 120,
        "on_drop": "stop",
        "retries": 0,
    }


def stop_after(count: int) -> None:
    """Ctrl+C once this many bytes of the newest answer are in its journal."""
    before = set(journals(runs_folder()))
    signal_once(lambda: any(came(it, count) for it in set(journals(runs_folder())) - before))


def test_an_answer_that_broke_off_is_completed_byte_for_byte(llama: str) -> None:
    whole, cut = Session(greedy(llama)), Session(greedy(llama))
    chat(whole, Typed(QUESTION))
    with FaultProxy(address(llama), "cut:after=4000:body=1") as proxy:
        cut.flags["base_url"] = proxy.url
        assert chat(cut, Typed(QUESTION)) == 0
    part = cut.turns[0].answer
    assert not part.complete
    continued = Session(greedy(llama), place_of(last=True))
    assert continued.stopped == cut.head
    chat(continued, Typed("/continue"))
    assert continued.turns[0].answer.content == whole.turns[0].answer.content
    assert len(continued.turns) == 1


@pytest.mark.parametrize("count", by_size([1, 150], [1, 20, 60, 100, 150, 200, 260, 300, 350]))
def test_an_answer_whose_chat_was_killed_is_completed_byte_for_byte(llama: str, count: int) -> None:
    whole = Session(greedy(llama))
    chat(whole, Typed(QUESTION))
    before = set(journals(runs_folder()))
    with FaultProxy(address(llama), "drip:after=1000:size=60:delay=3") as proxy:
        flags = ["-p", "llamacpp", "--base-url", proxy.url, "-m", "tiny", "-t", "0"]
        flags += ["--max-tokens", "120", "--retries", "0"]
        client = subprocess.Popen(
            [*COMMAND, "chat", *flags], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert client.stdin is not None
        client.stdin.write(f"{QUESTION}\n".encode())
        client.stdin.flush()
        until_true(lambda: any(came(it, count) for it in set(journals(runs_folder())) - before))
        client.kill()
        client.wait()
        client.stdin.close()
    continued = Session(greedy(llama), place_of(last=True))
    assert continued.stopped is not None
    chat(continued, Typed("/continue"))
    assert continued.turns[-1].answer.content == whole.turns[0].answer.content


def came(path: Path, count: int) -> bool:
    """Whether the answer in this journal, which may have no line yet, has so many bytes."""
    with suppress(JournalError):
        return len(read(path).message.content.encode()) >= count
    return False


def test_a_stopped_answer_stays_and_is_continued(llama: str) -> None:
    """A stop ends the stream on the server, so that the model goes on from the text alone. That
    is the same text only if it reads it as the tokens that it has written, and if the template
    puts nothing in front of it; with this model neither is so.
    """
    with FaultProxy(address(llama), "stall:after=4000:body=1:hold=60") as proxy:
        session = Session(greedy(proxy.url))
        stop_after(STOP_AFTER)
        chat(session, Typed(QUESTION))
    part = session.turns[0].answer.content
    session.flags["base_url"] = llama
    chat(session, Typed("/continue", "And then?"))
    assert session.turns[0].answer.content.startswith(part)
    assert len(session.turns[0].answer.content) > len(part)
    assert session.turns[0].answer.complete
    assert len(session.turns) == 2


def test_two_chats_of_one_conversation_are_two_branches_and_say_so(llama: str) -> None:
    chat(Session(greedy(llama)), Typed(QUESTION))
    one, other = (Session(greedy(llama), place_of(last=True)) for _ in range(2))
    chat(one, Typed("And then?"))
    chat(other, Typed("And before?"))
    warnings = [
        event.message
        for path in journals(runs_folder())
        for event in events_at(path)
        if isinstance(event, ev.Warn)
    ]
    assert warnings == [BRANCHED]
    assert one.turns[0].run == other.turns[0].run
    assert {read(it).damage for it in journals(runs_folder())} == {None}
    assert (state_folder() / "conversations").exists()
