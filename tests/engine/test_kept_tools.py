"""Tools are kept from one run to the next that has the same settings, and closed otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatstream.engine.kept_tools import KeptTools, OpenTools, key_of
from chatstream.engine.settings import Settings
from tests.support.handmade import Handmade


class Stale(Handmade):
    """A tool that has to be made again."""

    is_stale = True


class Counted(OpenTools):
    """Tools that count how often they are closed."""

    def __init__(self, *, stale: bool = False) -> None:
        self.closed = 0
        made = Stale if stale else Handmade
        super().__init__([made("tool", lambda *_: None)], self._count)

    def _count(self) -> None:
        self.closed += 1


def test_what_is_given_back_is_taken_again_and_by_one_run_alone() -> None:
    kept, tools = KeptTools(), Counted()
    assert kept.take(b"one") is None
    kept.give(b"one", tools)
    assert kept.take(b"one") is tools
    assert kept.take(b"one") is None
    assert tools.closed == 0


def test_other_settings_close_the_tools_and_end_what_was_allowed() -> None:
    kept, tools = KeptTools(), Counted()
    kept.take(b"one")
    kept.always.add("tool")
    kept.give(b"one", tools)
    assert kept.take(b"one") is tools
    assert kept.always == {"tool"}
    kept.give(b"one", tools)
    assert kept.take(b"other") is None
    assert tools.closed == 1
    assert kept.always == set()


def test_what_cannot_be_kept_is_closed() -> None:
    kept, first, second, stale, late = KeptTools(), *(Counted(stale=it == 2) for it in range(4))
    kept.take(b"one")
    kept.give(b"one", stale)
    kept.give(b"one", first)
    kept.give(b"one", second)  # two runs had some at the same time
    kept.take(b"other")
    kept.give(b"one", late)
    assert [it.closed for it in (stale, first, second, late)] == [1] * 4


def test_nothing_is_kept_after_the_end() -> None:
    kept, idle, lent = KeptTools(), Counted(), Counted()
    kept.take(b"one")
    kept.give(b"one", idle)
    kept.close()
    kept.close()
    kept.give(b"one", lent)
    assert (idle.closed, lent.closed) == (1, 1)


def test_the_shared_part_is_closed_after_every_tool_and_whatever_a_tool_raises() -> None:
    closed = []

    class Failing(Handmade):
        def close(self) -> None:
            closed.append(self.name)
            raise OSError("it cannot be closed")

    tools = OpenTools(
        [Failing(it, lambda *_: None) for it in ("b", "a")], lambda: closed.append("shared")
    )
    with pytest.raises(OSError, match="closed"):
        tools.close()
    assert closed == ["a", "b", "shared"]


def test_the_key_tells_what_other_tools_are_made_from(tmp_path: Path) -> None:
    settings = Settings(tools_file="own.py", model="m")
    key = key_of(settings, [tmp_path])
    assert key_of(Settings(tools_file="own.py", model="n"), [tmp_path]) == key
    assert key_of(settings, [tmp_path / "x"]) != key
    assert key_of(Settings(tools_file="own.py", tools=["time"]), [tmp_path]) != key


@pytest.mark.parametrize("name", ["tools_file", "mcp_config", "tool_exec"])
def test_a_file_that_was_changed_or_is_gone_makes_another_key(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own"
    file.write_text("")
    os.utime(file, (1, 1))
    settings = replace(Settings(), **{name: [str(file)] if name == "tool_exec" else str(file)})
    keys = [key_of(settings, [])]
    file.write_text("# changed")
    keys.append(key_of(settings, []))
    file.unlink()
    keys.append(key_of(settings, []))
    assert len(set(keys)) == 3
