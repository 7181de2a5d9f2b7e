"""The file under the history: made, migrated, refused, shared, moved aside."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.clock import Deadline
from chatstream.errors import JournalError
from chatstream.store.database import LOCK, NAME, Database
from chatstream.store.history import History
from chatstream.store.migrations import MIGRATIONS
from tests.support.runs import run_id, write_run
from tests.support.sampling import sampled

SLOW = Deadline(30.0)
SHORT = Deadline(0.0)

# What a user does in a process of its own: bring the history up to date and list it.
LIST = """
import sys
from pathlib import Path
from chatstream.errors import ChatstreamError
from chatstream.store.history import History
from chatstream.store.migrations import MIGRATIONS
try:
    with History(Path(sys.argv[1]), tell=print) as history:
        history.sync()
        print(*[run.id for run in history.runs()])
except ChatstreamError as error:
    print("error:", error.message)
"""


def filled(folder: Path, number: int = 3) -> list[str]:
    """A folder whose history has taken in so many runs; their ids, the newest first."""
    runs = [run_id(it) for it in range(number)]
    for run in runs:
        write_run(folder, run, f"the answer of {run} " + "word " * 500)
    with History(folder) as history:
        history.sync()
    return runs[::-1]


def listed(folder: Path) -> tuple[list[str], list[str]]:
    """The runs that a history has, and what it tells."""
    told: list[str] = []
    with History(folder, tell=told.append) as history:
        history.sync()
        return [run.id for run in history.runs()], told


def test_all_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    write_run(folder, run_id(1), "text")
    with History(folder) as history:
        history.sync()
        files = [it for it in folder.iterdir() if it.is_file()]
        assert {it.name for it in files} >= {NAME, f"{NAME}-wal", f"{NAME}-shm", LOCK}
        assert {stat.S_IMODE(it.stat().st_mode) for it in files} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_newer_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    filled(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(JournalError, match="newer chatstream"):
        Database(tmp_path, SLOW)
    assert (tmp_path / NAME).read_bytes() == before


@pytest.mark.parametrize("how", ["garbage", "half", "a page and a bit", "text", "empty"])
def test_a_damaged_database_is_kept_and_made_anew(tmp_path: Path, how: str) -> None:
    runs = filled(tmp_path)
    path = tmp_path / NAME
    good = path.read_bytes()
    bad = {
        "garbage": os.urandom(len(good)),
        "half": good[: len(good) // 2],
        "a page and a bit": good[:5000],
        "text": b"not a database at all\n" * 100,
        "empty": b"",
    }[how]
    path.write_bytes(bad)
    found, told = listed(tmp_path)
    assert found == runs
    aside = list(tmp_path.glob(f"{NAME}.damaged-*"))
    if how == "empty":  # is as good as none
        assert (aside, told) == ([], [])
    else:
        assert len(told) == len(aside) == 1
        assert str(aside[0]) in told[0]
    assert listed(tmp_path) == (runs, [])


def test_any_bit_of_the_header_may_flip(tmp_path: Path) -> None:
    runs = filled(tmp_path)
    good = (tmp_path / NAME).read_bytes()
    for bit in sampled(range(800), 60, "bits"):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        for file in tmp_path.glob(f"{NAME}*"):
            file.unlink()
        (tmp_path / NAME).write_bytes(bad)
        if int.from_bytes(bad[60:64]) > len(MIGRATIONS):
            with pytest.raises(JournalError, match="newer chatstream"):
                listed(tmp_path)
        else:
            assert listed(tmp_path)[0] == runs, f"bit {bit}"


def test_damage_that_shows_while_it_is_used_is_mended_too(tmp_path: Path) -> None:
    runs = filled(tmp_path, 30)
    told: list[str] = []
    with sqlite3.connect(tmp_path / NAME) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with (tmp_path / NAME).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with History(tmp_path, tell=told.append) as history:
        assert [run.id for run in history.runs()] == runs
        assert len(history.search("answer", 100)) == len(runs)
    assert len(told) == 1


def test_what_has_no_journal_any_more_is_saved_from_a_damaged_database(tmp_path: Path) -> None:
    runs = filled(tmp_path)
    (tmp_path / "runs" / f"{runs[1]}.jsonl").unlink()
    with sqlite3.connect(tmp_path / NAME) as db:  # only the index of the words
        db.execute("UPDATE words_data SET block = x'00000000ffffffff'")
    db.close()
    with History(tmp_path, tell=lambda _line: None) as history:
        assert len(history.search("answer", 10)) == 3
        assert [run.id for run in history.runs()] == runs
        saved = history.conversation(history.run(runs[1]))
        assert saved.messages[-1].content.startswith(f"the answer of {runs[1]}")


def test_a_damaged_database_is_not_moved_while_another_process_uses_it(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / LOCK).open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        (tmp_path / NAME).write_bytes(b"garbage" * 1000)
        with pytest.raises(JournalError, match="in use by other processes"):
            Database(tmp_path, SHORT)
        assert (tmp_path / NAME).read_bytes() == b"garbage" * 1000
    assert len(listed(tmp_path)[0]) == 3


def test_a_successor_that_another_process_made_is_left_alone(tmp_path: Path) -> None:
    runs = filled(tmp_path)
    mine = Database(tmp_path, SLOW)
    (tmp_path / NAME).rename(tmp_path / "moved by another process")
    shutil.copy(tmp_path / "moved by another process", tmp_path / NAME)
    mine.mend()
    mine.close()
    assert mine.aside is None
    assert listed(tmp_path) == (runs, [])


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be used: "):
        Database(tmp_path / "file" / "state", SLOW)


def _obey_modes() -> None:
    """Also root: without these capabilities the modes of files hold for it."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def _small_files() -> None:
    """A disk that is full after 32 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, 32 * 1024))


def test_a_read_only_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    runs = filled(folder)
    write_run(folder, run_id(99), "too late")
    folder.chmod(0o500)
    try:
        done = subprocess.run(
            [sys.executable, "-c", LIST, folder], capture_output=True, preexec_fn=_obey_modes
        )
    finally:
        folder.chmod(0o700)
    told, found = done.stdout.decode().splitlines()
    assert "cannot be written" in told
    assert found.split() == runs


def test_a_read_only_folder_without_a_history_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    done = subprocess.run(
        [sys.executable, "-c", LIST, folder], capture_output=True, preexec_fn=_obey_modes
    )
    assert done.stdout.decode() == f"error: {folder} has no history yet, and cannot be written\n"


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    runs = [run_id(it) for it in range(50)]
    for run in runs:
        write_run(tmp_path, run, "word " * 1000)
    done = subprocess.run(
        [sys.executable, "-c", LIST, tmp_path], capture_output=True, preexec_fn=_small_files
    )
    assert done.stdout.startswith(b"error: the history cannot be written: ")
    assert done.stderr == b""
    assert listed(tmp_path) == (runs[::-1], [])
