"""Where several answers are shown."""

from __future__ import annotations

import pytest

from chatstream.engine.settings import Settings
from chatstream.many.showing import Look, section


@pytest.mark.parametrize("look", [Look(), Look(plain=True)])
def test_what_follows_the_answers_is_markdown_below_an_empty_line(
    look: Look, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    section("## Summary", "| a |\n", Settings(), look)
    section("", "the end\n", Settings(), look)
    assert capfdbinary.readouterr().out == b"\n## Summary\n\n| a |\n\nthe end\n"


def test_without_a_terminal_nothing_is_drawn() -> None:
    assert not Look().is_screen(Settings())
    assert not Look(as_json=True).is_screen(Settings())
