"""What follows the name of a command."""

from __future__ import annotations

import pytest

from chatstream.chat.arguments import number_in, words_in
from chatstream.errors import UsageError


def test_words_are_those_of_a_shell() -> None:
    assert words_in("") == []
    assert words_in("one 'two three'") == ["one", "two three"]
    with pytest.raises(UsageError, match="not closed"):
        words_in("it's")


def test_a_number_is_from_1_on() -> None:
    assert number_in("") is None
    assert number_in("12") == 12
    for wrong in ("0", "-1", "x", "²", "1 2"):
        with pytest.raises(UsageError, match="is not a positive number"):
            number_in(wrong)
