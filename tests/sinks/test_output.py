"""Claimed: bytes reach their descriptor whole, and a reader that left is told as such."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chatstream.errors import OutputError
from chatstream.sinks.output import Output, Printed, put


class Pipe:
    """Both ends of a pipe."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def read_all(self) -> bytes:
        """Everything until the writer closes."""
        parts = []
        while part := os.read(self.read_end, 65_536):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for end in (made.read_end, made.write_end):
        with suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("blocking", [True, False])
def test_more_than_a_pipe_holds_arrives_whole(pipe: Pipe, blocking: bool) -> None:
    data = bytes(range(256)) * 16_384  # 4 MiB; a pipe holds 64 KiB
    os.set_blocking(pipe.write_end, blocking)
    read = list[bytes]()
    reader = threading.Thread(target=lambda: read.append(pipe.read_all()))
    reader.start()
    Output(pipe.write_end).write(data)
    os.close(pipe.write_end)
    reader.join(30)
    assert read == [data]


def test_what_is_written_is_there_at_once(pipe: Pipe) -> None:
    Output(pipe.write_end).write(b"token")
    assert os.read(pipe.read_end, 100) == b"token"


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_left_is_a_broken_pipe(pipe: Pipe, blocking: bool) -> None:
    os.set_blocking(pipe.write_end, blocking)
    os.close(pipe.read_end)
    with pytest.raises(BrokenPipeError):
        Output(pipe.write_end).write(b"token")


def test_a_reader_that_leaves_while_the_pipe_is_full_is_a_broken_pipe(pipe: Pipe) -> None:
    os.set_blocking(pipe.write_end, False)

    def leave() -> None:
        os.read(pipe.read_end, 1)  # the writer has begun
        os.close(pipe.read_end)

    reader = threading.Thread(target=leave)
    reader.start()
    with pytest.raises(BrokenPipeError):
        Output(pipe.write_end).write(bytes(4 * 1024 * 1024))
    reader.join(30)


def test_nothing_is_written_for_nothing(pipe: Pipe) -> None:
    os.close(pipe.read_end)
    Output(pipe.write_end).write(b"")


def test_the_descriptor_stays_open(pipe: Pipe) -> None:
    output = Output(pipe.write_end)
    output.write(b"a")
    del output
    assert os.write(pipe.write_end, b"b") == 1


def test_what_is_put_on_a_full_disk_is_one_of_our_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"^cannot write the output: No space left on device$"):
        put(b"text")


def test_what_is_printed_is_there_at_once_in_its_encoding(pipe: Pipe) -> None:
    file = Printed(Output(pipe.write_end), pipe.write_end, "latin-1", "replace")
    print("né ★", file=file)
    assert os.read(pipe.read_end, 100) == b"n\xe9 ?\n"
    assert (file.encoding, file.fileno(), file.isatty()) == ("latin-1", pipe.write_end, False)
