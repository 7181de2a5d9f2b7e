"""Claimed: a screen is as wide and as colourful as its file, and no text of others gets through."""

from __future__ import annotations

import pytest

from chatstream.bench.layout import Line
from chatstream.bench.painting import painted

SCREEN: list[Line] = [
    [("good", "good"), (" · ", "dim"), ("bad", "bad"), (" plain", "")],
    [("bold", "bold"), ("   ", "")],
    [("evil\x1b[2J", "warn")],
]


def of(encoding: str = "utf-8") -> str:
    asked: list[tuple[int, bool]] = []

    def screen(width: int, ascii_only: bool) -> list[Line]:
        asked.append((width, ascii_only))
        return SCREEN

    data = painted(screen, 1, encoding)
    assert asked == [(80, encoding == "ascii")]  # without a terminal
    return data.decode(encoding)


def test_without_colours_the_text_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = of().split("\n")
    assert lines[:2] == ["good · bad plain", "bold"]
    assert "\x1b" not in lines[2]
    assert of("ascii").startswith("good ? bad plain\n")  # ASCII is asked of the screen itself


@pytest.mark.usefixtures("usual_colours")
def test_a_role_has_its_colour_and_the_colour_ends_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = of().split("\n")
    assert lines[0].count("\x1b[0m") == 2
    assert lines[0].endswith(" plain")
    assert lines[1] == "\x1b[1mbold\x1b[0m"
    assert "\x1b[2J" not in lines[2]
