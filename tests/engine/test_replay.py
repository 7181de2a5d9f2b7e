"""Claimed: a recording is played as far as it is sound, and what is wrong is raised after that."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.replay import play, replay
from chatstream.errors import JournalError, Truncated, UsageError
from chatstream.events import Content, Done, Error, Event, Metadata, Stats, encode_lines
from chatstream.flow import events_in
from chatstream.messages import Message
from chatstream.store.journal import Journal, RequestRecord
from chatstream.store.place import runs_folder
from chatstream.store.reading import Damaged

RUN = "20260102-030405-000006-abcd"
EVENTS: list[Event] = [
    Metadata(version=1, run=RUN, started_at="2026-01-02T03:04:05.000Z", seq=0, t=0.0),
    Content("Hello", seq=1, t=0.1),
    Content(" world", seq=2, t=0.2),
    Done(finish_reason="stop", stats=Stats(duration=1.0, chunks=2), attempts=1, seq=3, t=0.3),
]
LINES = encode_lines(EVENTS)


@pytest.fixture
def journal() -> Path:
    """A journal in the folder of the runs."""
    writer = Journal(runs_folder(os.environ), RequestRecord((Message("user", "hi"),)))
    for event in EVENTS:
        writer.write([event])
    writer.close()
    return runs_folder(os.environ) / f"{RUN}.jsonl"


def played(pieces: Iterator[bytes] | list[bytes]) -> tuple[list[Event], Exception | None]:
    """The events, and what is raised after them."""
    events: list[Event] = []
    try:
        for event in replay(pieces):
            events.append(event)  # noqa: PERF402 - what came before the failure counts
    except JournalError as error:
        return events, error
    except Truncated as error:
        return events, error
    return events, None


def test_a_journal_is_played_by_its_file_its_run_and_the_beginning_of_that(journal: Path) -> None:
    for source in (journal, str(journal), RUN, RUN[:8]):
        assert list(replay(source)) == EVENTS


def test_a_file_of_the_name_of_a_run_comes_first(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(RUN).write_bytes(encode_lines([*EVENTS[:2], EVENTS[3]]))
    assert list(replay(RUN)) == [*EVENTS[:2], EVENTS[3]]


def test_the_bytes_may_come_in_any_pieces() -> None:
    assert list(replay([LINES])) == EVENTS
    assert list(replay(io.BytesIO(LINES))) == EVENTS
    assert list(replay(LINES[at : at + 1] for at in range(len(LINES)))) == EVENTS


def test_nothing_is_read_after_the_terminal_event() -> None:
    def live() -> Iterator[bytes]:
        yield LINES
        raise AssertionError("a live source would block here")

    assert list(replay(live())) == EVENTS


def test_the_events_of_a_piece_are_out_before_the_next_is_read() -> None:
    asked = []

    def live() -> Iterator[bytes]:
        for line in LINES.splitlines(keepends=True):
            asked.append(line)
            yield line

    arrivals = play(live(), None, CancelToken())
    for number, expected in enumerate(EVENTS[:3], 1):
        assert next(arrivals).events == [expected]
        assert len(asked) == number


def test_a_recording_that_ends_early_says_so_after_its_events() -> None:
    for end in (LINES.index(b'{"type":"done"'), len(LINES) - 20):
        events, error = played([LINES[:end]])
        assert events == EVENTS[:3]
        assert isinstance(error, Truncated)
        assert (error.message, error.hint) == ("the recording ends before the run did", "")


@pytest.mark.parametrize("empty", [b"", b"\n"])
def test_an_empty_recording_ends_early(empty: bytes) -> None:
    events, error = played([empty])
    assert (events, type(error)) == ([], Truncated)


def test_damage_is_told_after_the_events_that_are_sound(journal: Path) -> None:
    events, error = played([journal.read_bytes().replace(b"world", b"words")])
    assert events == EVENTS[:2]
    assert isinstance(error, Damaged)
    assert error.line == 3


@pytest.mark.parametrize("garbage", [b"hello", b"\x89PNG\r\n\x1a\n\x00", b'{"a":1}\n'])
def test_what_is_no_recording_is_told_so(garbage: bytes) -> None:
    events, error = played([garbage])
    assert events == []
    assert isinstance(error, JournalError)
    assert error.message.startswith("this is not a chatstream recording: damaged in line 1: ")


def test_filtered_events_are_played() -> None:
    lines = LINES.splitlines(keepends=True)
    assert list(replay([lines[1], lines[3]])) == [EVENTS[1], EVENTS[3]]


def test_the_error_of_a_run_is_its_end() -> None:
    end = Error("cancelled", "stopped", recoverable=False, partial=True, seq=3, t=0.3)
    assert list(replay([encode_lines([*EVENTS[:3], end])])) == [*EVENTS[:3], end]


def test_there_must_be_such_a_file_or_run(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file 'none', and there is no run 'none'"):
        list(replay("none"))
    with pytest.raises(UsageError, match="cannot be read: Not a directory"):
        list(replay(journal / "none"))
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        list(replay("x" * 5000))
    with pytest.raises(JournalError, match="cannot be read: Is a directory"):
        list(replay(tmp_path))


def test_a_cancel_ends_the_wait_for_a_silent_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ours = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        os.write(ours, encode_lines(EVENTS[:1]))
        token = CancelToken()
        arrivals = play(tmp_path / "pipe", None, token)
        assert next(arrivals).events == EVENTS[:1]
        assert [next(arrivals).events for _ in range(3)] == [[], [], []]
        token.cancel()
        assert list(events_in(arrivals)) == []
    finally:
        os.close(ours)


def test_at_a_pace_a_cancel_ends_the_wait_for_the_next_event() -> None:
    token = CancelToken()
    late = Content("late", seq=1, t=3600.0)
    arrivals = play([encode_lines([EVENTS[0], late])], 1.0, token)
    assert next(arrivals).events == EVENTS[:1]
    assert next(arrivals).events == []
    token.cancel()
    assert list(events_in(arrivals)) == []


def test_at_a_pace_all_events_come_all_the_same() -> None:
    assert list(replay([LINES], speed=1000.0)) == EVENTS
