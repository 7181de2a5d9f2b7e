"""Recordings played back: a journal, or what `--json` has written, from a file or live from a pipe.

1. A recording is played as far as it is sound, and to its terminal event; nothing is read after
   that. What is wrong with it is raised there and not before.
2. Events may be missing, for somebody has filtered them; of a journal none may.
3. What arrives is played at once. Whoever waits for it can be cancelled.
4. As JSON it ends with a terminal event even then: `ended` makes an `error` of what is wrong.
5. The words of errors and warnings are redacted: whoever recorded them may not have done it.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.engine.pipeline import failed
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled, ChatstreamError, JournalError, Truncated, UsageError
from chatstream.events import Content, Done, Error, Event
from chatstream.flow import Arrival, events_in, pipe
from chatstream.redact import redact, redact_event
from chatstream.stages.pace import pace
from chatstream.store.place import NoHome, runs_folder
from chatstream.store.reading import Damaged, Reader, find
from chatstream.text import STANDARD_INPUT
from chatstream.wording import excerpt

Source = str | Path | bytes | Iterable[bytes]


def replay(source: Source, *, speed: float | None = None) -> Iterator[Event]:
    """The events of a recording, `speed` times as fast as they came; None: without any waiting.

    `source` is a file, a run (its id or the beginning of it), `-` for standard input, or the bytes
    of a recording, whole or in any pieces. Raises `UsageError` when there is no such recording and
    `JournalError` for anything else. After the events that are sound it raises `Damaged`, or
    `Truncated` when the recording ends before its run did.
    """
    yield from events_in(play(source, speed, CancelToken()))


def play(source: Source, speed: float | None, token: CancelToken) -> Iterator[Arrival]:
    """What `replay` gives, in arrivals. A cancel ends it."""
    if isinstance(source, str | Path):
        pieces: Iterable[bytes] = _slices(str(source), token)
    elif isinstance(source, bytes):
        pieces = [source]
    elif isinstance(source, Iterable):
        pieces = source
    else:
        raise UsageError(
            f"{type(source).__name__} cannot be replayed",
            hint="give a file name, the id of a run, or the data as bytes",
        )
    arrivals = _to_the_end(_arrivals(pieces), token)
    return arrivals if speed is None else pipe(arrivals, pace(speed, token.sleep))


def with_extras(
    arrivals: Iterator[Arrival], settings: Settings, token: CancelToken
) -> Iterator[Arrival]:
    """These events with an analysis, and through filters of packages, if the settings ask for any.

    Raises `UsageError`.
    """
    if not (settings.analyze or settings.filters):
        return arrivals
    from chatstream.engine.extras import analysis, filters

    return pipe(arrivals, *analysis(settings), *filters(settings, token))


def ended(arrivals: Iterator[Arrival], token: CancelToken) -> Iterator[Arrival]:
    """These events with an `error` event at the end instead of an exception, for other programs."""
    last: Event | None = None
    has_text = False
    try:
        for arrival in arrivals:
            for last in arrival.events:
                has_text = has_text or isinstance(last, Content)
            yield arrival
    except ChatstreamError as error:
        if last is None:
            yield from failed(error, token).arrivals
            return
        end = Error(
            error.code,
            redact(error.message),
            recoverable=False,
            partial=has_text,
            hint=error.hint or None,
            seq=last.seq + 1,
            t=last.t,
        )
        yield Arrival([end])


def _arrivals(pieces: Iterable[bytes]) -> Iterator[Arrival]:
    """What these bytes bring: an arrival for each piece."""
    reader = Reader(strict=False)
    for piece in pieces:
        yield from _arrival(reader.feed(piece))
    yield from _arrival(reader.feed_eof())


def _arrival(events: Iterator[Event]) -> Iterator[Arrival]:
    """Events in one arrival, those too that come before a failure."""
    came: list[Event] = []
    try:
        came.extend(map(redact_event, events))
    finally:
        yield Arrival(came)


def _to_the_end(arrivals: Iterator[Arrival], token: CancelToken) -> Iterator[Arrival]:
    """What comes up to the terminal event."""
    begun = False
    try:
        for arrival in arrivals:
            begun = begun or bool(arrival.events)
            ends = (at for at, it in enumerate(arrival.events, 1) if isinstance(it, Done | Error))
            if end := next(ends, 0):
                yield Arrival(arrival.events[:end])
                return
            yield arrival
    except Damaged as error:
        if begun:
            raise
        raise JournalError(f"this is not a chatstream recording: {error.message}") from error
    if not token.cancelled:
        raise Truncated("the recording ends before the run did", hint="")


def _slices(source: str, token: CancelToken) -> Iterator[bytes]:
    """What there is to read, as it comes. While nothing comes, pieces of nothing."""
    try:
        descriptor = token.wait_for(lambda: _open(source))  # a FIFO may have no writer yet
    except Cancelled:
        return
    try:
        while not token.cancelled:
            if os.name == "posix" and not select.select([descriptor], [], [], POLL_SECONDS)[0]:
                yield b""
                continue
            piece = os.read(descriptor, 65536)
            if not piece:
                return
            yield piece
    except OSError as error:
        raise JournalError(f"{source} cannot be read: {error.strerror}") from error
    finally:
        if source != STANDARD_INPUT:
            os.close(descriptor)


def _open(source: str) -> int:
    if source == STANDARD_INPUT:
        return 0
    try:
        return os.open(source, os.O_RDONLY)
    except FileNotFoundError:
        try:
            return os.open(find(runs_folder(), source), os.O_RDONLY)
        except (UsageError, NoHome) as error:
            message = f"there is no file {source!r}, and {error.message}"
            raise UsageError(message, hint=error.hint) from error
    except OSError as error:
        raise UsageError(f"{excerpt(str(source))} cannot be read: {error.strerror}") from error
