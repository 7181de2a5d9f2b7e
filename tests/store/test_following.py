"""Following: every event comes once, whenever it is written, and the run's end is the end."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import JournalError
from chatstream.events import SCHEMA_VERSION, Content, Done, Event, Metadata
from chatstream.messages import Message
from chatstream.store.following import LOOK_SECONDS, follow
from chatstream.store.journal import SUFFIX, Journal, RequestRecord
from chatstream.store.reading import Damaged, events_of
from tests.support.runs import done, run_id, started_at, write_run

Step = Callable[[], object]


class Writer:
    """A journal that is written while it is followed: `wait` takes the next step."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runs" / (run_id(1) + SUFFIX)
        self.journal = Journal(folder / "runs", RequestRecord((Message("user", "why?"),)))
        self.steps: list[Step] = []
        self.waits: list[float] = []
        self._seq = 0
        opening = Metadata(version=SCHEMA_VERSION, run=run_id(1), started_at=started_at(run_id(1)))
        self.write(opening)

    def write(self, *events: Event) -> None:
        """Append a batch."""
        for event in events:
            event.seq, event.t = self._seq, self._seq / 10
            self._seq += 1
        self.journal.write(events)

    def wait(self, seconds: float) -> None:
        """The next step; a follower that waits for more than there is never ends."""
        self.waits.append(seconds)
        self.steps.pop(0)()


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def followed(writer: Writer, token: CancelToken | None = None) -> list[str]:
    """What is followed: the deltas, and the types of other events."""
    events = follow(writer.path, token or CancelToken(), writer.wait)
    return [it.delta if isinstance(it, Content) else type(it).__name__ for it in events]


def test_what_is_there_comes_and_then_what_is_written(writer: Writer) -> None:
    writer.write(Content("one"))
    writer.steps = [
        lambda: writer.write(Content("two"), Content("three")),
        lambda: None,
        lambda: writer.write(Content("four"), done()),
    ]
    assert followed(writer) == ["Metadata", "one", "two", "three", "four", "Done"]
    assert writer.waits == [LOOK_SECONDS] * 3


def test_a_run_that_is_over_is_not_waited_for(writer: Writer) -> None:
    writer.write(Content("one"), done())
    assert followed(writer) == ["Metadata", "one", "Done"]
    writer.journal.close()
    assert followed(writer) == ["Metadata", "one", "Done"]


def test_it_ends_when_the_writer_is_gone(writer: Writer) -> None:
    def killed() -> None:
        writer.write(Content("one"))
        writer.journal.close()

    writer.steps = [killed]
    assert followed(writer) == ["Metadata", "one"]


@pytest.mark.parametrize("killed", [True, False])
def test_a_line_that_is_torn_is_awaited_while_the_writer_lives(
    tmp_path: Path, killed: bool
) -> None:
    """The file is cut anywhere; then the rest comes, or the writer dies."""
    path = write_run(tmp_path, run_id(1), pieces=[Content("one")])
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        with path.open("ab", buffering=0) as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)

            def go_on(_seconds: float, writer: FileIO = writer, cut: int = cut) -> None:
                if not killed:
                    writer.write(whole[cut:])
                writer.close()

            found = list(follow(path, CancelToken(), go_on))
        assert found == list(events_of([whole[:cut] if killed else whole]))


def test_a_journal_that_is_about_to_begin_is_waited_for_once(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    assert list(follow(path, CancelToken(), lambda _seconds: None)) == []

    def begin(_seconds: float) -> None:
        path.write_bytes(write_run(tmp_path, run_id(1), "text").read_bytes())

    assert len(list(follow(path, CancelToken(), begin))) == 3


def test_a_cancel_ends_it(writer: Writer) -> None:
    token = CancelToken()
    writer.steps = [token.cancel]
    assert followed(writer, token) == ["Metadata"]
    assert followed(writer, token) == []


def test_damage_and_what_cannot_be_read_are_told(tmp_path: Path, writer: Writer) -> None:
    writer.write(Content("one"))
    data = bytearray(writer.path.read_bytes())
    data[-20] ^= 1
    writer.path.write_bytes(data)
    with pytest.raises(Damaged):
        followed(writer)
    with pytest.raises(JournalError, match="cannot be read"):
        list(follow(tmp_path / "none", CancelToken()))


def test_several_follow_one_run(tmp_path: Path, writer: Writer) -> None:
    followers = [follow(writer.path, CancelToken(), writer.wait) for _ in range(3)]
    seen: list[list[Event]] = [[], [], []]
    batches: Sequence[Sequence[Event]] = [[Content("a")], [Content("b")], [done()]]
    for batch in ([], *batches):
        if batch:
            writer.write(*batch)
        for follower, events in zip(followers, seen, strict=True):
            events.append(next(follower))
    assert [type(events[-1]) for events in seen] == [Done] * 3
    assert all(next(follower, None) is None for follower in followers)
