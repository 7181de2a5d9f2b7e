"""Claimed: a turn of a long chat does what a turn of a short one does, but for its messages.

Work is counted, not timed: the calls that the interpreter sees, without those that encode the
messages. `python -m tests.bench chat` has the times.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.messages import ChatRequest
from chatstream.providers.ollama import Ollama
from chatstream.transport import Call
from tests.support.chats import Typed, flags_of
from tests.support.cutting import CuttingOllama

TURNS = 80
WINDOW = 5
"""Turns of which the least is taken: how often somebody looks whether something came varies."""

MOST = 8
"""Calls for each message that is sent again: each function that goes through all of them has one or
two. One that looks into messages has many more."""

FILES = {"open", "read", "readline", "scandir", "stat"}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The calls that this thread makes, by the name of what is called, but to encode."""
    calls: Counter[str] = Counter()
    encoding = False
    real = Ollama.chat_call

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if not encoding and event in {"call", "c_call"}:
            calls[frame.f_code.co_name if event == "call" else arg.__name__] += 1

    def chat_call(provider: Ollama, request: ChatRequest) -> Call:
        nonlocal encoding
        encoding = True
        try:
            return real(provider, request)
        finally:
            encoding = False

    monkeypatch.setattr(Ollama, "chat_call", chat_call)
    before = sys.getprofile()
    sys.setprofile(note)
    yield calls
    sys.setprofile(before)


def test_a_turn_reads_as_many_files_and_makes_as_many_calls_however_long_the_chat_is(
    counted: Counter[str],
) -> None:
    turns: list[Counter[str]] = []

    def ask(_session: Session) -> str:
        turns.append(Counter(counted))
        counted.clear()
        return "and then?"

    with CuttingOllama(1_000_000) as server:
        assert chat(Session(flags_of(server)), Typed(*[ask] * TURNS)) == 0
    early, late = turns[WINDOW : 2 * WINDOW], turns[-WINDOW:]
    for name in sorted(FILES):
        assert min(it[name] for it in late) <= max(it[name] for it in early), name
    more = min(it.total() for it in late) - min(it.total() for it in early)
    messages = 2 * (TURNS - 2 * WINDOW)
    assert more <= MOST * messages
