"""Words that repeat what came shortly before, and loops."""

from __future__ import annotations

import pytest

from chatstream.analysis.repetition import WINDOW_WORDS, Loop, Repetition
from tests.support.sampling import seeded


def read(words: list[str]) -> Repetition:
    found = Repetition()
    for word in words:
        found.add(word)
    return found


def apart(count: int, start: int = 0) -> list[str]:
    """Words that are all different."""
    return [f"w{at}" for at in range(start, start + count)]


def test_words_that_differ_repeat_nothing() -> None:
    found = read(apart(5000))
    assert (found.repeated, found.loop) == (0, Loop())


@pytest.mark.parametrize("words", [1, 2, 7, 50, WINDOW_WORDS // 2])
@pytest.mark.parametrize("times", [3, 4, 10])
def test_a_loop_is_told_with_its_length_and_how_often_it_came(words: int, times: int) -> None:
    if words * times < 6:
        return  # shorter than what is compared
    found = read([*apart(30, 9000), *apart(words) * times, *apart(30, 8000)])
    assert found.loop == Loop(words, times)


def test_what_comes_twice_is_repeated_and_no_loop() -> None:
    found = read(apart(20) * 2)
    assert (found.repeated, found.loop) == (17, Loop())


def test_what_came_before_the_window_is_forgotten() -> None:
    again = apart(10)
    found = read([*again, *apart(WINDOW_WORDS, 100), *again])
    assert found.repeated == 0
    assert len(found._places) <= WINDOW_WORDS


def test_the_count_is_that_of_a_search_in_the_window() -> None:
    chance = seeded("repetition")
    words = [f"w{chance.randrange(6)}" for _ in range(3000)]
    grams = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    again = sum(gram in grams[max(0, at - WINDOW_WORDS) : at] for at, gram in enumerate(grams))
    assert read(words).repeated == again
