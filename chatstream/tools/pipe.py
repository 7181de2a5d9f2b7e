"""What a tool prints, on its way from the tool's threads to the one that runs the tools.

Why no ring of a bell is lost: who rings has changed something before, and who was rung for looks
at everything after. A bell that was rung stays so until somebody waits.

Why nobody waits for ever: who prints waits only while the pipe is full, and looks every
`POLL_SECONDS` whether its call is to stop. Who takes waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.errors import ChatstreamError

UNREAD = 256 * 1024
"""Characters that wait at most; each piece counts `PIECE_OVERHEAD` more."""

PIECE_CHARACTERS = 64 * 1024
PIECE_OVERHEAD = 64  # a string takes so many bytes besides its text


class Bell:
    """Wakes the thread that waits for it. Ringing takes no lock, so signal handlers may do it."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        if self._silent.locked():
            with suppress(RuntimeError):  # somebody else was quicker
                self._silent.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, but no longer than this. Whether it did."""
        return self._silent.acquire(timeout=seconds)


class Bells:
    """Those of the thread that runs the tools: there is `news`, or news that cannot wait."""

    def __init__(self) -> None:
        self.news = Bell()
        self.urgent = Bell()

    def ring(self) -> None:
        """There is something that cannot wait."""
        self.urgent.ring()
        self.news.ring()


class Pipe:
    """Text from any number of threads to one. Bounded: who prints waits while it is full."""

    def __init__(self, token: CancelToken, bells: Bells) -> None:
        self.closed = False
        self._token = token
        self._bells = bells
        self._turn = threading.Lock()  # of those who print
        self._room = Bell()
        self._pieces: deque[str] = deque()
        self._put = 0  # all that was ever put; written by whose turn it is
        self._taken = 0  # written by who takes

    def put(self, text: str) -> None:
        """Add text. Raises the reason of the token, also while it waits for room."""
        if not isinstance(text, str):
            raise TypeError(f"only a str can be output, not a {type(text).__name__}")
        for start in range(0, len(text), PIECE_CHARACTERS):
            self._put_piece(text[start : start + PIECE_CHARACTERS])

    def _put_piece(self, piece: str) -> None:
        size = len(piece) + PIECE_OVERHEAD
        with self._turn:
            while True:
                self._token.check()
                if self.closed:
                    raise ChatstreamError("the call has ended; nothing can be output any more")
                unread = self._put - self._taken
                if unread + size <= UNREAD:
                    break
                self._room.wait(POLL_SECONDS)
            self._pieces.append(piece)
            self._put += size
        if unread + size > UNREAD // 2:
            self._bells.urgent.ring()
        self._bells.news.ring()

    def close(self) -> None:
        """Nothing more is put, once this has returned."""
        with self._turn:
            self.closed = True

    def take(self) -> str:
        """All that waits, as one text."""
        pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
        if not pieces:
            return ""
        text = "".join(pieces)
        self._taken += len(text) + PIECE_OVERHEAD * len(pieces)
        self._room.ring()
        return text
