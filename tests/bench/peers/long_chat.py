"""A long chat beside a short one: what a turn takes, but for encoding and sending the messages.

    python long_chat.py URL MODEL TURNS WORDS

Every question has so many words. When the long chat has all its turns, both get `WINDOW` more, in
turns, so that a busy machine slows both down. Printed are the medians of these, the long one's
first, in seconds of CPU time; and the bytes by which the memory of the process has grown with the
long chat, less the text that was said.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.providers.ollama import Ollama

WARM = 10  # turns that import and fill caches; and those of the short chat
WINDOW = 30

apart = 0.0  # seconds of CPU time that went into encoding and sending


def main() -> None:
    """Talk, and print."""
    url, model, turns, words = sys.argv[1:]
    for owner, name in ((Ollama, "chat_call"), (HTTPConnection, "send")):
        setattr(owner, name, timed(getattr(owner, name)))
    editor = Questions(int(turns), "word " * int(words))
    settings = {"provider": "ollama", "base_url": url, "model": model}
    screen = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        status = chat(Session(settings), editor)
        os.dup2(screen, 1)
    if status:
        sys.exit(status)
    print(statistics.median(editor.long), statistics.median(editor.short), editor.grown)


def timed(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, what it takes noted. It runs in one thread at a time."""

    @wraps(method)
    def with_clock(*args: Any) -> Any:
        global apart
        began = time.thread_time()
        try:
            return method(*args)
        finally:
            apart += time.thread_time() - began

    return with_clock


class Questions:
    """An editor that asks. `long` and `short` are what the turns of the two chats have taken."""

    is_person = can_edit = False
    keyboard = None

    def __init__(self, turns: int, text: str) -> None:
        self.long: list[float] = []
        self.short: list[float] = []
        self.grown = 0
        self._turns, self._text = turns, text
        self._script: Iterator[None] | None = None

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next question."""
        if self._script is None:
            self._script = self._play(session)
        return self._text if next(self._script, False) is None else None

    def _play(self, session: Session) -> Iterator[None]:
        """Each yield asks once."""
        for _ in range(WARM):
            yield
        before = memory() - said(session)
        for _ in range(self._turns - WARM):
            yield
        self.grown = memory() - said(session) - before
        long = session.turns
        session.clear()
        for _ in range(WARM):
            yield
        short = session.turns
        for _ in range(WINDOW):
            for turns, spent in ((long, self.long), (short, self.short)):
                session.turns = turns
                began = time.process_time() - apart
                yield
                spent.append(time.process_time() - apart - began)

    def typed_ahead(self) -> list[str]:
        """Nobody types."""
        return []

    def echo(self, line: str) -> None:
        """Nobody looks."""

    def restore(self) -> None:
        """There is no terminal."""

    def close(self) -> None:
        """Nothing is open."""


def said(session: Session) -> int:
    """The bytes of all messages."""
    return sum(len(it.content.encode()) for turn in session.turns for it in turn.messages)


def memory() -> int:
    """The bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


main()
