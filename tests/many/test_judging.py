"""The question to a judge, and what its verdict says."""

from __future__ import annotations

import pytest

from chatstream.many.judging import CRITERIA, lettered, preferred, question


def test_the_judge_sees_letters_and_no_names_in_the_shuffled_order() -> None:
    letters = lettered([2, 0, 1])
    assert letters == {"A": 2, "B": 0, "C": 1}
    asked = question("why?", ["first", "second", "third"], letters)
    assert "<answer_A>\nthird\n</answer_A>\n\n<answer_B>\nfirst\n</answer_B>" in asked
    assert "<question>\nwhy?\n</question>" in asked
    assert all(it in asked for it in CRITERIA)


@pytest.mark.parametrize(
    ("verdict", "best"),
    [
        ("A is fine.\n\nBest: B", 0),
        ("**Best: A**", 2),
        ("Best: Answer C.", 1),
        ("best: b\n", 0),
        ("Best: A would be wrong\nBest: C", 1),
        ("**Best: <answer_B>**", 0),
        ("Best: `answer_A`.\n\n", 2),
        ("Best: a tie between all of them", None),
        ("Best: A or B", None),
        ("Best: A, B", None),
        ("Best: Z", None),
        ("They are all good.", None),
        ("", None),
    ],
)
def test_the_last_line_names_the_best(verdict: str, best: int | None) -> None:
    assert preferred(verdict, lettered([2, 0, 1])) == best
