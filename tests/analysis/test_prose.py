"""Prose is what stands outside of fenced code."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from chatstream.analysis.prose import MAX_HELD_CHARACTERS, Prose
from tests.support.sampling import sampled, seeded

ANSWERS = sorted((Path(__file__).parents[1] / "answers").glob("*.md"))


def prose(*pieces: str) -> str:
    reader = Prose()
    return "".join([*map(reader.feed, pieces), reader.finish()])


def test_code_in_fences_is_left_out_with_its_fences() -> None:
    text = "before\n```python title=x\nx = 1\n\n```\nafter\n~~~~\n~~~\n~~~~\nend"
    assert prose(text).split() == ["before", "after", "end"]


def test_other_markdown_is_prose() -> None:
    text = "# Title\n\n- `code` in a line\n- ``` is no fence `here`\n\n    indented\n"
    assert prose(text) == text


def test_code_that_is_not_closed_goes_on_to_the_end() -> None:
    assert prose("a\n```\nb\nc").split() == ["a"]


def test_code_in_an_item_ends_with_its_item() -> None:
    assert prose("- ```\n  code\n\nafter\n").split() == ["after"]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda it: it.stem)
def test_where_an_answer_is_cut_makes_no_difference(answer: Path) -> None:
    text = answer.read_text("utf-8")
    whole = prose(text)
    assert prose(*text) == whole
    chance = seeded("prose", answer.stem)
    for most in (3, 20, 300):
        cuts = sorted(chance.sample(range(len(text)), min(len(text) - 1, len(text) // most + 1)))
        ends = [0, *cuts, len(text)]
        assert prose(*(text[a:b] for a, b in pairwise(ends))) == whole


def test_text_is_held_only_while_its_line_may_be_a_fence() -> None:
    reader = Prose()
    assert [reader.feed(it) for it in ("``", "` x", " `", " y")] == ["", "", "``` x `", " y"]
    assert [reader.feed(it) for it in ("\n", "- ", "a")] == ["\n", "", "- a"]


def test_a_long_line_that_may_be_a_fence_is_judged_by_its_beginning() -> None:
    line = "```" + "x" * MAX_HELD_CHARACTERS
    for size in sampled([1, 2, 7, 999, 1000, 1001, 5000], 7, "long"):
        pieces = [line[at : at + size] for at in range(0, len(line), size)]
        assert prose(*pieces, "\ncode\n```\nend").split() == ["end"]
