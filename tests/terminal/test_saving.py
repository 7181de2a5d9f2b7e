"""Claimed: a file that the user asks for is written whole or not at all, and nothing is overwritten
unless it is named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from chatstream.errors import ChatstreamError, UsageError
from chatstream.terminal import saving


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def saved(folder: Path, data: bytes = b"data") -> tuple[Path, list[str]]:
    said: list[str] = []
    return saving.save_new(folder, "a-1", ".txt", data, said.append), said


def test_a_new_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    path, said = saved(tmp_path)
    assert (path, path.read_bytes()) == (tmp_path / "a-1.txt", b"data")
    assert (said, names(tmp_path)) == ([f"saved {path}"], ["a-1.txt"])


def test_where_a_name_is_taken_the_next_one_is(tmp_path: Path) -> None:
    (tmp_path / "a-1.txt").write_text("mine")
    (tmp_path / "a-1-2.txt").symlink_to(tmp_path / "elsewhere")
    path, said = saved(tmp_path)
    assert (path.name, path.read_bytes()) == ("a-1-3.txt", b"data")
    assert said == [f"saved {path} (a-1.txt already exists)"]
    assert (tmp_path / "a-1.txt").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("room", "step"), [(Path, "replace"), (os, "fsync")])
def test_a_file_that_cannot_be_made_whole_leaves_nothing(
    room: object, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(room, step, fails)
    with pytest.raises(ChatstreamError, match=r"a-1.txt cannot be saved in .*: No space left"):
        saved(tmp_path)
    assert names(tmp_path) == []


def test_half_a_character_is_a_question_mark() -> None:
    assert saving.encoded("a\ud83d é") == "a? é".encode()


def test_a_failure_tells_what_and_why(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"^DIR cannot be used: No such file or directory$"),
        saving.failing(UsageError, "DIR cannot be used"),
    ):
        saving.check_folder(tmp_path / "missing")


def test_what_is_named_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old and longer")
    file.chmod(0o640)
    saving.check_file(file)
    saving.write(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert names(tmp_path) == ["file"]
