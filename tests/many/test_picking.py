"""The question which answer a conversation continues from."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.pipeline import failed
from chatstream.errors import Cancelled, UsageError
from chatstream.events import Content
from chatstream.flow import Arrival
from chatstream.many import picking
from chatstream.many.compare import Answer


@pytest.fixture
def answers() -> list[Answer]:
    made = [Answer(number, "a", failed(UsageError("no"))) for number in (1, 2, 3)]
    for answer in made[:2]:
        answer.note(Arrival([Content("text")]))
    return made


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[None]:
    """A terminal as standard input, on which this is typed once the question is there."""
    ours, theirs = pty.openpty()
    saved = os.dup(0)
    os.dup2(theirs, 0)

    class Prompted:
        shown = ""

        def write(self, words: str) -> int:
            if "[1-3" in words and not self.shown:
                os.write(ours, text.encode())
            self.shown += words
            return len(words)

        def flush(self) -> None:
            """Nothing is held."""

    monkeypatch.setattr(sys, "stderr", Prompted())
    try:
        yield
    finally:
        os.dup2(saved, 0)
        for descriptor in (ours, theirs, saved):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "picked"),
    [("2\n", 2), ("\n", 1), ("0\n2\n", 2), ("3\n1\n", 1), ("x\n 2 \n", 2), ("\x04", 1)],
)
def test_the_number_that_is_typed_is_picked(
    monkeypatch: pytest.MonkeyPatch, answers: list[Answer], text: str, picked: int
) -> None:
    with typed(monkeypatch, text):
        found = picking.asked(answers, answers[0], CancelToken())
    assert found is answers[picked - 1]


def test_a_stop_ends_the_question(monkeypatch: pytest.MonkeyPatch, answers: list[Answer]) -> None:
    token = CancelToken()
    token.cancel(Cancelled("stopped"))
    with typed(monkeypatch, ""), pytest.raises(Cancelled):
        picking.asked(answers, answers[0], token)


def test_only_an_answer_with_text_can_be_picked(answers: list[Answer]) -> None:
    assert picking.answer_of(2, answers) is answers[1]
    with pytest.raises(UsageError, match="answer 3 a has no text"):
        picking.answer_of(3, answers)
    for number in (0, 4):
        with pytest.raises(UsageError, match=f"there is no answer {number} to pick"):
            picking.answer_of(number, answers)


def test_what_has_no_journal_cannot_be_kept(answers: list[Answer]) -> None:
    assert "without a journal" in str(picking.keep(answers[0], []))
