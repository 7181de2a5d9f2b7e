"""What earlier runs have written of a document, by its sections.

1. A section is whole if the run that wrote it is, or the newest run that continues that one. When
   their journals have expired, the history has the answers that are whole.
2. A section that broke off is continued where `resume` would do so, and by its rules, provided that
   the prompt is still the same. A section without any text has nothing to continue.
3. A run is remembered once its journal has all that it begins with. Until then the section is that
   of the run before, whose text it may continue. So a crash, or a full disk, loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chatstream.engine import resume
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question
from chatstream.engine.spending import known_cost
from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message
from chatstream.store.composed import Composed
from chatstream.store.conversation import Conversations
from chatstream.store.journal import SUFFIX
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import Record, find, has_begun, is_over, read
from chatstream.store.unfinished import newest_attempt


class Written(msgspec.Struct, frozen=True):
    """What there is of a section: its whole `text`, or the run that broke off, or neither.

    `reason` says why a text that broke off cannot be continued.
    """

    text: str | None = None
    record: Record | None = None
    reason: str | None = None


NOTHING = Written()


class Job:
    """What was written of a document so far; nothing where `composed` is None."""

    def __init__(self, composed: Composed | None) -> None:
        self._composed = composed

    @property
    def remembers(self) -> bool:
        """Whether a second run finds what the first has written."""
        return self._composed is not None

    def written(self, section: int) -> Written:
        """What there is of a section."""
        run = self._composed.runs.get(section) if self._composed else None
        return _written(run) if run is not None else NOTHING

    def spent(self) -> float:
        """The known cost of what was written, in dollars."""
        return sum(map(known_cost, self._composed.runs.values())) if self._composed else 0.0

    def begin(self, section: int, run: str) -> Sequence[str]:
        """This run writes the section; to be called before it asks. Returns warnings."""
        if self._composed is not None and has_begun(runs_folder() / (run + SUFFIX)):
            try:
                self._composed.begin(section, run)
            except JournalError as error:
                return (f"the next run will write this section again: {error.message}",)
        return ()


def continuation(
    record: Record, messages: tuple[Message, ...], flags: Mapping[str, Any]
) -> tuple[Resolved, Question]:
    """How to continue the answer of a run to these messages. Raises `ChatstreamError`."""
    if record.asked is None or record.asked.messages != messages:
        raise UsageError("its prompt has changed")
    return resume.continuation(record, flags)


def _written(run: str) -> Written:
    folder = runs_folder()
    try:
        record = read(find(folder, run))
        if not record.finished:
            record = read(find(folder, newest_attempt(folder, run)))
    except UsageError:  # its journal has expired
        return Written(_in_history(run))
    except JournalError as error:
        return Written(reason=error.message)
    text = record.message.content.strip()
    if record.finished:
        return Written(text or None)
    if not text or is_over(record.terminal):
        return NOTHING
    try:
        return Written(record=resume.unfinished(record.run))
    except (UsageError, JournalError) as error:
        return Written(reason=error.message)


def _in_history(run: str) -> str | None:
    """What a run has answered, if that is whole."""
    from chatstream.store.history import History  # SQLite, which few need

    try:
        with History(state_folder()) as history:
            finished = history.run(run).outcome == "complete"
        return Conversations(state_folder()).path(run)[-1].content if finished else None
    except (UsageError, JournalError):
        return None
