"""Bytes to a descriptor, whole: partial writes go on, a pipe set to non-blocking is waited for."""

from __future__ import annotations

import os
import select
from typing import Protocol


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
