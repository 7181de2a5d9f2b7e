"""Claimed: which run wrote what is never lost, and one process at a time writes a document."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.errors import JournalError, UsageError
from chatstream.store.composed import Composed, expire


def the_file(state: Path) -> Path:
    (path,) = (state / "composed").iterdir()
    return path


def test_the_last_run_of_a_section_holds(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")) as first:
        assert first.runs == {}
        for section, run in ((0, "a"), (2, "b"), (2, "c")):
            first.begin(section, run)
        assert first.runs == {0: "a", 2: "c"}
    with closing(Composed(tmp_path, "key")) as again, closing(Composed(tmp_path, "other")) as other:
        assert again.runs == {0: "a", 2: "c"}
        assert other.runs == {}


def test_with_a_new_outline_nothing_is_written_yet(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")) as first:
        for section, run in ((0, "a"), (1, "b"), (0, "c")):
            first.begin(section, run)
        assert first.runs == {0: "c"}
        first.begin(2, "d")
    with closing(Composed(tmp_path, "key")) as again:
        assert again.runs == {0: "c", 2: "d"}


def test_a_line_that_was_cut_is_passed_over_at_every_byte(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")) as made:
        made.begin(1, "first")
        made.begin(2, "second")
    path = the_file(tmp_path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        with closing(Composed(tmp_path, "key")) as again:
            assert {**again.runs, 2: ""} == {1: "first", 2: ""}
            again.begin(3, "third")
        with closing(Composed(tmp_path, "key")) as last:
            assert (last.runs[1], last.runs[3]) == ("first", "third")


def test_one_process_at_a_time_writes_a_document(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")):
        with pytest.raises(UsageError, match="another process"):
            Composed(tmp_path, "key")
        Composed(tmp_path, "other").close()
    Composed(tmp_path, "key").close()


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")) as made:
        made.begin(1, "first")
        made.forget()
        made.begin(2, "second")
    with closing(Composed(tmp_path, "key")) as again:
        assert again.runs == {2: "second"}


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(Composed(tmp_path, "key")):
        path = the_file(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "composed").write_text("a file")
    with pytest.raises(JournalError, match="cannot be used"):
        Composed(tmp_path, "key")


def test_old_files_expire(tmp_path: Path) -> None:
    expire(tmp_path, 100.0)  # there is nothing yet
    for key, time in (("old", 99.0), ("new", 101.0)):
        Composed(tmp_path, key).close()
        os.utime(tmp_path / "composed" / f"{key}.jsonl", (time, time))
    expire(tmp_path, 100.0)
    assert the_file(tmp_path).stem == "new"
