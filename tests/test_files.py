"""Claimed: a file is replaced whole or not at all, through links and with its mode, by one
at a time; what we make is for its owner alone."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatstream import files
from chatstream.clock import Deadline


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_and_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for data in (b"old and longer", b"new"):
        files.replace(file, data)
        assert (file.read_bytes(), names(tmp_path)) == (data, ["file"])


@pytest.mark.parametrize("given", [0o600, 0o640, 0o755, 0o666])
def test_the_mode_stays_whatever_the_umask(given: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(given)
    with umask(0o077):
        files.replace(file, b"new", mode=0o600)
    assert mode(file) == given


@pytest.mark.parametrize(("given", "found"), [(0o600, 0o600), (None, 0o640)])
def test_a_new_file_has_the_mode_that_is_asked_for(
    given: int | None, found: int, tmp_path: Path
) -> None:
    with umask(0o026):
        files.replace(tmp_path / "file", b"", mode=given)
    assert mode(tmp_path / "file") == found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_stays(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o640)
    os.chown(file, 12345, 54321)
    files.replace(file, b"new")
    assert (file.stat().st_uid, file.stat().st_gid, mode(file)) == (12345, 54321, 0o640)


def test_another_group_gets_no_rights_in_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    file = tmp_path / "file"
    file.touch(mode=0o664)
    status = os.stat_result((stat.S_IFREG | 0o664, 1, 1, 1, 12345, 54321, 0, 0, 0, 0))
    monkeypatch.setattr(os, "chown", refused)
    files._dress(file, status)
    assert mode(file) == 0o604


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_the_file_behind_it_is_replaced(there: bool, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    behind = tmp_path / "dotfiles" / "file"
    if there:
        behind.write_text("old")
    (tmp_path / "middle").symlink_to(behind)
    (tmp_path / "link").symlink_to("middle")
    files.replace(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert behind.read_bytes() == b"new"
    assert names(tmp_path / "dotfiles") == ["file"]


@pytest.mark.parametrize(
    ("room", "step", "failure"),
    [
        (os, "fsync", OSError(errno.ENOSPC, "full")),
        (Path, "replace", OSError(errno.EXDEV, "elsewhere")),
        (Path, "chmod", OSError(errno.EPERM, "refused")),
        (os, "fsync", KeyboardInterrupt()),
        (Path, "replace", KeyboardInterrupt()),
    ],
)
def test_whatever_fails_the_old_file_is_there_and_nothing_beside_it(
    room: object,
    step: str,
    failure: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    file = tmp_path / "file"
    file.write_text("old")
    monkeypatch.setattr(room, step, fails)
    with pytest.raises(type(failure)):
        files.replace(file, b"new")
    assert (file.read_text(), names(tmp_path)) == ("old", ["file"])


def test_nobody_can_guess_the_name_and_lay_a_link_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", lambda number: bytes(number))  # somebody has guessed it
    (tmp_path / f".chatstream-{bytes(8).hex()}").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        files.replace(tmp_path / "file", b"new")
    assert not (tmp_path / "victim").exists()


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path, why in [
        (tmp_path, "Is a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "loop", "Too many levels"),
        (tmp_path / "none" / "file", "No such file"),
    ]:
        for step in (lambda path: files.replace(path, b""), files.check):
            with pytest.raises(OSError, match=why):
                step(path)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_folders_that_are_made_are_for_their_owner_alone_whatever_the_umask(
    mask: int, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "chatstream" / "runs"
    with umask(mask):
        files.make_private(folder)
    assert (mode(folder), mode(folder.parent), mode(folder.parent.parent)) == (0o700,) * 3


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "kept").write_text("kept")
    files.make_private(tmp_path)
    assert (mode(tmp_path), (tmp_path / "kept").read_text()) == (0o755, "kept")


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "chatstream").write_text("")
    with pytest.raises(OSError, match="chatstream"):
        files.make_private(tmp_path / "chatstream" / "runs")


def test_one_is_alone_in_a_folder_until_it_leaves(tmp_path: Path) -> None:
    with files.alone(tmp_path, Deadline(0.0)):
        with (
            pytest.raises(TimeoutError, match="another process"),
            files.alone(tmp_path, Deadline(0.0)),
        ):
            raise AssertionError("two are alone")
        with files.alone(tmp_path.parent, Deadline(0.0)):
            pass
    with files.alone(tmp_path, Deadline(0.0)):
        assert names(tmp_path) == []


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from chatstream import files\n"
        "from chatstream.clock import Deadline\n"
        "with files.alone(Path(sys.argv[1]), Deadline(5)):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    with pytest.raises(TimeoutError), files.alone(tmp_path, Deadline(0.0)):
        pass
    process.kill()
    process.communicate()
    with files.alone(tmp_path, Deadline(0.0)):
        pass


def test_where_there_are_no_locks_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    with files.alone(tmp_path, Deadline(0.0)), files.alone(tmp_path, Deadline(0.0)):
        pass


def test_a_file_is_read_whole_and_what_never_ends_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    assert files.read_whole(tmp_path / "file", 10) == b"x" * 10
    for path in (tmp_path / "file", Path("/dev/zero")):
        with pytest.raises(OSError, match="File too large"):
            files.read_whole(path, 9)


@pytest.mark.parametrize("name", ["~nobody-at-all/x", "x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_none(name: str) -> None:
    assert not files.is_file(files.named(name))


def test_a_name_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "it").touch()
    assert files.is_file(files.named("~/it"))


def test_a_name_is_a_path_whatever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert files.named("~/a") == Path("/home/me/a")
    assert files.named("~nobody-at-all/a") == Path("~nobody-at-all/a")
