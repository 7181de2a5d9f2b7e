"""Claimed: state is kept where the platform keeps it, and is for nobody but its owner."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatstream.store.place import make_private, runs_folder, state_folder

PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & PERMISSIONS


def test_the_state_folder_is_that_of_the_desktop_standard(tmp_path: Path) -> None:
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "chatstream"


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", ".local/state/chatstream"),
        ("darwin", "Library/Application Support/chatstream"),
    ],
)
def test_without_a_setting_it_is_the_platforms_own(
    platform: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert state_folder({}) == Path.home() / folder
    assert state_folder({"XDG_STATE_HOME": ""}) == Path.home() / folder


def test_the_journals_have_a_folder_of_their_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert runs_folder(environ).parent == state_folder(environ)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_both_folders_are_for_their_owner_alone_whatever_the_umask(
    mask: int, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "chatstream" / "runs"
    with umask(mask):
        make_private(folder)
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "chatstream" / "runs"
    make_private(folder)
    (folder / "kept").write_text("kept")
    make_private(folder)
    assert (folder / "kept").read_text() == "kept"


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "chatstream").write_text("")
    with pytest.raises(OSError, match="chatstream"):
        make_private(tmp_path / "chatstream" / "runs")
