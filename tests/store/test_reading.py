"""Claimed: what is read was written, and whatever happened to a file since is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path

import pytest

from chatstream.errors import JournalError, UsageError
from chatstream.events import (
    AnyEvent,
    Content,
    Done,
    Error,
    Event,
    Fallback,
    Metadata,
    Reasoning,
    Retry,
    Stats,
    ToolCall,
    encode_lines,
)
from chatstream.messages import Message
from chatstream.store import reading
from chatstream.store.journal import Journal, RequestRecord
from chatstream.store.reading import (
    Damaged,
    Reader,
    events_of,
    find,
    glimpse,
    journals,
    read,
)
from chatstream.store.reading import opening as opening_of
from tests.support.runs import failed, run_id, running, write_run

RUN = "20260102-030405-000006-abcd"
ASKED = RequestRecord((Message("user", "hi"),), provider="demo")
END = Done(finish_reason="stop", stats=Stats(duration=1.0, chunks=4), attempts=1, seq=6, t=0.5)
FAILURE = Error("truncated", "cut", recoverable=True, partial=True, seq=2, t=1.0)


def opening(run: str = RUN, continues: str | None = None) -> Metadata:
    started = "2026-01-02T03:04:05.000Z"
    return Metadata(version=1, run=run, started_at=started, continues=continues, seq=0, t=0.0)


BATCHES: list[list[Event]] = [
    [opening()],
    [Metadata(model="m", seq=1, t=0.1), Content("Hello, wörld", seq=2, t=0.2)],
    [Reasoning('"x"\n,"crc":1}', seq=3, t=0.3), Content(" 你好*J", seq=4, t=0.3)],
    [Content("!", seq=5, t=0.4), END],
]
EVENTS: list[Event] = [event for batch in BATCHES for event in batch]
TEXT = "Hello, wörld 你好*J!"


def write(
    folder: Path, batches: Sequence[Sequence[Event]] = BATCHES, asked: RequestRecord = ASKED
) -> Path:
    (first,) = batches[0]
    assert isinstance(first, Metadata)
    journal = Journal(folder, asked)
    for batch in batches:
        journal.write(batch)
    journal.close()
    return folder / f"{first.run}.jsonl"


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A small journal of several batches."""
    return write(tmp_path / "runs").read_bytes()


def sound(data: bytes, *, strict: bool = True) -> tuple[list[AnyEvent], JournalError | None]:
    """The events that are believed, and what is told then."""
    reader, events = Reader(strict=strict), []
    try:
        for event in chain(reader.feed(data), reader.feed_eof()):
            events.append(event)  # noqa: PERF402 - what came before the failure counts
    except JournalError as error:
        return events, error
    return events, None


def test_what_was_written_is_read(data: bytes) -> None:
    assert sound(data) == (EVENTS, None)


def test_any_pieces_of_a_file_are_the_same_events(data: bytes) -> None:
    assert list(events_of(data[at : at + 1] for at in range(len(data)))) == EVENTS
    for cut in range(len(data)):
        assert list(events_of([data[:cut], data[cut:]])) == EVENTS


def test_the_output_of_json_is_read_as_it_comes() -> None:
    reader = Reader()
    for event in EVENTS:
        assert list(reader.feed(encode_lines([event]))) == [event]
    assert list(reader.feed_eof()) == []


def test_events_of_a_journal_come_when_their_batch_is_sealed(data: bytes) -> None:
    reader = Reader()
    came = [len(list(reader.feed(line))) for line in data.splitlines(keepends=True)]
    assert came == [1, 0, 2, 0, 2, 0, 2]


def test_a_file_that_ends_anywhere_is_sound_up_to_there(data: bytes) -> None:
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]  # of each line's text
    for cut in range(len(data)):
        events, damage = sound(data[:cut])
        assert (damage, events) == (None, EVENTS[: sum(end <= cut for end in ends)])


def test_every_flipped_bit_is_noticed_where_it_could_matter(data: bytes) -> None:
    """All that passes is a flip in the last mark's own name, and in the very last line end.

    Neither changes an event: the last batch then counts as one that has no mark yet, and the last
    line as a torn one.
    """
    last_mark = data.rindex(b'"crc"')
    passed: dict[int, set[int]] = {}
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            events, told = sound(bytes(flipped))
            assert events == EVENTS[: len(events)], f"bit {bit} of byte {at} is believed"
            if told is None:
                passed.setdefault(at, set()).add(len(events))
    whole = len(EVENTS)
    name = {at: {whole} for at in range(last_mark + 1, last_mark + 4)}
    assert passed == {**name, len(data) - 1: {whole - 1}}


def without(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], *lines[at + 1 :]]


def test_a_line_that_is_missing_is_noticed(data: bytes) -> None:
    lines = data.splitlines(keepends=True)
    for at in range(len(lines) - 1):
        events, told = sound(b"".join(without(lines, at)))
        assert isinstance(told, Damaged), f"line {at + 1} is missing"
        assert events == EVENTS[: len(events)]
        assert len(events) <= at


def test_a_line_that_is_there_twice_is_noticed(data: bytes) -> None:
    lines = data.splitlines(keepends=True)
    for at in range(len(lines)):
        events, told = sound(b"".join([*lines[: at + 1], *lines[at:]]))
        assert isinstance(told, Damaged), f"line {at + 1} is there twice"
        assert events == EVENTS[: len(events)]


def test_two_lines_that_are_swapped_are_noticed(data: bytes) -> None:
    lines = data.splitlines(keepends=True)
    for one, other in combinations(range(len(lines)), 2):
        swapped = list(lines)
        swapped[one], swapped[other] = lines[other], lines[one]
        events, told = sound(b"".join(swapped))
        assert isinstance(told, Damaged), f"lines {one + 1} and {other + 1} are swapped"
        assert events == EVENTS[: len(events)]


@pytest.mark.parametrize("foreign", [b"\n", b'{"type":"note","seq":1}\n', b"\x00" * 4096])
def test_what_somebody_put_in_between_is_noticed(foreign: bytes, data: bytes) -> None:
    first, rest = data.split(b"\n", 1)
    events, told = sound(first + b"\n" + foreign + rest)
    assert isinstance(told, Damaged)
    assert events == EVENTS[:1]


def test_the_number_of_the_damaged_line_is_told(data: bytes) -> None:
    _, told = sound(data.replace(b"Hello", b"Jello"))
    assert isinstance(told, Damaged)
    assert (told.line, "line 3" in told.message) == (3, True)


def test_damage_is_told_even_where_the_last_line_has_no_end(data: bytes) -> None:
    _, told = sound(data.replace(b'"!"', b'"?"').rstrip(b"\n"))
    assert isinstance(told, Damaged)


def test_a_gap_in_the_numbers_is_damage_unless_somebody_filters() -> None:
    lines = encode_lines([EVENTS[0], EVENTS[2], EVENTS[4]])
    events, told = sound(lines)
    assert events == EVENTS[:1]
    assert isinstance(told, Damaged)
    assert told.message == "damaged in line 2: this is event 2, but event 1 was expected"
    assert sound(lines, strict=False) == ([EVENTS[0], EVENTS[2], EVENTS[4]], None)


def test_numbers_that_go_back_are_damage_whoever_filters() -> None:
    _, told = sound(encode_lines([EVENTS[0], EVENTS[2], EVENTS[1]]), strict=False)
    assert isinstance(told, Damaged)
    assert told.line == 3


def test_a_journal_cannot_be_filtered(data: bytes) -> None:
    lines = data.splitlines(keepends=True)
    _, told = sound(b"".join(line for line in lines if b'"content"' in line), strict=False)
    assert isinstance(told, Damaged)


def test_unknown_types_and_fields_are_passed_over() -> None:
    lines = [
        b'{"type":"metadata","version":1,"seq":0,"t":0.0,"mood":"good"}\n',
        b'{"type":"hologram","seq":1,"t":0.1,"depth":{"z":[1,2]}}\n',
        b'{"type":"content","delta":"a","seq":2,"t":0.2}\n',
    ]
    expected = [Metadata(version=1, seq=0, t=0.0), Content("a", seq=2, t=0.2)]
    assert sound(b"".join(lines)) == (expected, None)


def test_a_newer_version_is_told_in_one_line_and_nothing_of_it_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "20260102.jsonl"
    path.write_bytes(b'{"type":"metadata","version":2,"run":"r","seq":0}\n{"type":"content"}\n')
    events, told = sound(path.read_bytes())
    assert events == []
    assert told is not None
    assert (told.message.count("\n"), told.hint) == (0, "update chatstream")
    assert "newer chatstream (version 2" in told.message
    with pytest.raises(JournalError, match="run 20260102: written by a newer chatstream"):
        read(path)


def test_line_ends_of_windows_are_line_ends() -> None:
    lines = encode_lines(EVENTS).replace(b"\n", b"\r\n")
    assert sound(lines) == (EVENTS, None)


def test_a_journal_whose_line_ends_were_changed_is_damaged(data: bytes) -> None:
    _, told = sound(data.replace(b"\n", b"\r\n"))
    assert isinstance(told, Damaged)


@pytest.mark.parametrize(
    "garbage",
    [b"hello", b"hello\n", b"\x89PNG\r\n\x1a\n\x00\xff", b"[1]\n", b'{"a":1}\n', b"null\n"],
)
def test_what_is_no_event_is_damage_in_line_1(garbage: bytes) -> None:
    events, told = sound(garbage)
    assert events == []
    assert isinstance(told, Damaged)
    assert told.line == 1


@pytest.mark.parametrize("kind", [b"unknown", b"tool_start"])
def test_a_line_that_is_nested_for_ever_is_no_event(kind: bytes) -> None:
    deep = b'{"type":"%b","id":"i","name":"n","parameters":' % kind + b"[" * 100_000
    _, told = sound(deep + b"\n")
    assert isinstance(told, Damaged)


def test_a_line_without_an_end_costs_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    reader = Reader()
    assert list(reader.feed(b"\x00" * 1000)) == []
    with pytest.raises(Damaged, match="line 1: longer than 1,000 bytes"):
        list(reader.feed(b"\x00"))


def test_nothing_is_no_damage() -> None:
    assert sound(b"") == ([], None)
    assert sound(b"\n\n") == ([], None)


# The record of a run.


def test_the_record_of_a_whole_run(tmp_path: Path) -> None:
    record = read(write(tmp_path))
    assert record.run == RUN
    assert (record.outcome, record.finished, record.damage) == ("complete", True, None)
    assert record.asked == ASKED
    assert (record.message.content, record.message.complete) == (TEXT, True)
    assert (record.model, record.terminal, record.duration) == ("m", END, 0.5)
    assert not record.tools


def test_the_record_of_a_run_that_failed_has_its_code(tmp_path: Path) -> None:
    record = read(write(tmp_path, [[opening()], [Content("a", seq=1, t=0.1), FAILURE]]))
    assert (record.outcome, record.finished) == ("truncated", False)
    assert (record.message.content, record.message.complete) == ("a", False)


def test_an_answer_that_was_started_over_is_told_once(tmp_path: Path) -> None:
    again = Retry(attempt=2, max=3, delay=0.0, cause="m", action="reset", seq=2, t=0.2)
    answer = [Content("a", seq=1, t=0.1), again, Content("b", seq=3, t=0.3)]
    assert read(write(tmp_path, [[opening()], answer])).message.content == "b"


A = ("openai", "a", "http://a")
B = ("ollama", "b", "http://b")


def whose(provider: str, model: str, base_url: str) -> Metadata:
    return Metadata(provider=provider, model=model, base_url=base_url)


@pytest.mark.parametrize(
    ("events", "who"),
    [
        ([], ("demo", None, None)),
        ([whose(*A)], A),
        ([whose(*A), Content("x")], A),
        ([whose(*A), Fallback("a", "b", "down"), whose(*B), Content("x")], B),
        ([whose(*A), Content("x"), Fallback("a", "b", "down"), whose(*B)], A),
        ([whose(*A), Content("x"), whose(*B), Metadata(restart=True), Content("y")], B),
        ([whose(*A), Content("x"), whose(*B), Metadata(restart=True)], B),
        ([Metadata(provider="ollama", base_url="http://a")], ("ollama", None, "http://a")),
        ([Metadata(provider="ollama", model="old")], ("ollama", "old", None)),
    ],
)
def test_a_record_tells_whose_text_it_has_or_whom_was_asked_last(
    events: list[Event], who: tuple[str | None, str | None, str | None], tmp_path: Path
) -> None:
    first = opening()
    first.provider = "demo"
    for seq, event in enumerate(events, 1):
        event.seq, event.t = seq, 0.1
    record = read(write(tmp_path / "runs", [[first], *([it] for it in events)]))
    assert (record.provider, record.model, record.base_url) == who


def test_a_call_of_a_tool_is_remembered(tmp_path: Path) -> None:
    assert read(write(tmp_path, [[opening()], [ToolCall("i", "n", "{}", seq=1, t=0.1)]])).tools


def test_a_file_that_ends_anywhere_is_a_record_or_no_journal(tmp_path: Path, data: bytes) -> None:
    path, head = tmp_path / f"{RUN}.jsonl", data.index(b"\n")
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        if cut < head:
            with pytest.raises(JournalError, match="is not the journal of a run"):
                read(path)
        else:
            record = read(path)
            assert record.outcome == ("interrupted" if cut < len(data) - 1 else "complete")
            assert TEXT.startswith(record.message.content)


def test_a_damaged_record_keeps_what_is_sound(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"!"', b'"?"'))
    record = read(path)
    assert (record.outcome, record.terminal) == ("damaged", None)
    assert "line 7" in (record.damage or "")
    assert record.message.content == "Hello, wörld 你好*J"


def test_a_request_that_does_not_fit_its_digest_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(
        b'{"type":"metadata","version":1,"run":"r","started_at":"s",'
        b'"request":{"messages":[]},"digest":"sha256:00","seq":0,"t":0.0}\n'
    )
    record = read(path)
    assert (record.outcome, record.asked) == ("damaged", None)
    assert "the digest of the request" in (record.damage or "")


def test_the_output_of_json_in_a_file_is_a_record_that_knows_no_question(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(encode_lines(EVENTS))
    record = read(path)
    assert (record.outcome, record.asked) == ("complete", None)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(JournalError, match="cannot be read"):
            read(path)


# Which run is meant.


def a_run(
    folder: Path, number: int, end: Event | None = None, continues: str | None = None
) -> Path:
    """A journal with one delta, and an end if there is one."""
    batch: list[Event] = [Content("a", seq=1, t=0.1)]
    if end is not None:
        batch.append(end)
    first = opening(f"2026010{number}-000000-000000-abcd", continues)
    return write(folder, [[first], batch])


def test_journals_are_listed_the_newest_first(tmp_path: Path) -> None:
    older, newer = a_run(tmp_path, 1), a_run(tmp_path, 2)
    (tmp_path / "history.db").touch()
    assert journals(tmp_path) == [newer, older]
    assert journals(tmp_path / "none") == []


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be read"):
        journals(tmp_path / "file")


def test_a_run_is_found_by_its_id_and_by_its_beginning(tmp_path: Path) -> None:
    first, _ = a_run(tmp_path, 1), a_run(tmp_path, 2)
    assert find(tmp_path, "20260101-000000-000000-abcd") == first
    assert find(tmp_path, "20260101") == first


def test_an_id_that_begins_another_is_still_an_id(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").touch()
    (tmp_path / "12.jsonl").touch()
    assert find(tmp_path, "1") == tmp_path / "1.jsonl"


@pytest.mark.parametrize(
    ("run", "message"),
    [("2026", "matches 2 runs"), ("9", "no run"), ("", "no run")],
)
def test_a_beginning_of_none_or_many_is_a_mistake(run: str, message: str, tmp_path: Path) -> None:
    a_run(tmp_path, 1), a_run(tmp_path, 2)
    with pytest.raises(UsageError, match=message):
        find(tmp_path, run)


def test_an_endless_id_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(b"")
    with pytest.raises(UsageError, match=r"^there is no run '9+…'$"):
        find(tmp_path, "9" * 5000)


def test_a_newer_version_is_told_before_anything_else_of_it_is_looked_at(data: bytes) -> None:
    newer = data.replace(b'"version":1', b'"version":2')
    assert newer != data
    with pytest.raises(JournalError, match="written by a newer chatstream") as caught:
        list(reading.events_of([newer]))
    assert not isinstance(caught.value, reading.Damaged)


def test_a_glimpse_tells_the_question_and_whether_the_run_may_be_continued(tmp_path: Path) -> None:
    whole = write_run(tmp_path, run_id(1), "an answer", question="why?")
    half = write_run(tmp_path, run_id(2), "half", question="how?", end=failed())
    killed = write_run(tmp_path, run_id(3), "half", question="when?", killed=True)
    long = write_run(tmp_path, run_id(4), "half", question="x" * 2_000_000, end=failed())
    assert glimpse(whole) == ("why?", False)
    assert glimpse(half) == ("how?", True)
    assert glimpse(killed) == ("when?", True)
    assert glimpse(long) == ("", True)
    with running(tmp_path, run_id(5), "half") as path:
        assert glimpse(path) == ("why?", False)


def test_there_is_no_glimpse_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello\n")
    assert [glimpse(tmp_path / it) for it in ("empty", "text", "missing")] == [None] * 3


def test_what_we_did_not_name_is_no_journal(tmp_path: Path) -> None:
    path = write(tmp_path)
    (path.parent / "caf\udce9.jsonl").write_text("")
    assert journals(path.parent) == [path]


@pytest.mark.parametrize("size", [10, 10_000])
def test_what_opens_a_run_is_read_without_what_was_asked(tmp_path: Path, size: int) -> None:
    asked = [Message("user", '","request":' + "x" * size)]
    path = write_run(tmp_path, run_id(2), "text", asked=asked, parent=run_id(1))
    opened = opening_of(path)
    assert opened is not None
    assert (opened.run, opened.parent, opened.continues) == (run_id(2), run_id(1), None)
    assert type(opened) is Metadata
    path.write_bytes(encode_lines([opening()]))  # as `--json` has it, with nothing asked
    assert opening_of(path) == opening()
    for other in (b"", b"hello\n", b'{"type":"content","delta":"x"}\n', b"\xff" * size):
        path.write_bytes(other)
        assert opening_of(path) is None
    path.unlink()
    assert opening_of(path) is None
