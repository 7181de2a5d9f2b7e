"""Following a run: the events of its journal, those that are there and those that still come.

1. It ends with the run: at its terminal event, or when its writer is gone without one. What the
   writer had not finished is left out then, as everywhere; while it lives, it is awaited.
2. Any number may follow one run, in other processes too. None of them is noticed by the run.
3. Where files have no locks (Windows, some network file systems), nobody can know that a run goes
   on, so it ends with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from chatstream.cancel import CancelToken
from chatstream.errors import JournalError
from chatstream.events import AnyEvent, Done, Error
from chatstream.store.journal import is_running
from chatstream.store.reading import SLICE, Reader

LOOK_SECONDS = 0.05
"""Between two looks at a journal, of which nothing tells that it has grown."""

Wait = Callable[[float], object]


def follow(path: Path, token: CancelToken, wait: Wait | None = None) -> Iterator[AnyEvent]:
    """The events of a journal until its run ends or `token` is cancelled.

    `wait` is given the seconds to wait before the next look; it is `token.sleep` unless given.
    Raises `Damaged` at what does not fit, and `JournalError` where there is no such journal.
    """
    reader, wait = Reader(), wait or token.sleep
    began = False  # a journal is empty for a moment, before its writer locks it
    try:
        with path.open("rb") as file:
            while not token.cancelled:
                running = is_running(path)  # first: what ends while it is read has ended
                while data := file.read(SLICE):
                    for event in reader.feed(data):
                        yield event
                        if isinstance(event, Done | Error):
                            return
                    if token.cancelled:
                        return
                if not running and (began or file.tell()):
                    yield from reader.feed_eof()
                    return
                began = True
                wait(LOOK_SECONDS)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
