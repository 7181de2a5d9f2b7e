"""Chats whose lines are given beforehand, against a scripted server.

with Script(says("Blue."), says("Red.")) as server:
    typed = Typed("why?", "/undo", "why not?")
    status = chat(session_at(server), typed)
    typed.drafts, sent(server)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.chat.session import Session
from chatstream.engine.place import START, Place
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.answers import ending, frames, headers
from tests.support.loopback import Reply, Script
from tests.support.waiting import signal_once

Turn = tuple[str, str]
"""The role of a message and its text."""


class Typed:
    """An editor whose lines were given.

    `drafts` are what each line began with, and `waiting` what was queued then.
    """

    keyboard = None
    can_edit = True

    def __init__(self, *lines: str | Callable[[Session], str], is_person: bool = True) -> None:
        self.is_person = is_person
        self.drafts: list[str] = []
        self.waiting: list[list[str]] = []
        self.closed = False
        self._lines = list(lines)

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next of the lines; one that is a function is given the session."""
        token.check()
        self.drafts.append(session.draft)
        self.waiting.append([*session.queue])
        if not self._lines:
            return None
        line = self._lines.pop(0)
        return line if isinstance(line, str) else line(session)

    def typed_ahead(self) -> list[str]:
        """Nothing."""
        return []

    def echo(self, line: str) -> None:
        """Nobody looks."""

    def restore(self) -> None:
        """There is no terminal."""

    def close(self) -> None:
        """Note it."""
        self.closed = True


def says(text: str, **details: Any) -> Reply:
    """A whole answer."""
    return Reply(
        [*frames("ollama", [text]), *ending("ollama")], headers=headers("ollama"), **details
    )


def holds(*words: str) -> Reply:
    """An answer that says these words and then nothing until the client is gone."""
    hold = {len(words) or "after_head": threading.Event()}
    body = [*frames("ollama", list(words)), *ending("ollama")]
    return Reply(body, headers=headers("ollama"), hold=hold)  # type: ignore[arg-type]


def flags_of(server: Script, **more: Any) -> dict[str, Any]:
    """The settings that ask this server, once."""
    return {
        "provider": "ollama",
        "base_url": server.url,
        "model": "m",
        "retries": 0,
        "on_drop": "stop",
        **more,
    }


def session_at(server: Script, place: Place = START, **more: Any) -> Session:
    """A session that asks this server."""
    return Session(flags_of(server, **more), place)


def sent(server: Script) -> list[list[Turn]]:
    """The messages of each question that was asked there."""
    bodies = [it.json for it in server.requests if it.path == "/api/chat"]
    return [[(it["role"], it["content"]) for it in body["messages"]] for body in bodies]


def are_written(*words: str) -> bool:
    """Whether the journals have all of these words; some may not have begun."""
    found = b"".join(it.read_bytes() for it in journals(runs_folder()))
    return all(it.encode() in found for it in words)


def stop_when_holding(server: Script, words: str = "", number: int = signal.SIGINT) -> None:
    """Send this process a signal once the server holds its next answer, whose `words` have come."""
    before, asked = set(journals(runs_folder())), len(sent(server))

    def comes() -> bool:
        new = {*journals(runs_folder())} - before
        came = any(words.encode() in it.read_bytes() for it in new)
        return came and len(sent(server)) > asked and server.wait_holding()

    signal_once(comes, number)
