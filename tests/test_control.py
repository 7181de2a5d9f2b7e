"""Claimed: an answer is for the question that is open, and closes it."""

from __future__ import annotations

from chatstream.control import Control
from chatstream.events import Approval

QUESTION = Approval("1", "write", "ask", "default")


def test_a_question_is_open_until_its_answer_is_taken() -> None:
    control = Control()
    control.ask(QUESTION)
    assert control.take_answer() is None
    assert control.question == QUESTION
    control.answer("once")
    assert control.take_answer() == "once"
    assert [control.question, control.take_answer()] == [None, None]


def test_an_answer_without_a_question_is_none() -> None:
    control = Control()
    control.answer("once")
    assert control.take_answer() is None


def test_an_answer_is_not_for_the_next_question() -> None:
    control = Control()
    control.ask(QUESTION)
    control.answer("once")
    control.ask(QUESTION)
    assert control.take_answer() is None


def test_each_stop_of_the_tools_counts() -> None:
    control = Control()
    control.stop_tools()
    control.stop_tools()
    assert control.stops == 2
