"""Claimed: a note never fails and never waits, and a reader who is slow still gets it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.sinks.notes import MAX_KEPT_BYTES, Notes, standard_error, take_over
from tests.sinks.test_output import Pipe


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for end in (made.read_end, made.write_end):
        with contextlib.suppress(OSError):
            os.close(end)


def fill(pipe: Pipe) -> int:
    """Fill it; returns how many bytes it took."""
    os.set_blocking(pipe.write_end, False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += os.write(pipe.write_end, b"x" * 4096)
    os.set_blocking(pipe.write_end, True)
    return taken


def test_what_is_written_is_there_at_once_and_whole(pipe: Pipe) -> None:
    notes = Notes(pipe.write_end)
    data = bytes(range(256)) * 100
    notes.write(data)
    assert os.read(pipe.read_end, 65_536) == data


def is_null(descriptor: int) -> bool:
    return os.path.samestat(os.fstat(descriptor), Path(os.devnull).stat())


def test_a_reader_that_left_is_given_up_for_good(pipe: Pipe) -> None:
    notes = Notes(pipe.write_end)
    os.close(pipe.read_end)
    notes.write(b"note")
    assert is_null(pipe.write_end)  # for child processes, and for Python's own last flush
    notes.write(b"note")
    notes.finish()


@pytest.mark.parametrize("kind", ["full disk", "read only", "closed"])
def test_what_cannot_be_written_to_is_given_up(kind: str, pipe: Pipe, tmp_path: Path) -> None:
    descriptor = pipe.write_end
    match kind:
        case "full disk":
            os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
        case "read only":
            os.dup2(pipe.read_end, descriptor)
        case "closed":
            os.close(descriptor)
    Notes(descriptor).write(b"note")
    assert is_null(descriptor)


def test_a_full_pipe_holds_nobody_up_and_gets_everything_in_order_later(pipe: Pipe) -> None:
    notes, flags = Notes(pipe.write_end), fcntl.fcntl(pipe.write_end, fcntl.F_GETFL)
    before = fill(pipe)
    lines = [f"note {number}\n".encode() for number in range(1000)]
    for line in lines:
        notes.write(line)
    assert len(os.read(pipe.read_end, before)) == before
    notes.write(b"the last\n")
    assert os.read(pipe.read_end, 1 << 20) == b"".join(lines) + b"the last\n"
    assert fcntl.fcntl(pipe.write_end, fcntl.F_GETFL) == flags


def test_what_nobody_reads_takes_no_more_than_so_much_memory(pipe: Pipe) -> None:
    notes = Notes(pipe.write_end)
    before = fill(pipe)
    notes.write(b"first")
    notes.write(bytes(2 * MAX_KEPT_BYTES))
    notes.write(b"dropped")
    notes.finish(0.0)
    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    read: list[bytes] = []
    reader.start()
    notes.finish(30.0)
    os.close(pipe.write_end)
    reader.join(30)
    assert read[0][before:] == b"first" + bytes(MAX_KEPT_BYTES - 5)


def test_the_end_waits_for_a_slow_reader_and_not_for_ever(pipe: Pipe) -> None:
    notes = Notes(pipe.write_end)
    fill(pipe)
    notes.write(b"note")
    notes.finish(0.01)  # returns
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    reader.start()
    notes.finish(30.0)
    os.close(pipe.write_end)
    reader.join(30)
    assert read[0].endswith(b"note")


def test_the_same_place_as_the_answer_waits_as_the_answer_does(pipe: Pipe) -> None:
    """`2>&1 | slow`: nothing is lost, and all of it is in its order."""
    second = os.dup(pipe.write_end)
    notes, read = Notes(second, answer=pipe.write_end), list[bytes]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    threading.Timer(0.05, reader.start).start()
    written = b""
    for number in range(2000):
        note, answer = f"note {number:0100}\n".encode(), f"answer {number:0500}\n".encode()
        notes.write(note)
        os.write(pipe.write_end, answer)
        written += note + answer
    os.close(second)
    os.close(pipe.write_end)
    reader.join(30)
    assert read == [written]


def test_a_terminal_that_nobody_reads_holds_nobody_up() -> None:
    controller, terminal = pty.openpty()
    try:
        flags = fcntl.fcntl(terminal, fcntl.F_GETFL)
        notes = Notes(terminal)
        for number in range(20_000):  # more than any terminal keeps
            notes.write(f"note {number}\n".encode())
        assert os.read(controller, 8) == b"note 0\r\n"
        assert fcntl.fcntl(terminal, fcntl.F_GETFL) == flags
    finally:
        os.close(controller)
        os.close(terminal)


def test_a_terminal_that_is_gone_is_given_up() -> None:
    controller, terminal = pty.openpty()
    notes = Notes(terminal)
    notes.write(b"note")
    os.close(controller)
    notes.write(b"note")
    assert is_null(terminal)
    os.close(terminal)


def test_notes_of_many_threads_come_whole(pipe: Pipe) -> None:
    notes, read = Notes(pipe.write_end), list[bytes]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    reader.start()

    def write(name: str) -> None:
        for number in range(2000):
            notes.write(f"{name} {number}\n".encode())

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    notes.finish(30.0)
    os.close(pipe.write_end)
    reader.join(30)
    expected = sorted(f"{name} {number}".encode() for name in "abcd" for number in range(2000))
    assert sorted(read[0].splitlines()) == expected


def test_a_signal_handler_that_notes_something_does_not_wait_for_what_it_interrupted(
    pipe: Pipe,
) -> None:
    notes, noted, read = Notes(pipe.write_end), 0, list[bytes]()

    def handler(*_: object) -> None:
        nonlocal noted
        noted += 1
        notes.write(b"handler\n")

    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    reader.start()
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    written = 0
    try:
        while noted < 500:
            notes.write(b"main\n")
            written += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    notes.finish(30.0)
    os.close(pipe.write_end)
    reader.join(30)
    assert sorted(set(read[0].splitlines())) == [b"handler", b"main"]
    assert read[0].count(b"handler\n") == noted
    assert read[0].count(b"main\n") == written


@pytest.mark.parametrize("state", ["read", "full", "gone"])
def test_a_child_process_writes_here_only_if_somebody_reads(state: str, pipe: Pipe) -> None:
    if state == "full":
        fill(pipe)
    elif state == "gone":
        os.close(pipe.read_end)
    assert Notes(pipe.write_end).is_read is (state == "read")


def test_what_is_printed_is_a_note(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as Python starts with a closed descriptor
    monkeypatch.setattr("atexit.register", lambda function: function)
    take_over()
    print("é \ud800", file=sys.stderr)
    assert (sys.stderr.isatty(), sys.stderr.fileno(), sys.stderr.encoding) == (False, 2, "utf-8")
    assert capfd.readouterr().err == "é \\ud800\n"
    assert standard_error() is standard_error()
