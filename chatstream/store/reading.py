"""Reading event streams back: a journal, or what `--json` has written.

1. Unknown types and fields are passed over: they come from a newer minor version, or a filter.
2. The events of a journal are out when the `crc` of their batch fits, so none is ever wrong. At
   the end of the file that is too much to ask: the last batch may have been cut.
3. A last line without its end is a torn one, the writer was killed over it: it is left out.
4. Everything else that does not fit is `Damaged`, with the number of its line: a line that is no
   event, a `crc` that does not fit the bytes before it, a gap in `seq`. What was out before it is
   sound, and nothing after it is believed.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from chatstream.errors import JournalError, LineTooLong, UsageError, class_of
from chatstream.events import (
    SCHEMA_VERSION,
    TYPES,
    AnyEvent,
    Content,
    Done,
    Error,
    Fallback,
    Labels,
    Metadata,
    Reasoning,
    Retry,
    Terminal,
    ToolCall,
    ToolCallDelta,
    Usage,
    decode,
)
from chatstream.messages import Message, decoder
from chatstream.store.journal import (
    LONGEST,
    SUFFIX,
    Head,
    RequestRecord,
    digest_of,
    is_journal,
    is_run,
    is_running,
)
from chatstream.transcript import Answerer, Transcript
from chatstream.wire.lines import LineSplitter
from chatstream.wording import excerpt

SLICE = 64 * 1024
"""Bytes of one read."""

_MARK = re.compile(rb',"crc":([0-9]{1,10})}\r?$')
_IS_JOURNAL = b'"digest":"sha256:'  # in the first line
_GLIMPSE = 1024 * 1024
_OPENING = 4096  # bytes that hold the event that opens a run, but for what was asked
_TAIL = 64 * 1024  # bytes at the end of a journal that hold its last line, whatever it is


class Damaged(JournalError):
    """A record that was changed after it was written."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"damaged in line {line}: {what}")
        self.line = line


class _AnyLine(msgspec.Struct):
    """What every line has, known or not."""

    type: str
    seq: int = -1
    version: int = 0


_any_line = msgspec.json.Decoder(_AnyLine)
_head = msgspec.json.Decoder(Head)
_asked = decoder(RequestRecord)


class Reader:
    """The bytes of a record in, in any pieces; its events out.

    Not `strict`: numbers may be missing in `seq`, for somebody has filtered the events.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self._strict = strict
        self._splitter = LineSplitter(LONGEST, cr=False)
        self._line = 0
        self._crc = 0
        self._next = 0
        self._in_batches = False
        self._held: list[AnyEvent] = []  # of the batch that has no mark yet

    def feed(self, data: bytes) -> Iterator[AnyEvent]:
        """The events that are sound with these bytes. Raises `Damaged`, `JournalError`."""
        for line in self._split(data):
            if self._take(line, b"\n"):
                yield from self._held
                self._held.clear()

    def feed_eof(self) -> Iterator[AnyEvent]:
        """The events of a last batch that has no mark. Raises `Damaged`, `JournalError`."""
        for line in self._split(None):
            self._take(line, b"")
        yield from self._held

    def _split(self, data: bytes | None) -> list[bytes]:
        try:
            return self._splitter.feed_eof() if data is None else self._splitter.feed(data)
        except LineTooLong as error:
            raise Damaged(self._line + 1, f"longer than {LONGEST:,} bytes") from error

    def _take(self, line: bytes, end: bytes) -> bool:
        """Hold the event of a line. True when all that is held can go."""
        self._line += 1
        if self._line == 1:
            line = line.removeprefix(BOM_UTF8)  # PowerShell writes one in front of what it pipes
            _check_version(line)  # before the rest, of which a newer version may make other things
            self._in_batches = _IS_JOURNAL in line
        mark = _MARK.search(line)
        if mark and zlib.crc32(line[: mark.start()], self._crc) != int(mark[1]):
            raise Damaged(self._line, "its checksum does not match the bytes before it")
        self._crc = zlib.crc32(end, zlib.crc32(line, self._crc))
        if line.strip():
            try:
                event, seq = _event(line)
            except ValueError as error:
                if not end and line.startswith(b"{"):
                    return False
                raise Damaged(self._line, str(error)) from error
            self._count(seq)
            if event is not None:
                self._held.append(event)
        return mark is not None or not self._in_batches

    def _count(self, seq: int) -> None:
        if seq != self._next and (self._strict or 0 <= seq < self._next):
            raise Damaged(self._line, f"this is event {seq}, but event {self._next} was expected")
        self._next = seq + 1


def events_of(pieces: Iterable[bytes]) -> Iterator[AnyEvent]:
    """The events of a whole record. Raises `Damaged`, `JournalError`."""
    reader = Reader()
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.feed_eof()


def _event(text: bytes) -> tuple[AnyEvent | None, int]:
    """The event of a line, None for an unknown type, and its number. Raises `ValueError`."""
    try:
        event = decode(text)
    except (ValueError, RecursionError) as error:
        try:
            line = _any_line.decode(text)
        except (ValueError, RecursionError):
            raise ValueError("not an event") from None
        if line.type in TYPES:
            raise ValueError(str(error)) from None
        return None, line.seq
    return event, event.seq


def _check_version(line: bytes) -> None:
    try:
        version = _any_line.decode(line).version
    except (ValueError, RecursionError):
        return
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"written by a newer chatstream (version {version} of the events, "
            f"this one knows {SCHEMA_VERSION})",
            hint="update chatstream",
        )


class Record(msgspec.Struct, kw_only=True):
    """What one run came to.

    `outcome` is "complete", the code of the error that ended it, "interrupted" (the process was
    killed), "running", or "damaged"; `damage` then says where. `provider`, `model` and `base_url`
    are whose text there is, or whom was asked last, where there is no text. `messages` are what it
    made, where they are known and sound, and the last one is the answer, even if empty; `tools`
    whether calls of tools had begun. `usage` is the last response's, `spent` that of all of them;
    `left_out` were not sent. `retries` and `fallbacks` say how often it recovered.
    """

    run: str
    started_at: str
    asked: RequestRecord | None
    continues: str | None
    parent: str | None
    labels: Labels | None
    provider: str | None
    model: str | None
    base_url: str | None
    messages: list[Message]
    tools: bool
    terminal: Terminal | None
    outcome: str
    damage: str | None
    duration: float
    usage: Usage | None = None
    spent: Usage | None = None
    left_out: int = 0
    retries: int = 0
    fallbacks: int = 0

    @property
    def message(self) -> Message:
        """The answer, after the rounds of tools."""
        return self.messages[-1]

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self.outcome == "complete"


def read(path: Path) -> Record:
    """The record of one journal. Raises `JournalError` for any other file, or a newer one."""
    name = path.name.removesuffix(SUFFIX)
    answer, tools, t = Transcript(), False, 0.0
    retries = fallbacks = 0
    opening: Metadata | None = None
    asked_last, spoke, damage = Answerer(), None, None
    try:
        running = is_running(path)  # first: what ends while it is read has ended
        with path.open("rb") as file:
            head = file.readline()
            file.seek(0)
            for event in events_of(iter(partial(file.read, SLICE), b"")):
                answer.add(event)
                t = event.t
                if isinstance(event, Metadata):
                    opening = opening or event
                    asked_last = asked_last.then(event)
                    if event.restart:
                        spoke = None
                elif isinstance(event, Content | Reasoning):
                    spoke = asked_last
                elif isinstance(event, ToolCall | ToolCallDelta):
                    spoke, tools = asked_last, True
                elif isinstance(event, Retry):
                    retries += 1
                elif isinstance(event, Fallback):
                    fallbacks += 1
    except Damaged as error:
        damage = error.message
    except JournalError as error:
        raise JournalError(f"run {name}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
    if opening is None or opening.run is None or opening.started_at is None:
        raise JournalError(
            f"{path} is not the journal of a run" + (f": {damage}" if damage else "")
        )
    asked, fault = _request(head)
    damage = damage or fault
    terminal = answer.terminal
    if damage is not None:
        outcome = "damaged"
    elif terminal is None:
        outcome = "running" if running else "interrupted"
    else:
        outcome = terminal.code if isinstance(terminal, Error) else "complete"
    who = spoke or asked_last
    return Record(
        run=opening.run,
        started_at=opening.started_at,
        asked=asked,
        continues=opening.continues,
        parent=opening.parent,
        labels=opening.labels,
        provider=who.provider,
        model=who.model,
        base_url=who.base_url,
        messages=answer.messages_to_the_answer,
        tools=tools,
        terminal=terminal,
        outcome=outcome,
        damage=damage,
        duration=t,
        usage=answer.last_usage,
        spent=answer.usage,
        left_out=answer.left_out,
        retries=retries,
        fallbacks=fallbacks,
    )


def events_at(path: Path) -> Iterator[AnyEvent]:
    """The events of a journal. Raises `Damaged`, `JournalError`, `OSError`."""
    with path.open("rb") as file:
        yield from events_of(iter(partial(file.read, SLICE), b""))


def _request(line: bytes) -> tuple[RequestRecord | None, str | None]:
    """What was asked, from a journal's first line, and what is wrong with it."""
    try:
        head = _head.decode(line)
        if not head.digest:  # what `--json` has written
            return None, None
        if digest_of(head.request) != head.digest:
            return None, "damaged in line 1: the digest of the request does not match"
        return _asked.decode(head.request), None
    except ValueError as error:
        return None, f"damaged in line 1: {error}"


def journals(folder: Path) -> list[Path]:
    """All journals there, the newest first."""
    return [folder / (run + SUFFIX) for run in reversed(runs(folder))]


def runs(folder: Path) -> list[str]:
    """The runs that have a journal there, the oldest first."""
    try:
        with os.scandir(folder) as files:
            names = [it.name for it in files]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(it.removesuffix(SUFFIX) for it in names if is_journal(it))


def sizes_in(folder: Path) -> dict[str, int]:
    """The sizes of the journals there by their runs, the oldest first."""
    sizes = {}
    try:
        with os.scandir(folder) as files:
            for file in files:
                if is_journal(file.name):
                    with contextlib.suppress(OSError):  # gone, or a link that leads nowhere
                        sizes[file.name.removesuffix(SUFFIX)] = file.stat().st_size
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise JournalError(f"{folder} cannot be read: {error.strerror}") from error
    return dict(sorted(sizes.items()))


def find(folder: Path, run: str) -> Path:
    """The journal of a run, named by its id or the beginning of it. Raises `UsageError`."""
    if is_run(run) and (whole := folder / (run + SUFFIX)).exists():
        return whole
    found = [it for it in runs(folder) if run and it.startswith(run)]
    if len(found) == 1:
        return folder / (found[0] + SUFFIX)
    if found:
        raise UsageError(
            f"{run!r} matches {len(found)} runs", hint="give more characters of the id"
        )
    shown = excerpt(run, 40)
    raise UsageError(f"there is no run {shown!r}", hint="`chatstream history` lists them")


def opening(path: Path) -> Metadata | None:
    """The event that opens a run; None for any other file. Quick: what was asked is not read."""
    try:
        with path.open("rb") as file:
            first = file.readline(_OPENING)
            before, request, _ = first.partition(b',"request":')
            if request:
                first = before + b"}"
            elif not first.endswith(b"\n"):
                first += file.readline()
    except OSError:
        return None
    event = _decoded(first)
    return event if isinstance(event, Metadata) and event.run else None


def has_begun(path: Path) -> bool:
    """Whether a journal has all that its run begins with, so all of the run that it continues.

    That is the first batch. A process that is killed while it writes that may leave a part of it.
    """
    try:
        with path.open("rb") as file:
            return any(_MARK.search(line) for line in file)
    except OSError:
        return False


def glimpse(path: Path) -> tuple[str, bool] | None:
    """What a run asked, and whether it may be continued; None for any other file.

    Quick: only the ends of the journal are read. A question of more than 1 MiB is "".
    """
    try:
        first, last = _lines_at_the_ends(path, _GLIMPSE)
    except OSError:
        return None
    asked = None
    if len(first) < _GLIMPSE:
        if not isinstance(_decoded(first), Metadata):
            return None
        asked, _ = _request(first)
    question = asked.messages[-1].content if asked and asked.messages else ""
    end = _decoded(last)
    return question, not (is_running(path) or isinstance(end, Done) or is_over(end))


def is_over(last: AnyEvent | None) -> bool:
    """Whether a run that ended like this has nothing to continue: no text came, or all of it."""
    if not isinstance(last, Error):
        return False
    nothing = not (last.partial or last.recoverable) and last.code != "cancelled"
    return nothing or class_of(last.code).over


def ends(path: Path) -> tuple[Metadata | None, AnyEvent | None]:
    """The first and the last event of a journal; None for any other file."""
    try:
        first, last = _lines_at_the_ends(path)
    except OSError:
        return None, None
    head = _decoded(first)
    return (head if isinstance(head, Metadata) else None), _decoded(last)


def _lines_at_the_ends(path: Path, most: int = -1) -> tuple[bytes, bytes]:
    """The first line of a file, `most` bytes of it, and the last one. Raises `OSError`."""
    with path.open("rb") as file:
        first = file.readline(most)
        file.seek(max(0, path.stat().st_size - _TAIL))
        return first, file.read().rstrip(b"\n").rpartition(b"\n")[2]


def _decoded(line: bytes) -> AnyEvent | None:
    try:
        return decode(line)
    except ValueError:
        return None
