"""The command line of `chatstream compare`. What it does is in tests/many/test_comparing.py."""

from __future__ import annotations

import pytest

from tests.support.bymodel import ByModel, compare_line
from tests.support.chats import says
from tests.support.client import run_here


def test_models_can_be_of_different_servers() -> None:
    with ByModel(a=says("Blue.")) as one, ByModel(b=says("Red.")) as other:
        line = compare_line(one, "a", f"b@{other.url}/api/chat")
        done = run_here(line)
        assert [it for it, _ in one.asked() + other.asked()] == ["a", "b"]
    assert done.status == 0
    assert b"Blue." in done.stdout
    assert b"Red." in done.stdout
    assert "may wait for each other" not in done.stderr


@pytest.mark.parametrize("flag", ["--tool", "--allow", "--mcp", "--copy"])
def test_what_makes_no_sense_here_is_no_option(flag: str) -> None:
    done = run_here(["compare", flag, "x", "-m", "a", "-m", "b", "why?"])
    assert done.status == 2
    assert flag in done.stderr


def test_an_unknown_layout_is_refused() -> None:
    done = run_here(["compare", "--layout", "rows", "-m", "a", "-m", "b", "why?"])
    assert done.status == 2
    assert "columns" in done.stderr


def test_pick_may_have_no_number_before_the_question() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        *line, question = compare_line(server, "a", "b")
        done = run_here([*line, "--pick", question])
        assert "only on a terminal" in done.stderr
        assert run_here([*line, "--pick", "2", question]).status == 0
