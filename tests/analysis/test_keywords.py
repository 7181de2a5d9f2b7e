"""Keywords, their language, and the bound of what is counted."""

from __future__ import annotations

from collections import Counter

import pytest

from chatstream.analysis import keywords
from chatstream.analysis.keywords import Keywords
from chatstream.analysis.text import KEYWORDS
from chatstream.analysis.wordlists import STOP_WORDS
from tests.support.sampling import seeded


def counted(text: str) -> Keywords:
    found = Keywords()
    for word in text.split():
        found.add(word)
    return found


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("the window of the server is the window", "en", {"window": 2, "server": 1}),
        ("das fenster und der server sind das fenster", "de", {"fenster": 2, "server": 1}),
        ("la ventana y el servidor de la ventana", "es", {"ventana": 2, "servidor": 1}),
        ("la fenêtre et le serveur de la fenêtre", "fr", {"fenêtre": 2, "serveur": 1}),
        ("窓 +窓際 際", None, {"窓際": 1}),
        ("x 2024 7z window", None, {"window": 1}),
        ("", None, {}),
    ],
)
def test_the_stop_words_of_the_language_are_no_keywords(
    text: str, language: str | None, words: dict[str, int]
) -> None:
    found = counted(text)
    assert found.language == language
    assert found.top(8) == words


def test_of_words_that_come_as_often_the_first_come_first() -> None:
    assert list(counted("beta alpha gamma alpha gamma delta").top(3)) == ["alpha", "gamma", "beta"]


def test_a_rare_word_may_be_forgotten_and_none_is_counted_too_high(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keywords, "MAX_WORDS", 100)
    chance = seeded("keywords")
    words = [f"word{int(chance.paretovariate(0.6)) % 5000}" for _ in range(20_000)]
    exact, found = Counter(words), counted(" ".join(words))
    assert len(found._words) <= 100
    assert all(number <= exact[word] for word, number in found.top(40).items())
    assert found.top(5) == dict(exact.most_common(5))


@pytest.mark.parametrize("spread", [0.3, 0.6, 1.2])
def test_up_to_the_bound_the_keywords_are_those_of_the_whole_text(spread: float) -> None:
    chance = seeded("spread", spread)
    words = [f"word{int(chance.paretovariate(spread)) % 9000}" for _ in range(20_000)]
    words += sorted(STOP_WORDS["en"]) * 9
    found = Keywords()
    for at, word in enumerate(words):
        found.add(word)
        if at % 4000 == 0:
            exact = Counter(words[: at + 1])
            assert found.top(8) == dict(exact.most_common(8))
    exact = Counter(it for it in words if it not in STOP_WORDS["en"])
    assert list(found.top(8).items()) == exact.most_common(8)


def test_there_are_more_leaders_than_stop_words_of_a_language() -> None:
    assert max(map(len, STOP_WORDS.values())) + KEYWORDS <= keywords._LEADERS
