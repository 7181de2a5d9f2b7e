"""The README's picture is well formed, and shows what the program does today."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.support.picture import ANSWER, HOLDS, PICTURE, Frame, frames, svg

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def shown() -> list[Frame]:
    """What a terminal shows now."""
    return list(frames())


def texts(picture: str) -> list[list[str]]:
    """The texts of each frame, without the status line, which depends on the machine."""
    groups = ElementTree.fromstring(picture).iter(f"{SPACE}g")
    found = [["".join(it.itertext()) for it in group] for group in groups]
    return [[text for text in group if not text.endswith(" stops")] for group in found]


def test_the_picture_is_what_the_program_shows(shown: list[Frame]) -> None:
    made = PICTURE.read_text(encoding="utf-8")
    assert texts(made) == texts(svg(shown)), "make picture"


def test_the_picture_moves_without_a_script_and_stands_as_its_last_frame() -> None:
    made = PICTURE.read_text(encoding="utf-8")
    root = ElementTree.fromstring(made)
    names = {element.tag.removeprefix(SPACE) for element in root.iter()}
    assert names == {"svg", "style", "rect", "circle", "g", "text"}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", made)
    still = [group.get("class") for group in root.iter(f"{SPACE}g")]
    assert still == ["frame"] * (len(still) - 1) + ["frame last"]
    assert "prefers-reduced-motion" in made


def test_the_picture_tells_the_story(shown: list[Frame]) -> None:
    asked, *streamed, killed, resuming, whole = [frame.text for frame in shown]
    assert asked.startswith("$ chatstream ask")
    assert [text.count("Sunlight") for text in streamed] == [1] * len(HOLDS)
    assert all(words in text for words, text in zip(HOLDS, streamed, strict=True))
    assert HOLDS[-1] + "Killed" in killed
    assert resuming == f"{killed} chatstream resume"
    answer = ANSWER.replace("*", "").split()
    assert whole.startswith(f"{resuming}\n")
    assert whole.removeprefix(resuming).split() == [*answer, "$"]
