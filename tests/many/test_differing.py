"""What differs between two answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatstream.many import differing
from chatstream.many.differing import Part, likeness, marked, parts, shortened

TEXTS = st.lists(st.sampled_from(["the ", "sky ", "is\n", "blue. ", "  red"]), max_size=40)


def test_a_changed_word_is_marked_in_both() -> None:
    found = parts("The sky is blue today.", "The sky is red today.")
    assert marked(found) == "The sky is [-blue-] {+red+} today."
    assert parts("", "") == []
    assert marked(parts("", "new")) == "{+new+}"
    assert marked(parts("old", "")) == "[-old-]"


def test_in_a_script_without_spaces_characters_are_compared() -> None:
    found = parts("空は青いです。理由は散乱です。", "空は赤いです。理由は散乱です。")
    assert marked(found) == "空は[-青-]{+赤+}いです。理由は散乱です。"
    assert likeness(found) == 14 / 15
    assert marked(parts("the 空 is blue", "the 海 is blue")) == "the [-空-] {+海+} is blue"


def test_what_is_too_long_for_words_is_compared_by_sentences() -> None:
    many = ["の空" * 40 + f"{number}。" for number in range(40)]
    changed = [*many[:20], "別の文。", *many[21:]]
    found = parts("始。" + "".join(many) + "甲。", "初。" + "".join(changed) + "乙。")
    assert [it.kind for it in found].count("same") >= 2
    assert likeness(found) > 0.9


def test_white_space_is_no_difference() -> None:
    assert {it.kind for it in parts("The sky\nis  blue.", "The sky is blue.\n")} == {"same"}


@given(TEXTS, TEXTS)
def test_each_side_can_be_read_from_it(first: list[str], second: list[str]) -> None:
    one, other = "".join(first), "".join(second)
    found = parts(one, other)
    for text, left_out in ((one, "second"), (other, "first")):
        words = "".join(it.text for it in found if it.kind != left_out).split()
        assert words == text.split()
    assert 0.0 <= likeness(found) <= 1.0
    assert (likeness(found) == 1.0) is (one.split() == other.split())


def test_a_long_stretch_that_is_the_same_is_shortened() -> None:
    same = " ".join(f"w{number}" for number in range(100))
    (only,) = shortened(parts(same, same))
    assert only.text.strip() == "[… 100 words the same …]"
    text = marked([*shortened(parts(f"a {same} b", f"c {same} d"))])
    assert text.startswith("[-a-] {+c+} w0 ")
    assert "w11 [… 76 words the same …] w88" in text
    assert text.endswith("w99 [-b-]{+d+}")


def test_no_control_character_reaches_the_terminal() -> None:
    coloured = differing.coloured([Part("same", "a \x1b[2Jb "), Part("first", "\x9bc")])
    assert "\x1b[2J" not in coloured
    assert "\x9b" not in coloured
    assert "\x1b[31;9m" in coloured


def test_the_work_is_bounded() -> None:
    one = " ".join(f"a{number}" for number in range(20_000))
    other = " ".join(f"b{number}" for number in range(20_000))
    assert [it.kind for it in parts(one, other)] == ["first", "second"]
    assert len(marked(parts(one, other))) == len(one) + len(other) + 8


def test_words_that_come_again_and_again_are_bounded_too() -> None:
    """Two thousand words took a minute."""
    found = parts("a b " * 1000, "a c " * 1000)
    assert [it.kind for it in found] == ["same", "first", "second"]
    lines = marked(parts("a b " * 999 + "\nx y\n" + "a b ", "a c " * 999 + "\nx y\n" + "a c "))
    assert "\nx y\n" in lines


def test_answers_of_a_usual_length_are_compared_word_by_word() -> None:
    """One word in ten is the same one, as in prose."""
    one, other = (
        " ".join("the" if at % 10 == 0 else f"{side}{at}" for at in range(1500)) for side in "vw"
    )
    assert len(parts(one, other)) > 300
