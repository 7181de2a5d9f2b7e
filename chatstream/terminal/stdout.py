"""Standard output for texts that are no answer: definitions, findings, the screen of a benchmark.

It never fails on an encoding, and a reader that has gone away is no error. A full disk is one.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import textwrap

from chatstream.sinks.output import put


def write(data: bytes) -> None:
    """Write all of it. Raises `OutputError`."""
    with contextlib.suppress(BrokenPipeError):
        put(data)


def is_closed() -> bool:
    """Whether its reader has gone away."""
    if sys.platform == "win32":
        return False
    poll = select.poll()
    poll.register(1, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def encode(text: str, encoding: str) -> bytes:
    """The text for a stream of this encoding; what it does not have becomes "?"."""
    return text.encode(encoding, "replace")


def can_show(text: str, encoding: str) -> bool:
    """Whether the encoding has all of these characters."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def columns(descriptor: int = 1) -> int:
    """The width of the terminal, 80 at most; 80 without one."""
    with contextlib.suppress(OSError):
        return min(80, os.get_terminal_size(descriptor).columns or 80)
    return 80


def show(text: str) -> None:
    """Print the text. Raises `OutputError`."""
    write(encode(text, sys.stdout.encoding))


def wrapped(line: str, width: int) -> list[str]:
    """The line in lines of at most `width` columns, wrapped between words."""
    if len(line) <= width:
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
