"""How the process of a tools file speaks: every report through one thread, each call within bounds.

1. `Speaker` writes the reports, in the order in which each call has made them. Texts of a call that
   follow each other are joined while the pipe is busy, so that a flood goes in large lines.
2. `Voice` is that of one call. It waits while too much of it is under way (`protocol.WINDOW`), and
   raises the reason once the call is to stop. After the end of the call it is silent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from queue import SimpleQueue

from chatstream.cancel import CancelToken
from chatstream.tools import protocol
from chatstream.tools.protocol import BATCH, WINDOW, Output, Report, Said
from chatstream.wording import encodable


class Speaker:
    """Writes to the pipe `descriptor` on a thread of its own, until the other side is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._due: SimpleQueue[Callable[[], Iterator[Report]]] = SimpleQueue()
        threading.Thread(target=self._run, name="speaker", daemon=True).start()

    def say(self, report: Report) -> None:
        """Send this report. Never waits."""
        self._due.put(lambda: iter([report]))

    def listen(self, reports: Callable[[], Iterator[Report]]) -> None:
        """Send what this function has to say by the time the pipe is free. Never waits."""
        self._due.put(reports)

    def _run(self) -> None:
        with suppress(OSError):  # nobody reads it any more: the orders end too, and this process
            while True:
                for report in self._due.get()():
                    self._write(protocol.encode(report) + b"\n")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


class Voice:
    """What one call says. Its methods may be called on any thread."""

    def __init__(self, number: int, speaker: Speaker, token: CancelToken) -> None:
        self.number = number
        self._speaker = speaker
        self._token = token
        # Taken by itself: `with` on the condition enters a Python function, and an interrupt that
        # is raised in there leaves the lock taken, so that the speaker of all calls waits forever.
        self._lock = threading.RLock()
        self._free = threading.Condition(self._lock)
        self._under_way = 0  # characters that are not taken yet
        self._waiting: list[Said | StringIO] = []  # for the speaker; texts are joined
        self.is_silent = False
        token.on_cancel(self._wake)

    def output(self, text: str) -> None:
        """Say this text. Waits while too much is under way; raises the reason of a stop."""
        for start in range(0, len(text), BATCH):
            piece = encodable(text[start : start + BATCH])
            with self._lock:
                if not self._make_room(len(piece)):
                    return
                last = self._waiting[-1] if self._waiting else None
                if not isinstance(last, StringIO) or last.tell() + len(piece) > BATCH:
                    self._waiting.append(last := StringIO(newline=""))
                last.write(piece)

    def say(self, said: Said) -> None:
        """Say this, in the same way."""
        with self._lock:
            if self._make_room(said.size):
                self._waiting.append(said)

    def _make_room(self, size: int) -> bool:
        """Wait for room, holding the lock; whether the call still runs. Raises as `output` does."""
        while self._under_way >= WINDOW and not (self._token.cancelled or self.is_silent):
            self._free.wait()
        self._token.check()
        if self.is_silent:
            return False
        self._under_way += size
        if not self._waiting:  # else the speaker has been told, and has not come yet
            self._speaker.listen(self._take_up)
        return True

    def taken(self, characters: int) -> None:
        """The other side has taken so many characters."""
        with self._lock:
            self._under_way -= characters
            self._free.notify_all()

    def end(self, last: Report | None = None) -> None:
        """Say nothing more, but for this. Never waits."""
        with self._lock:
            self.is_silent = True
            self._free.notify_all()
        if last is not None:
            self._speaker.say(last)

    def _take_up(self) -> Iterator[Report]:
        """What is waiting; nothing is, from then on."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for it in waiting:
            yield Output(self.number, it.getvalue()) if isinstance(it, StringIO) else it

    def _wake(self) -> None:
        with self._lock:
            self._free.notify_all()
