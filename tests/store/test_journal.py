"""Claimed: what was written is there, sealed, private and locked, whatever ends the process."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from chatstream.errors import JournalError
from chatstream.events import (
    Content,
    Done,
    Effect,
    Event,
    Metadata,
    Stats,
    ToolStart,
    Warn,
    decode,
    encode_lines,
    new_run,
)
from chatstream.grammar import check
from chatstream.messages import Message
from chatstream.store import journal
from chatstream.store.journal import Journal, RequestRecord, is_running
from chatstream.store.reading import events_of, read

ASKED = RequestRecord(
    (Message("system", "be brief"), Message("user", "grüße 你好")), provider="demo"
)


def opening() -> Metadata:
    event = new_run()
    event.seq, event.t = 0, 0.0
    return event


def a_run() -> list[list[Event]]:
    """Three batches: the opening, two deltas, the end."""
    end = Done(finish_reason="stop", stats=Stats(duration=1.0, chunks=2), attempts=1, seq=3, t=1.0)
    return [
        [opening()],
        [Content('a "crc":1}\n', seq=1, t=0.5), Content("ü", seq=2, t=0.5)],
        [end],
    ]


def written(folder: Path, batches: Sequence[Sequence[Event]], asked: RequestRecord = ASKED) -> Path:
    writer = Journal(folder, asked)
    for batch in batches:
        writer.write(batch)
    writer.close()
    (path,) = folder.iterdir()
    return path


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_file_is_for_its_owner_alone_whatever_the_umask(mask: int, tmp_path: Path) -> None:
    with umask(mask):
        path = written(tmp_path / "chatstream" / "runs", a_run())
    assert stat.filemode(path.stat().st_mode) == "-rw-------"
    assert stat.filemode(path.parent.stat().st_mode) == "drwx------"


def test_nothing_is_made_before_the_first_event(tmp_path: Path) -> None:
    Journal(tmp_path / "runs", ASKED).close()
    assert not (tmp_path / "runs").exists()


def test_the_file_is_named_by_its_run(tmp_path: Path) -> None:
    batches = a_run()
    (first,) = batches[0]
    assert isinstance(first, Metadata)
    assert written(tmp_path / "runs", batches).name == f"{first.run}.jsonl"


def test_without_its_additions_it_is_the_output_of_json_byte_for_byte(tmp_path: Path) -> None:
    batches = a_run()
    data = written(tmp_path / "runs", batches).read_bytes()
    data = re.sub(rb',"crc":\d+}$', b"}", data, flags=re.MULTILINE)
    data = re.sub(rb'"request":{.*},"digest":"sha256:[0-9a-f]{64}",', b"", data, count=1)
    assert data == encode_lines(event for batch in batches for event in batch)


def test_the_last_line_of_each_batch_has_a_checksum_and_no_other(tmp_path: Path) -> None:
    lines = written(tmp_path / "runs", a_run()).read_text().splitlines()
    assert ["crc" in json.loads(line) for line in lines] == [True, False, True, True]


def test_the_digest_is_that_of_the_request_as_it_stands_there(tmp_path: Path) -> None:
    head = written(tmp_path / "runs", a_run()).read_bytes().splitlines()[0]
    request = re.search(rb'"request":(.*),"digest"', head)
    assert request
    assert json.loads(head)["digest"] == "sha256:" + sha256(request[1]).hexdigest()
    assert json.loads(request[1])["messages"][1]["content"] == "grüße 你好"


def test_every_batch_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    batches = a_run()
    journal = Journal(tmp_path / "runs", ASKED)
    for number, batch in enumerate(batches):
        journal.write(batch)
        (path,) = (tmp_path / "runs").iterdir()
        expected = [event for earlier in batches[: number + 1] for event in earlier]
        assert list(events_of([path.read_bytes()])) == expected
    journal.close()


def test_only_the_event_that_opens_a_run_begins_a_journal(tmp_path: Path) -> None:
    for event in (Content("a", seq=0), Metadata(model="m", seq=0)):
        with pytest.raises(JournalError, match="opens the run"):
            Journal(tmp_path / "runs", ASKED).write([event])
    assert not (tmp_path / "runs").exists()


def test_a_run_has_one_journal_and_never_a_second(tmp_path: Path) -> None:
    batches = a_run()
    path = written(tmp_path / "runs", batches)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="File exists"):
        Journal(tmp_path / "runs", ASKED).write(batches[0])
    assert path.read_bytes() == before


def test_half_a_character_is_an_error_of_the_journal(tmp_path: Path) -> None:
    asked = RequestRecord((Message("user", "\ud800"),))
    with pytest.raises(JournalError, match="unpaired surrogate"):
        Journal(tmp_path / "runs", asked).write([opening()])
    assert not (tmp_path / "runs").exists()


def test_a_question_that_no_reader_would_take_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LONGEST", journal._REST + 1000)
    written(tmp_path / "fits", a_run(), RequestRecord((Message("user", "x" * 900),)))
    with pytest.raises(JournalError, match="too large"):
        Journal(tmp_path / "runs", RequestRecord((Message("user", "\n" * 600),))).write(a_run()[0])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("effect", "synced"), [("read", 0), ("write", 1), (None, 1)])
def test_the_start_of_a_tool_that_may_change_something_is_on_the_disk_before_it_runs(
    effect: Effect | None, synced: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []

    def sync(file: int) -> None:
        calls.append(Path(f"/proc/self/fd/{file}").read_bytes())

    monkeypatch.setattr(journal, "_SYNC", sync)
    writer = Journal(tmp_path, ASKED)
    writer.write([opening()])
    writer.write([ToolStart("i", "n", effect=effect, seq=1, t=0.1)])
    writer.close()
    assert len(calls) == synced
    assert all(b"tool_start" in it for it in calls)


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs", ASKED)
    journal.write([opening()])
    journal.close()
    reused = os.open(tmp_path, os.O_RDONLY)  # takes the number that is free now
    journal.close()
    os.fstat(reused)
    os.close(reused)


def test_a_disk_that_is_full_only_when_it_is_closed_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "runs", ASKED)
    journal.write([opening()])
    with monkeypatch.context() as patch:
        patch.setattr("chatstream.store.journal.os.close", _no_space)
        journal.close()


def _no_space(_file: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_journal_is_running_as_long_as_its_writer_has_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs", ASKED)
    journal.write([opening()])
    (path,) = (tmp_path / "runs").iterdir()
    assert is_running(path)
    assert is_running(path), "asking changes nothing"
    assert read(path).outcome == "running"
    journal.close()
    assert not is_running(path)
    assert read(path).outcome == "interrupted"


WRITER = """
    import sys
    from pathlib import Path
    from chatstream.events import Content
    from chatstream.messages import Message
    from chatstream.events import new_run
    from chatstream.store.journal import RequestRecord, Journal

    opening = new_run()
    opening.seq, opening.t = 0, 0.0
    journal = Journal(Path(sys.argv[1]), RequestRecord((Message("user", "hi"),)))
    journal.write([opening])
    journal.write([Content("kept", seq=1, t=0.1)])
    print(opening.run, flush=True)
    sys.stdin.read()
"""


def test_kill_9_loses_nothing_and_ends_the_running(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path / "runs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout is not None
        run = writer.stdout.readline().decode().strip()
        path = tmp_path / "runs" / f"{run}.jsonl"
        assert is_running(path)
    finally:
        writer.kill()
        writer.communicate()
    assert not is_running(path)
    record = read(path)
    assert (record.outcome, record.message.content) == ("interrupted", "kept")


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from chatstream.events import Warn, decode, encode_lines
    from chatstream.flow import Arrival, events_in
    from chatstream.messages import Message
    from chatstream.stages.journal import journal
    from chatstream.store.journal import RequestRecord, Journal

    def source():
        for line in batches:
            yield Arrival([*map(decode, line.splitlines())])

    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    batches = sys.stdin.buffer.read().split(b"\\n\\n")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in range(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        writer = Journal(folder / str(limit), RequestRecord((Message("user", "hi"),)))
        sys.stdout.buffer.write(encode_lines(events_in(journal(writer, print)(source()))))
"""


def test_a_disk_that_is_full_at_any_byte_leaves_what_fits_and_the_answer_goes_on(
    tmp_path: Path,
) -> None:
    """The kernel's limit on a file's size is a full disk: it cuts a write, and refuses the next."""
    batches, asked = a_run(), RequestRecord((Message("user", "hi"),))
    events = [event for batch in batches for event in batch]
    size = written(tmp_path / "whole" / "runs", batches, asked).stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path), str(size)],
        input=b"\n".join(encode_lines(batch) for batch in batches),
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    passed = [decode(line) for line in done.stdout.splitlines()]
    kept, number = set(), len(events) + 1  # of one run, with its warning
    assert len(passed) == size * number
    for limit in range(size):
        run = passed[limit * number : (limit + 1) * number]
        check(run)
        (warning,) = [event for event in run if isinstance(event, Warn)]
        assert f"{tmp_path / str(limit)}: File too large;" in warning.message
        assert [it.delta for it in run if isinstance(it, Content)] == ['a "crc":1}\n', "ü"]
        (path,) = (tmp_path / str(limit)).iterdir()
        data = path.read_bytes()
        assert len(data) == limit
        sound = list(events_of([data]))
        assert sound == events[: len(sound)]
        kept.add(len(sound))
    assert kept == set(range(len(events) + 1))
