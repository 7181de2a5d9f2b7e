"""This side of the keeper: what is given to programs, and what is left when it is closed."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools.environment import environment
from chatstream.tools.spawning import Ended, Keeper, Lost, NotStarted, Order, Said, Started, told
from tests.support.processes import alive, new_mark, seconds_until_gone
from tests.support.toolcalls import LIMIT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs process groups")


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as made:
        yield made


def started(keeper: Keeper, *argv: str, cwd: str = "/") -> list[Said]:
    """All that the minder of a program says."""
    files = [os.open(os.devnull, os.O_RDWR)] * 3
    order = Order(argv=argv, env=environment(), cwd=cwd)
    with closing(keeper.start(order, files)) as minded:
        os.close(files[0])
        found: list[Said] = []
        while not found or isinstance(found[-1], Started):
            assert select.select([minded], [], [], LIMIT)[0]
            if (said := minded.said()) is not None:
                found.append(said)
    return found


def test_a_start_and_an_end_are_said(keeper: Keeper) -> None:
    begun, ended = started(keeper, "true")
    assert isinstance(begun, Started)
    assert ended == Ended(0, 0)


@pytest.mark.parametrize(
    ("argv", "cwd", "why"),
    [
        (["no-such-program"], "/", "no-such-program: No such file or directory"),
        (["/etc/passwd"], "/", "/etc/passwd: Permission denied"),
        (["true"], "/no/such/folder", "/no/such/folder: No such file or directory"),
        (["true", "a\0b"], "/", "true: embedded null byte"),
    ],
)
def test_what_cannot_be_started_says_why(
    keeper: Keeper, argv: list[str], cwd: str, why: str
) -> None:
    assert started(keeper, *argv, cwd=cwd) == [NotStarted(why)]


@pytest.mark.parametrize(
    ("end", "last_words", "words"),
    [
        (Ended(3, 0), "", "it ended with status 3"),
        (Ended(3, 0), "first\nno licence\n", "it ended with status 3 (no licence)"),
        (Ended(-9, 0), " ", "it was killed by SIGKILL"),
        (Ended(-40, 0), "", "it was killed by signal 40"),
        (NotStarted("no such file"), "", "it could not be started: no such file"),
        (Lost(), "", "it was killed"),
    ],
)
def test_an_end_is_told_in_words(
    end: Ended | NotStarted | Lost, last_words: str, words: str
) -> None:
    assert told(end, last_words) == words


def test_an_argument_may_be_no_utf_8_and_long(keeper: Keeper) -> None:
    assert started(keeper, "sh", "-c", "test ${#1} = 100002", "sh", "\udcff" + "é" * 50_000 + "x")[
        -1
    ] == Ended(0, 0)


def test_the_keeper_has_no_keys_and_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-key")
    with closing(Keeper()) as keeper:
        pid = keeper._process.pid
        assert b"sk-the-key" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert os.getsid(pid) == pid


def test_no_keeper_is_one_sentence_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match="no process for tools can be started"):
        Keeper()
    assert list(tmp_path.iterdir()) == []


def test_a_keeper_that_was_killed_is_started_again(keeper: Keeper) -> None:
    os.kill(keeper._process.pid, signal.SIGKILL)
    keeper._process.wait(LIMIT)
    keeper.scratch.rmdir()
    assert started(keeper, "true")[-1] == Ended(0, 0)
    assert stat.S_IMODE(keeper.scratch.stat().st_mode) == 0o700


def test_closing_ends_what_still_runs_and_removes_the_folder() -> None:
    mark, keeper = new_mark(), Keeper()
    (keeper.scratch / "left").touch()
    file = os.open(os.devnull, os.O_RDWR)
    order = Order(argv=["sleep", mark], env=environment(), cwd="/")
    minded = keeper.start(order, [file] * 3)
    os.close(file)
    assert select.select([minded], [], [], LIMIT)[0]
    assert len(alive(mark)) == 1
    minded.close()
    keeper.close()
    seconds_until_gone(mark)
    assert not keeper.scratch.exists()
    keeper.close()
    with pytest.raises(OSError, match="over"):
        keeper.start(order, [0, 1, 2])
