"""Claimed: a terminal that nobody reads holds nobody up, and in the end it gets everything once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest
from rich.console import Console

from chatstream.sinks.terminal import TerminalFile


class Pty:
    """A terminal with its two ends, and the stream that a program would have on it."""

    def __init__(self) -> None:
        self.controller, terminal = pty.openpty()
        self.stream = os.fdopen(terminal, "w", encoding="utf-8")
        self.file = TerminalFile(self.stream)

    @property
    def flags(self) -> int:
        return fcntl.fcntl(self.stream, fcntl.F_GETFL)

    def read(self, least: int = 0) -> bytes:
        """What is there now, and at least so many bytes: they may be on their way."""
        data = b""
        while select.select([self.controller], [], [], 5 if len(data) < least else 0)[0]:
            data += os.read(self.controller, 65536)
        return data

    def fill(self) -> str:
        """Write until the terminal takes no more; returns the text."""
        text = ""
        for number in range(100_000):
            line = f"line {number} é日\n"
            text += line
            self.file.write(line)
            if not self.file.ready:
                return text
        raise AssertionError("the terminal never filled")

    def drain(self, size: int) -> str:
        """Read, and let the file write on, until so many bytes came."""
        data = b""
        while len(data) < size:
            assert self.file.ready or select.select([self.controller], [], [], 5)[0]
            data += os.read(self.controller, 65536)
        return data.decode()


@pytest.fixture
def terminal() -> Iterator[Pty]:
    made = Pty()
    yield made
    os.close(made.controller)
    with contextlib.suppress(OSError):  # what a test has left to be written
        made.file.close()
    made.stream.close()


def on_screen(text: str) -> str:
    """As the terminal puts it out: what a line end becomes is its own business."""
    return text.replace("\n", "\r\n")


def test_text_is_there_when_write_returns(terminal: Pty) -> None:
    assert terminal.file.write("é日\n") == 3
    assert terminal.read(7) == "é日\r\n".encode()
    assert terminal.file.ready


def test_a_terminal_that_nobody_reads_is_not_waited_for(terminal: Pty) -> None:
    """This returns at all; a write that waited would wait for ever."""
    text = terminal.fill()
    text += "x" * 300_000 + "\n"
    terminal.file.write("x" * 300_000 + "\n")
    terminal.file.flush()
    assert not terminal.file.ready
    whole = on_screen(text)
    assert terminal.drain(len(whole.encode())) == whole
    assert terminal.file.ready
    assert terminal.read() == b""


def test_a_terminal_that_is_stopped_takes_nothing_until_it_goes_on(terminal: Pty) -> None:
    termios.tcflow(terminal.stream, termios.TCOOFF)
    terminal.file.write("held")
    assert not terminal.file.ready
    assert terminal.read() == b""
    termios.tcflow(terminal.stream, termios.TCOON)
    assert terminal.file.ready
    assert terminal.read(4) == b"held"


def test_the_descriptor_that_the_shell_shares_is_unchanged(terminal: Pty) -> None:
    before = terminal.flags
    terminal.fill()
    assert terminal.flags == before
    assert terminal.flags & os.O_NONBLOCK == 0
    assert fcntl.fcntl(terminal.file, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


@pytest.mark.parametrize("last", [TerminalFile.finish, TerminalFile.close])
def test_the_end_waits_until_everything_is_written(
    terminal: Pty, last: Callable[[TerminalFile], None]
) -> None:
    """A signal handler reads the terminal, so it runs while the end waits."""
    size = len(on_screen(terminal.fill()).encode())
    got = 0

    def handle(*_: object) -> None:
        nonlocal got
        got += len(terminal.read())
        signal.setitimer(signal.ITIMER_REAL, 0.01)  # again; never within itself

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        last(terminal.file)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert got + len(terminal.read(size - got)) == size


OPERATIONS: list[Callable[[TerminalFile], object]] = [
    lambda file: file.write("x"),
    lambda file: file.ready,
    TerminalFile.flush,
    TerminalFile.finish,
    TerminalFile.close,
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_terminal_that_is_gone_is_an_error(operation: Callable[[TerminalFile], object]) -> None:
    terminal = Pty()
    terminal.fill()
    os.close(terminal.controller)
    with terminal.stream, pytest.raises(OSError, match="Input/output"):
        operation(terminal.file)
    if not terminal.file.closed:
        with pytest.raises(OSError, match="Input/output"):
            terminal.file.close()
    assert terminal.file.closed


def test_only_its_own_descriptor_is_closed(terminal: Pty) -> None:
    own = terminal.file.fileno()
    terminal.file.close()
    terminal.file.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(own)
    os.write(terminal.stream.fileno(), b"still open")
    assert terminal.read(10) == b"still open"


@pytest.mark.parametrize(
    "use", [lambda file: file.write("x"), TerminalFile.fileno, TerminalFile.isatty]
)
def test_a_closed_file_takes_nothing(terminal: Pty, use: Callable[[TerminalFile], object]) -> None:
    terminal.file.close()
    with pytest.raises(ValueError, match="closed"):
        use(terminal.file)


def test_what_has_no_name_as_a_terminal_is_written_to_directly(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w", encoding="utf-8") as stream:
        file = TerminalFile(stream)
        assert (file.fileno(), file.isatty()) == (stream.fileno(), False)
        file.write("text")
        assert file.ready
        file.close()
        assert not stream.closed
    assert (tmp_path / "file").read_text() == "text"


def test_half_a_character_and_one_that_the_terminal_lacks_are_question_marks() -> None:
    controller, descriptor = pty.openpty()
    with os.fdopen(descriptor, "w", encoding="iso-8859-1") as stream:
        file = TerminalFile(stream)
        assert file.encoding == "iso-8859-1"
        file.write("é日\ud83d")
        assert os.read(controller, 100) == b"\xe9??"
        file.close()
    os.close(controller)


def test_rich_takes_it_for_the_terminal_that_it_is(terminal: Pty) -> None:
    console = Console(file=cast(TextIO, terminal.file), _environ={"TERM": "xterm-256color"})
    assert (console.is_terminal, console.encoding) == (True, "utf-8")
    console.print("[bold]é")
    shown = "\x1b[1mé\x1b[0m\r\n".encode()
    assert terminal.read(len(shown)) == shown
