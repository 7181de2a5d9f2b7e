"""What is typed beside an answer, in a program that asks again and again.

1. All keys are for `typing`, as they come: what waits to be read when an answer begins, and what
   comes while it runs.
2. When it is over `finish` reads the rest of a paste, a sequence or a character that has begun, for
   a line editor would take that for something else. What stops for longer than `PASTE_SECONDS` has
   no rest.
3. Nothing is thrown away, whatever ends the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from chatstream.clock import Clock, monotonic
from chatstream.sinks.palette import Background
from chatstream.terminal.keyboard import ALONE_SECONDS, Keyboard

PASTE_SECONDS = 1.0
"""Seconds without another byte of a paste that has begun; it may come through a slow connection."""

Meaning = Literal["stop", "pause", "thinking", "tools"]
"""What a key that is not text asks for: stop the answer, pause or resume it, show or hide
the thinking, stop the tools."""


class Typing(Protocol):
    """Takes what is typed. `queued` are the messages that wait, `draft` is the line."""

    queued: list[str]
    draft: str

    @property
    def is_whole(self) -> bool:
        """Whether no sequence, character or paste has begun without its end."""

    def feed(self, data: bytes) -> list[Meaning]:
        """Take what was typed; returns what the caller has to do, in order."""

    def settle(self) -> list[Meaning]:
        """Nothing has followed for a moment."""


class Beside:
    """A `whole` keyboard that is open, and who is given what is typed on it.

    `changed` is called whenever a key has changed the queue or the line. `background` is the
    terminal's, once it is known.
    """

    def __init__(
        self,
        keyboard: Keyboard,
        typing: Typing,
        changed: Callable[[], object],
        clock: Clock = monotonic,
    ) -> None:
        self.keyboard = keyboard
        self.typing = typing
        self._changed = changed
        self.background: Background | None = None
        self._clock = clock
        self._last = clock()  # when a key was seen
        self._told: tuple[list[str], str] = ([], "")

    def read(self) -> list[Meaning]:
        """Take what was typed; what it asks for. Never waits."""
        if data := self.keyboard.read():
            return self.take(data)
        if self.typing.is_whole or self._clock() - self._last < ALONE_SECONDS:
            return []
        return self._heard(self.typing.settle())

    def take(self, data: bytes) -> list[Meaning]:
        """Take what was read elsewhere; what it asks for."""
        self._last = self._clock()
        return self._heard(self.typing.feed(data))

    def finish(self) -> None:
        """Take what was typed, and the rest of what has begun. The answer is over: nothing that is
        asked for counts any more.
        """
        self.read()
        while not self.typing.is_whole and self.keyboard.is_open:
            left = self._last + PASTE_SECONDS - self._clock()
            last = self._last
            came = left > 0 and self.keyboard.wait(min(left, ALONE_SECONDS))
            self.read()
            if left <= 0 or (came and last == self._last):  # nothing can be read
                break

    def _heard(self, meanings: list[Meaning]) -> list[Meaning]:
        now = [*self.typing.queued], self.typing.draft
        if now != self._told:
            self._told = now
            self._changed()
        return meanings
