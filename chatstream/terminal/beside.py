"""Text that is typed during an answer, in a program that asks several questions.

1. All keys are for `typing`, as they come: those that wait to be read when an answer begins, and
   those that come while it runs.
2. After the answer `finish` reads the rest of an unfinished paste, sequence or character, because a
   line editor would mistake it for something else. If nothing comes for `PASTE_SECONDS`, there is
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
"""Seconds to wait for the next byte of a paste, which may come through a slow connection."""

Meaning = Literal["stop", "pause", "thinking", "tools"]
"""The meaning of a key that is not text: stop the answer, pause or resume it, show or hide the
thinking, stop the tools."""


class Typing(Protocol):
    """Collects the text that is typed. `queued` are the messages that wait, `draft` is the line."""

    queued: list[str]
    draft: str

    @property
    def is_whole(self) -> bool:
        """Whether no sequence, character or paste is unfinished."""

    def feed(self, data: bytes) -> list[Meaning]:
        """Take what was typed; returns the meanings that the caller has to act on, in order."""

    def settle(self) -> list[Meaning]:
        """Nothing has followed for a moment."""


class Beside:
    """An open `whole` keyboard, and the `typing` that receives its keys.

    `changed` is called whenever a key has changed the queue or the line. `background` is that of
    the terminal, once it is known.
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
        """Take what was typed; returns its meanings. Never waits."""
        if data := self.keyboard.read():
            return self.take(data)
        if self.typing.is_whole or self._clock() - self._last < ALONE_SECONDS:
            return []
        return self._heard(self.typing.settle())

    def take(self, data: bytes) -> list[Meaning]:
        """Take what was read elsewhere; returns its meanings."""
        self._last = self._clock()
        return self._heard(self.typing.feed(data))

    def finish(self) -> None:
        """Take what was typed, and the rest of anything unfinished. The answer is over, so meanings
        no longer count.
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
