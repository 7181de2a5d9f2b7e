"""A terminal whose other end the test holds, and a keyboard with a time of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from chatstream.terminal.keyboard import Keyboard

LIMIT = 10.0  # seconds that typed bytes take at most


class Desk:
    """`controller` is the user's end of the terminal. The terminal is nobody's controlling one."""

    def __init__(self, controller: int, terminal: int, *, whole: bool = False) -> None:
        self.controller = controller
        self._terminal = terminal
        self.now = 100.0
        self.keyboard = Keyboard(lambda: self.now, whole=whole)
        self.keyboard.open(os.ttyname(terminal))

    @property
    def waiting(self) -> int:
        """How many bytes wait for a program."""
        told = fcntl.ioctl(self._terminal, termios.FIONREAD, bytes(4))
        count: int = struct.unpack("i", told)[0]
        return count

    def type(self, text: bytes) -> None:
        """Type, and wait until it has reached the program's end, a moment later."""
        before = self.waiting
        os.write(self.controller, text)
        for _ in range(1000):
            if self.waiting == before + len(text):
                return
            select.select([], [], [], LIMIT / 1000)
        raise AssertionError(f"{self.waiting - before} of {len(text)} bytes have come")

    def press(self, text: bytes) -> str:
        """Type; the key that the keyboard takes it for, at once or after a long time."""
        self.type(text)
        return "".join(self.looks())

    def looks(self, *times: float) -> list[str]:
        """What the keyboard sees when it is looked at now, and so many seconds later."""
        seen = []
        for passed in times or (0.0, 5.0):
            self.now += passed
            seen.append(self.keyboard.key())
        return seen

    def left(self) -> bytes:
        """What is left for the shell once the keyboard is closed."""
        self.keyboard.close()
        self.type(b"|\n")
        data = b""
        while not data.endswith(b"|\n"):
            data += os.read(self._terminal, 4096)
        return data[:-2]


@contextmanager
def desk(*, whole: bool = False) -> Iterator[Desk]:
    """A terminal with its keyboard."""
    controller, terminal = pty.openpty()
    made = Desk(controller, terminal, whole=whole)
    try:
        yield made
    finally:
        made.keyboard.close()
        os.close(controller)
        os.close(terminal)
