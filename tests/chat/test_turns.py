"""The turns of a conversation are told by its questions, whatever stands between them."""

from __future__ import annotations

from chatstream.chat.turns import Turn, turns_of
from chatstream.messages import Message


def test_each_question_begins_a_turn_and_the_run_has_made_the_last_answer() -> None:
    said = [
        *(Message("system", "Be brief."), Message("user", "1?"), Message("assistant", "one")),
        *(Message("user", "2?"), Message("assistant", "a call"), Message("tool", "its result")),
        Message("assistant", "two"),
    ]
    first, second = turns_of("the run", said)
    assert (first.run, second.run) == (None, "the run")
    assert [first.question.content, first.answer.content] == ["1?", "one"]
    assert [second.question.content, second.answer.content] == ["2?", "two"]
    assert len(second.messages) == 4


def test_a_turn_without_a_question_has_an_empty_one() -> None:
    assert Turn("the run", (Message("assistant", "one"),)).question == Message("user")
