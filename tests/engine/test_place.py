"""The place of a question: behind which answer, with which messages, settings and name."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.engine.place import (
    BRANCHED,
    START,
    follow_of,
    place_of,
    question_at,
    resolved_at,
    role_at,
)
from chatstream.engine.resolve import resolve
from chatstream.engine.roles import Role
from chatstream.errors import UsageError
from chatstream.messages import Message
from chatstream.store.conversation import Conversations
from chatstream.store.history import History
from chatstream.store.place import runs_folder, state_folder
from tests.support.runs import run_id, write_run

HI = [Message("user", "hi")]


def turn(number: int, text: str = "yes", parent: int | None = None) -> str:
    """A run that is over; its question is `question NUMBER`."""
    before = None if parent is None else run_id(parent)
    write_run(state_folder(), run_id(number), text, parent=before)
    return run_id(number)


def test_a_question_that_continues_nothing_is_at_the_start() -> None:
    assert place_of() == START
    resolved = resolve({"system": "s"})
    assert question_at(START, resolved, HI).messages == (Message("system", "s"), *HI)


def test_the_last_conversation_is_continued_after_its_last_answer() -> None:
    turn(1)
    head = turn(2, "no", parent=1)
    place = place_of(last=True)
    assert place.parent == head
    assert [it.content for it in place.messages][1::2] == ["yes", "no"]
    question = question_at(place, resolve({"system": "s"}), HI)
    assert (question.messages, question.parent) == (tuple(HI), head)
    assert question.earlier == place.messages


def test_at_names_any_run_and_edit_the_place_of_its_question() -> None:
    first, second = turn(1), turn(2, "no", parent=1)
    assert place_of(at=second[:-2]).parent == second
    assert place_of(edit=second).parent == first
    assert place_of(edit=first).parent is None


def test_the_first_question_is_edited_also_where_its_journal_has_expired() -> None:
    asked = [Message("system", "s"), *HI]
    path = write_run(state_folder(), run_id(1), "yes", asked=asked)
    with History(state_folder()) as history:
        history.sync()
    path.unlink()
    place = place_of(edit=run_id(1))
    assert (place.parent, place.messages) == (None, (Message("system", "s"),))


def test_the_name_of_a_conversation_is_a_place_and_a_wish() -> None:
    head = turn(1)
    new = place_of(name="sky")
    assert (new.parent, new.name) == (None, "sky")
    place = place_of(last=True, name="sky")
    assert (place.parent, place.name) == (head, "sky")
    turn(2, parent=1)
    follow_of(place, resolve({}))(run_id(2))
    assert place_of(name="sky").parent == run_id(2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"last": True, "at": "x"}, "--continue and --at exclude each other"),
        ({"at": "x", "edit": "y"}, "--at and --edit exclude each other"),
        ({"last": True}, "there is no conversation to continue"),
        ({"at": "x"}, "there is no run 'x'"),
        ({"edit": "x"}, "there is no run 'x'"),
    ],
)
def test_a_place_that_there_is_not_is_a_usage_error(given: dict[str, Any], said: str) -> None:
    runs_folder().mkdir(parents=True)
    with pytest.raises(UsageError, match=said):
        place_of(**given)


def test_the_system_prompt_of_a_conversation_cannot_be_replaced() -> None:
    turn(1)
    with pytest.raises(UsageError, match="has its own system prompt"):
        resolved_at(place_of(last=True), {"system": "s"})


def test_only_who_did_not_choose_a_branch_learns_of_it() -> None:
    turn(1)
    here = resolve({})
    place, chosen = place_of(last=True), place_of(at=run_id(1))
    turn(2, parent=1)
    assert follow_of(place, here)(run_id(2)) == ()
    turn(3, parent=1)
    assert follow_of(place, here)(run_id(3)) == (BRANCHED,)
    turn(4, parent=1)
    assert follow_of(chosen, here)(run_id(4)) == ()
    assert Conversations(state_folder()).newest() == run_id(4)


def test_a_run_without_a_journal_moves_no_head() -> None:
    turn(1)
    follow_of(place_of(last=True, name="sky"), resolve({"journal": False}))(run_id(9))
    assert Conversations(state_folder()).newest() == run_id(1)
    assert place_of(name="sky").parent is None


def test_a_role_gives_its_system_prompt_only_where_a_conversation_begins() -> None:
    role = Role("r", {"system": "s", "retries": 1})
    assert role_at(START, role) is role
    assert role_at(place_of(name="new"), role) is role
    asked = [Message("system", "s"), *HI]
    write_run(state_folder(), run_id(1), "yes", asked=asked)
    place = place_of(last=True)
    assert role_at(place, role) == Role("r", {"retries": 1})
    with pytest.raises(UsageError, match="has its own system prompt"):
        role_at(place, Role("r", {"system": "other"}))
