"""What was undone is said while it is done, a line for each write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.engine.undo import Undone
from chatstream.errors import UsageError
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
