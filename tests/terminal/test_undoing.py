"""What was undone is said while it is done, a line for each write."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from chatstream.engine.undo import Undone
from chatstream.errors import OutputError, UsageError
from chatstream.terminal.undoing import show_undo


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[Undone]:
    """What becomes of the writes of a run."""
    made: list[Undone] = []

    def undo(run: str | None, *, force: bool) -> Iterator[Undone]:
        if not made:
            raise UsageError(f"nothing for {run}")
        yield from made

    monkeypatch.setattr("chatstream.terminal.undoing.undo", undo)
    return made


def test_each_write_has_a_line(
    undone: list[Undone], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    undone += [
        Undone(run="r", path="/a", action="restored"),
        Undone(run="r", path="/b", action="removed"),
        Undone(run="r", path="/c", action="unchanged"),
    ]
    assert show_undo(None, force=False, as_json=False) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"restored    /a\nremoved     /b\nunchanged   /c\n"
    assert err == b""


@pytest.mark.parametrize("force", [True, False])
def test_what_was_left_alone_is_a_failure(
    undone: list[Undone], force: bool, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    undone.append(Undone(run="r", path="/a", action="refused", why="it was changed"))
    assert show_undo(None, force=force, as_json=False) == 1
    out, err = capfdbinary.readouterr()
    assert out == b"left alone  /a: it was changed\n"
    assert (b"--force" in err) is not force


def test_a_mistake_has_its_status(
    undone: list[Undone], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert show_undo("x", force=False, as_json=False) == 2
    out, err = capfdbinary.readouterr()
    assert (out, err) == (b"", b"error: nothing for x\n")


@pytest.mark.parametrize("error", [BrokenPipeError(), OutputError("no space left")])
def test_whoever_stops_reading_does_not_stop_the_work(
    undone: list[Undone], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def undo(run: str | None, *, force: bool) -> Iterator[Undone]:
        for name in ("a", "b", "c"):
            done.append(name)
            yield Undone(run="r", path=name, action="restored")

    def put(data: bytes) -> None:
        raise error

    monkeypatch.setattr("chatstream.terminal.undoing.undo", undo)
    monkeypatch.setattr("chatstream.terminal.undoing.put", put)
    status = show_undo(None, force=False, as_json=False)
    assert done == ["a", "b", "c"]
    assert (status == 0) is isinstance(error, BrokenPipeError)


def test_a_signal_stops_it_between_two_writes(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    done: list[str] = []

    def undo(run: str | None, *, force: bool) -> Iterator[Undone]:
        for name in ("a", "b"):
            done.append(name)
            signal.raise_signal(signal.SIGINT)
            yield Undone(run="r", path=name, action="restored")

    monkeypatch.setattr("chatstream.terminal.undoing.undo", undo)
    assert show_undo(None, force=False, as_json=False) == 130
    assert done == ["a"]
    out, err = capfdbinary.readouterr()
    assert out == b"restored    a\n"
    assert b"continues with the rest" in err
