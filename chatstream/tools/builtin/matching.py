"""Lines that match a regular expression: the program that `grep` runs in a process of its own.

1. Nothing can interrupt Python's `re`, and meanwhile no other thread runs: `(a+)+$` on a line of 40
   characters would stop the whole program. In a process of its own it can be killed, and it is: by
   the kernel, after so many seconds of computing on one block of a file.
2. Standard input is a socket. First comes a line of JSON, a `Search`, and then open files as
   descriptors, up to `FILES_AT_ONCE` together with two bytes: how many matches are wanted. The
   answer to the search, and to each file, is a line of JSON: a `Report`.
3. Memory does not grow with a file. Of a line that is longer than `MOST_LINE_BYTES`, the rest is
   not searched.

It is run by its path, and imports nothing of chatstream.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import deque
from collections.abc import Iterator
from io import FileIO
from typing import TypedDict

FILES_AT_ONCE = 32
"""Each time that the two processes take turns costs more than to search a small file."""

BLOCK_BYTES = 1024 * 1024
MOST_LINE_BYTES = 1024 * 1024
BINARY_BYTES = 8192  # in which a binary file has a NUL byte
SHOWN_CHARACTERS = 300
"""Of a line: what is around the match."""

_BEFORE = 100  # characters before a match that are shown


class Search(TypedDict):
    """What is looked for, with `context` lines around each match.

    `seconds` is how long one block may take: of computing, so that a busy machine ends nothing.
    """

    pattern: str
    ignore_case: bool
    context: int
    seconds: float


class Report(TypedDict, total=False):
    """What was found in a file: the number of each line, whether it matches, and its text.

    `error` says what is wrong with the pattern; `more`: there may be more matches.
    """

    error: str
    lines: list[tuple[int, bool, str]]
    binary: bool
    more: bool


def main() -> None:
    """Answer until the socket is closed."""
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    with socket.socket(fileno=0) as channel:
        request = b""
        while not request.endswith(b"\n"):
            if not (received := channel.recv(65536)):
                return
            request += received
        search: Search = json.loads(request)
        _limit_time(search["seconds"])
        try:
            pattern = re.compile(search["pattern"], re.IGNORECASE if search["ignore_case"] else 0)
        except (re.error, RecursionError, OverflowError) as error:
            _answer(channel, {"error": str(error) or "it is nested too deeply"})
            return
        _answer(channel, {})
        while True:
            wanted, descriptors, _, _ = socket.recv_fds(channel, 2, FILES_AT_ONCE)
            if not wanted:
                return
            most = int.from_bytes(wanted, "big")
            for descriptor in descriptors:
                with FileIO(descriptor) as file:
                    report = found(file, pattern, search["context"], most, search["seconds"])
                most -= sum(matches for _, matches, _ in report.get("lines", ()))
                _answer(channel, report)


def found(
    file: FileIO, pattern: re.Pattern[str], context: int, most: int, seconds: float
) -> Report:
    """The lines of a file that match, at most so many, with so many lines around each of them."""
    lines: list[tuple[int, bool, str]] = []
    before: deque[tuple[int, bool, str]] = deque(maxlen=context)
    after = matches = 0
    try:
        for number, line in enumerate(_lines(file, seconds), 1):
            if match := pattern.search(line):
                if matches == most:
                    return {"lines": lines, "more": True}
                matches += 1
                lines += [*before, (number, True, _shown(line, match.start()))]
                before.clear()
                after = context
            elif after:
                after -= 1
                lines.append((number, False, _shown(line)))
            elif context:
                before.append((number, False, _shown(line)))
    except OSError as error:
        return {"error": os.strerror(error.errno or 0), "lines": lines}
    except _Binary:
        return {"binary": True}
    return {"lines": lines}


class _Binary(Exception):
    """The file is no text."""


def _lines(file: FileIO, seconds: float) -> Iterator[str]:
    """The lines of a file, without their ends. Raises `_Binary`."""
    rest = b""
    is_long = False  # what comes belongs to a line whose beginning was handed out
    is_first = True
    while block := file.read(BLOCK_BYTES):
        if is_first and b"\0" in block[:BINARY_BYTES]:
            raise _Binary
        is_first = False
        _limit_time(seconds)
        if is_long:
            _, newline, block = block.partition(b"\n")
            is_long = not newline
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            whole = whole.replace(b"\r\n", b"\n").removesuffix(b"\r")
            yield from whole.decode("utf-8", "replace").split("\n")
        if len(rest) > MOST_LINE_BYTES:
            yield rest[:MOST_LINE_BYTES].decode("utf-8", "replace")
            rest, is_long = b"", True
    if rest:
        yield rest.decode("utf-8", "replace")


def _shown(line: str, start: int = 0) -> str:
    if len(line) <= SHOWN_CHARACTERS:
        return line
    start = max(0, start - _BEFORE)
    end = start + SHOWN_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"


def _limit_time(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _answer(channel: socket.socket, report: Report) -> None:
    channel.sendall(json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
