"""Claimed: wherever an answer of a chat is cut or stopped, `/continue` completes it to the byte on
a server that goes on with the text it is given; and what is said next stands on the whole answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.errors import JournalError
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import frames
from tests.support.chats import Typed
from tests.support.continuing import Continuing, Fault, RequestRecord, half, tokens_of
from tests.support.loopback import POLL, Reply
from tests.support.sampling import sampled
from tests.support.waiting import LIMIT, signal_once

TEXT = (
    "Hé 👨\u200d👩\u200d👧 ha ha ha ha:\n\n```py\nif x:\n    y()\n\n    z()\n```\n"
    "| 0 | 0 |\n| 0 | 0 |  \n日本語 🇩🇪 e\u0301."
)
PROVIDERS = ["ollama", "anthropic", "llamacpp", "vllm", "mistral"]


def session_at(server: Continuing, provider: str) -> Session:
    flags: dict[str, Any] = {
        "provider": provider,
        "base_url": server.url,
        "model": "claude-haiku-4-5" if provider == "anthropic" else "m",
        "api_key": "k",
        "retries": 0,
        "on_drop": "stop",
    }
    return Session(flags)


def go_on(session: Session) -> str:
    """The command that completes the last answer; a question that has none is asked again."""
    if session.stopped is not None:
        return "/continue"
    return "/stats" if session.turns else "/retry"


def judge(session: Session, server: Continuing) -> None:
    assert server.strays == []
    assert [turn.answer.content for turn in session.turns] == [TEXT]
    assert session.turns[0].answer.complete


def size_of(provider: str) -> int:
    """The bytes of a whole answer."""
    dialect = {"ollama": "ollama", "anthropic": "anthropic"}.get(provider, "openai")
    with Continuing(TEXT) as server:
        return len(server.reply(RequestRecord(0, dialect, "", in_words=False)).whole())


CUTS = [(provider, at) for provider in PROVIDERS for at in range(1, size_of(provider))]


@pytest.mark.parametrize(("provider", "at"), sampled(CUTS, 40, "cuts"))
def test_an_answer_that_was_cut_anywhere_is_completed_to_the_byte(provider: str, at: int) -> None:
    with Continuing(TEXT, faults=[half(at)]) as server:
        session = session_at(server, provider)
        assert chat(session, Typed("noon?", go_on)) == 0
        judge(session, server)


def held(after: int) -> Fault:
    """So many tokens, and nothing more until the client is gone."""

    def fault(server: Continuing, asked: RequestRecord) -> Reply:
        opening = len(frames(asked.dialect, []))
        return replace(server.reply(asked), hold={opening + after: threading.Event()})

    return fault


def stop_after(server: Continuing, text: str) -> threading.Thread:
    """Ctrl+C once this text has come, and nothing follows it; returns the thread that waits."""

    def comes() -> bool:
        return server.wait_holding(POLL) and bool(journals(runs_folder())) and text in newest()

    def newest() -> str:
        with suppress(JournalError):  # one that has no line yet
            return "".join(read(path).message.content for path in journals(runs_folder()))
        return ""

    return signal_once(comes)


ROLES = ["user", "assistant", "user"]
TOKENS = tokens_of(TEXT)
STOPS = [
    (provider, count)
    for provider in PROVIDERS
    for count in range(len(TOKENS) + 1)
    if count or provider != "ollama"  # there is nothing to hold before its first token
]


@pytest.mark.parametrize(("provider", "count"), sampled(STOPS, 20, "stops"))
def test_so_is_one_that_was_stopped_anywhere(provider: str, count: int) -> None:
    with Continuing(TEXT, faults=[held(count)]) as server:
        session = session_at(server, provider)
        stopping = stop_after(server, "".join(TOKENS[:count]))
        assert chat(session, Typed("noon?", go_on)) == 0
        stopping.join(LIMIT)
        assert not stopping.is_alive()
        judge(session, server)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_that_was_stopped_twice_is_one_answer_and_the_next_question_has_all_of_it(
    provider: str,
) -> None:
    with Continuing(TEXT, faults=[held(5), held(4)]) as server:
        session = session_at(server, provider)

        def asking(line: str, tokens: int) -> Callable[[Session], str]:
            def typed(_session: Session) -> str:
                stop_after(server, "".join(TOKENS[:tokens]))
                return line

            return typed

        lines: list[str | Callable[[Session], str]] = [asking("noon?", 5), asking("/continue", 7)]
        lines += ["/continue", "night?"]
        assert chat(session, Typed(*lines)) == 0
        assert server.strays == []
        assert session.turns[0].answer.content == TEXT
        assert [it["role"] for it in server.requests[-1].json["messages"]] == ROLES
