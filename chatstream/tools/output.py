"""The output of one call: what the model is given, what is shown, and the file that has the rest.

1. Whatever a tool prints is made safe first (`escape`): the model, the screen and the file get the
   same characters.
2. The model is given `MODEL_BYTES`. Of more it gets the beginning and the end, 60 to 40, cut at
   line ends where there are some near, and between the two how many lines were left out.
3. Only then is there a file, private, which has the first `FILE_BYTES`. One that cannot be written
   is given up and not named.
4. Shown are the first `SHOWN_BYTES`. After that come only the newest lines, every `SAMPLE_SECONDS`
   at most, each time below the number of those that are not shown.
5. The work grows with the output, the memory does not. Sizes are bytes of UTF-8.

One thread uses it. Time is an argument.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from chatstream.escape import Escaper
from chatstream.files import make_private
from chatstream.messages import NO_OUTPUT
from chatstream.wording import counted

log = logging.getLogger(__name__)

MODEL_BYTES = 32 * 1024
HEAD_BYTES = MODEL_BYTES * 6 // 10
TAIL_BYTES = MODEL_BYTES - HEAD_BYTES

FILE_BYTES = 16 * 1024 * 1024

SHOWN_BYTES = 1024 * 1024
SAMPLE_SECONDS = 0.5
SAMPLE_LINES = 3
SAMPLE_LINE_CHARACTERS = 200
_NEWEST_CHARACTERS = 4096  # that the lines of a sample are taken from


class Output:
    """Takes what one call prints and returns. `folder` is for the file, None: there is no file."""

    def __init__(self, folder: Path | None = None, name: str = "output") -> None:
        self._escaper = Escaper()
        self._head = bytearray()  # the first MODEL_BYTES
        self._tail = bytearray()  # at least the last TAIL_BYTES
        self._size = self._lines = 0
        self._has_returned = False
        self._file = _File(folder, name)
        self._shown = _Shown()

    def printed(self, text: str, now: float) -> str:
        """Take what the tool has printed. What of it is to be shown at once."""
        return self._shown.add(self._keep(text), now)

    def sample(self, now: float, *, last: bool = False) -> str:
        """The newest lines, if some are not shown and it is time to; `last`: nothing follows."""
        return self._shown.sample(now, last=last)

    def returned(self, text: str) -> None:
        """Take what the tool has returned, be it in pieces. It begins a line of its own."""
        if not self._has_returned and self._size and not self._tail.endswith(b"\n"):
            self._keep("\n")
        self._has_returned = True
        self._keep(text)

    def result(self, mark: str | None = None) -> str:
        """The text for the model; nothing follows. `mark` is a line behind it, about the end."""
        self._file.close()
        text = self.text
        if not text.strip():
            return mark or NO_OUTPUT
        return text if mark is None else f"{_ended(text)}{mark}"

    def _keep(self, text: str) -> bytes:
        data = self._escaper.feed(text).encode()
        before = self._size
        self._size += len(data)
        self._lines += data.count(b"\n")
        if before < MODEL_BYTES:
            self._head += data[: MODEL_BYTES - before]
        if before > MODEL_BYTES:
            self._file.write(data)
        elif self._size > MODEL_BYTES:
            self._file.write(bytes(self._head) + data[MODEL_BYTES - before :])
        self._tail += data[-TAIL_BYTES:]
        if len(self._tail) > 2 * TAIL_BYTES:  # not each time, which would be quadratic
            del self._tail[:-TAIL_BYTES]
        return data

    @property
    def text(self) -> str:
        """The text, cut where it is long."""
        if self._size <= MODEL_BYTES:
            return self._head.decode()
        head, tail = _whole_lines_of_head(self._head[:HEAD_BYTES]), self._tail[-TAIL_BYTES:]
        tail = _whole_lines_of_tail(tail)
        lines = self._lines - head.count(b"\n") - tail.count(b"\n")
        size = self._size - len(head) - len(tail)
        what = counted(lines, "line", commas=True) if lines else f"{size:,} bytes of a line"
        mark = f"[… {what} left out{self._file.where()}]"
        # A character that was cut in two is left out.
        before, after = head.decode("utf-8", "ignore"), tail.decode("utf-8", "ignore")
        return f"{_ended(before)}{mark}\n{after}"


def _ended(text: str) -> str:
    """The text with its last line ended."""
    return text if text.endswith("\n") else f"{text}\n"


def _whole_lines_of_head(head: bytearray) -> bytearray:
    """Up to its last line end, unless that is so far up that more than half would be lost."""
    end = head.rfind(b"\n") + 1
    return head[:end] if end > len(head) // 2 else head


def _whole_lines_of_tail(tail: bytearray) -> bytearray:
    """From its first line on, unless that begins so late that more than half would be lost."""
    start = tail.find(b"\n") + 1
    return tail[start:] if start <= len(tail) // 2 else tail


class _File:
    """The file of one output, once there is something to write."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = folder
        self._name = name
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._room = FILE_BYTES
        self._has_all = True

    def write(self, data: bytes) -> None:
        """Add to it; what is too much, or cannot be written, is lost."""
        if self._folder is None:
            return
        try:
            if self._path is None:
                self._open(self._folder)
            self._has_all = self._has_all and len(data) <= self._room
            if self._file is not None and self._room:
                self._file.write(data[: self._room])
                self._room -= min(self._room, len(data))
        except OSError as error:
            self._give_up(error)

    def where(self) -> str:
        """Words about where the rest is, for the mark."""
        if self._path is None:
            return ""
        if self._has_all:
            return f"; all in {self._path}"
        return f"; the first {FILE_BYTES // 2**20} MiB in {self._path}"

    def close(self) -> None:
        """Nothing more comes."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # what was still to be written does not fit
                self._give_up(error)

    def _open(self, folder: Path) -> None:
        import tempfile

        make_private(folder)
        descriptor, path = tempfile.mkstemp(".txt", f"{self._name}-", folder)  # private
        self._path = Path(path)
        self._file = os.fdopen(descriptor, "wb")

    def _give_up(self, error: OSError) -> None:
        log.warning("the output of %s cannot be kept in a file: %s", self._name, error)
        file, path = self._file, self._path
        self._folder = self._file = self._path = None
        with suppress(OSError):
            if file is not None:
                file.close()
        with suppress(OSError):
            if path is not None:
                path.unlink()


class _Shown:
    """What of an output is shown."""

    def __init__(self) -> None:
        self._room = SHOWN_BYTES
        self._ends_line = True  # what was shown last
        self._newest = ""  # the end of what is not shown
        self._lines = 0  # that ended and are not shown
        self._sampled_at: float | None = None

    def add(self, data: bytes, now: float) -> str:
        """The next piece. What of it is shown at once."""
        shown = ""
        if self._room:
            shown = data[: self._room].decode("utf-8", "ignore")
            data = data[len(shown.encode()) :]
            self._room = 0 if data else self._room - len(shown.encode())
            self._ends_line = shown.endswith("\n") if shown else self._ends_line
        if data:
            if self._sampled_at is None:
                self._sampled_at = now
            self._lines += data.count(b"\n")
            newest = data[-4 * _NEWEST_CHARACTERS :].decode("utf-8", "ignore")
            self._newest = (self._newest + newest)[-_NEWEST_CHARACTERS:]
        return shown

    def sample(self, now: float, *, last: bool) -> str:
        """The newest lines that ended; the `last` time also the one that did not."""
        if self._sampled_at is None or not self._newest:
            return ""
        if not last and (now - self._sampled_at < SAMPLE_SECONDS or not self._lines):
            return ""
        ended, end, rest = self._newest.rpartition("\n")
        lines = ended.split("\n")[-min(SAMPLE_LINES, self._lines) :] if end else []
        hidden = self._lines - len(lines)
        if last and rest:
            lines.append(rest)
        words = [f"[… {counted(hidden, 'line', commas=True)} not shown]"] if hidden else []
        words += [line[:SAMPLE_LINE_CHARACTERS] for line in lines]
        before = "" if self._ends_line else "\n"
        self._sampled_at, self._lines, self._ends_line = now, 0, True
        self._newest = "" if last else rest
        return before + "".join(f"{line}\n" for line in words)
