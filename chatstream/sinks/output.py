"""Bytes to a descriptor, whole: partial writes go on, a pipe set to non-blocking is waited for.

The answer's bytes go to an `Output`, and whoever drives the run learns of what cannot be written as
an `OSError`. Everything else that goes to standard output, help included, goes through `put` or,
after `take_over`, through `print`: there it is an `OutputError`, which ends the command. What the
encoding of standard output does not have is replaced.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Protocol, TextIO, cast

from chatstream.errors import OutputError


class Writer(Protocol):
    """Takes bytes for a reader: an `Output`, or `Notes`."""

    def write(self, data: bytes) -> None:
        """Take all of it."""


class Output:
    """A file descriptor to write to. It is not ours to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Write all of it. Raises `BrokenPipeError` when nobody reads any more, `OSError`."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                select.select((), (self._descriptor,), ())


class _StandardOutput(Output):
    """Descriptor 1, and the failure to write there as one of ours."""

    def write(self, data: bytes) -> None:
        """Write all of it. Raises `BrokenPipeError`, `OutputError`."""
        try:
            super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError.of(error) from error


def put(data: bytes) -> None:
    """Write bytes to standard output. Raises `BrokenPipeError`, `OutputError`."""
    _StandardOutput(1).write(data)


class Printed(io.TextIOBase):
    """The text file that `print`, logging and rich write to; `writer` gets each text at once."""

    encoding = "utf-8"  # as attributes of the class: those of the base cannot be set
    errors = "replace"

    def __init__(self, writer: Writer, descriptor: int, encoding: str, errors: str) -> None:
        self._writer = writer
        self._descriptor = descriptor
        self.encoding = encoding
        self.errors = errors

    def write(self, text: str) -> int:
        self._writer.write(text.encode(self.encoding, self.errors))
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self.fileno())

    def fileno(self) -> int:
        return self._descriptor


def take_over() -> None:
    """From now on everything that is printed to `sys.stdout` goes through `put`."""
    stream = Printed(_StandardOutput(1), 1, sys.stdout.encoding, "replace")
    sys.stdout = cast("TextIO", stream)
