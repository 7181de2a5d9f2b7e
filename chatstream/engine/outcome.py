"""What becomes of a run, for callers of the library: its events, its message, or an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatstream import errors
from chatstream.engine.pipeline import failed
from chatstream.engine.run import Run
from chatstream.errors import ChatstreamError
from chatstream.events import Error, Event
from chatstream.messages import Message
from chatstream.transcript import Transcript


def events_of(begin: Callable[[], Run]) -> Iterator[Event]:
    """The events of the run that begins, or of one that could not begin."""
    try:
        run = begin()
    except Exception as error:
        run = failed(error)
    with run:
        yield from run


def whole(events: Iterator[Event]) -> Message:
    """The answer of a run. Raises a `ChatstreamError` if it is incomplete."""
    answer = Transcript()
    for event in events:
        answer.add(event)
    raise_failure(answer)
    return answer.message


def raise_failure(answer: Transcript) -> None:
    """Raise what ended the run, with the partial message, if it failed."""
    event = answer.terminal
    if not isinstance(event, Error):
        return
    kind = errors.class_of(event.code)
    error = ChatstreamError.__new__(kind)
    ChatstreamError.__init__(
        error, event.message, hint=event.hint, status=event.status, request_id=event.request_id
    )
    error.partial = answer.message
    raise error
