"""Messages as trees: what is the same is stored once, and every part comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatstream.messages import (
    Image,
    Message,
    Part,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from chatstream.store import tree
from chatstream.store.migrations import migrate
from chatstream.store.tree import Node

SIGNED = Reasoning("hm", ProviderData("anthropic", {"signature": "c2ln"}, "https://a"))
QUESTION = Message("user", "q")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A database with two conversations."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        db.execute("INSERT INTO conversations (started_at) VALUES (''), ('')")
        yield db


def added(db: sqlite3.Connection, *messages: Message, conversation: int = 1) -> Node:
    """The last of these messages, each behind the one before."""
    at: Node | None = None
    for message in messages:
        at = tree.add(db, conversation, at, message)
    assert at is not None
    return at


def count(db: sqlite3.Connection) -> int:
    """The messages that are stored."""
    (number,) = db.execute("SELECT count(*) FROM messages").fetchone()
    return int(number)


def texts() -> st.SearchStrategy[str]:
    return st.text(max_size=9)


PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, texts().filter(bool)),
    st.builds(Image, sha256=texts(), media_type=texts()),
    st.builds(Image, url=texts()),
    st.builds(Reasoning, texts(), st.none() | st.just(SIGNED.provider_data)),
    st.builds(ToolCall, texts(), texts(), texts(), st.none() | st.just(SIGNED.provider_data)),
    st.builds(ToolResult, texts(), texts(), texts(), st.booleans()),
)


@given(
    messages=st.lists(
        st.builds(
            Message,
            st.sampled_from(["system", "user", "assistant", "tool"]),
            st.lists(PARTS, max_size=4),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_stored_comes_back_with_every_part(
    db: sqlite3.Connection, messages: list[Message]
) -> None:
    db.execute("DELETE FROM messages")
    last = added(db, *messages)
    assert [message for _, message in tree.path(db, last.id)] == messages
    number = count(db)
    assert number == len(messages)
    assert added(db, *messages) == last
    assert count(db) == number


def test_a_message_is_stored_once_in_its_conversation_and_again_in_another(
    db: sqlite3.Connection,
) -> None:
    first = added(db, QUESTION)
    assert added(db, QUESTION) == first
    assert added(db, QUESTION, conversation=2).id != first.id
    assert added(db, Message("user", "other")).id != first.id
    assert added(db, Message("assistant", "q")).id != first.id
    assert added(db, QUESTION, QUESTION).id != first.id
    assert count(db) == 5


def test_what_a_caller_sends_back_without_its_reasoning_is_the_same_message(
    db: sqlite3.Connection,
) -> None:
    whole = Message("assistant", [SIGNED, "a"])
    last = added(db, QUESTION, whole)
    assert added(db, QUESTION, Message("assistant", "a")) == last
    assert added(db, QUESTION, whole) == last
    assert tree.path(db, last.id)[-1][1] == whole


def test_two_answers_with_the_same_words_keep_what_belongs_to_each(db: sqlite3.Connection) -> None:
    answers = [Message("assistant", [Reasoning(why), "yes"]) for why in ("one", "two", "three")]
    rows = [added(db, QUESTION, it).id for it in answers]
    assert len(set(rows)) == 3
    assert [tree.path(db, row)[-1][1] for row in rows] == answers
    assert [added(db, QUESTION, it).id for it in answers] == rows


def test_whole_messages_lead_to_the_conversation_that_has_them(db: sqlite3.Connection) -> None:
    added(db, QUESTION)
    row = added(db, QUESTION, Message("assistant", [SIGNED, "a"]), conversation=2)
    answer = Message("assistant", "a")
    assert tree.home(db, [QUESTION]) is None
    assert tree.home(db, [QUESTION, answer, Message("user", "more")]) == (2, row.id)
    assert tree.home(db, [QUESTION, answer, QUESTION, answer, QUESTION]) == (2, row.id)
    assert tree.home(db, [Message("system", "x"), QUESTION, answer]) is None
    assert tree.home(db, []) is None


def test_a_message_may_take_the_place_of_one_that_nothing_follows(db: sqlite3.Connection) -> None:
    question = added(db, QUESTION)
    cut = added(db, QUESTION, Message("assistant", "ha", complete=False)).id
    assert tree.is_followed(db, question.id)
    assert not tree.is_followed(db, cut)
    whole = Message("assistant", "half")
    assert tree.replace(db, 1, cut, question, whole) == cut
    assert tree.path(db, cut)[-1][1] == whole
    other = added(db, QUESTION, Message("assistant", "o", complete=False)).id
    assert tree.replace(db, 1, other, question, whole) == cut
    assert count(db) == 2


def test_what_is_missing_or_unreadable_is_damage(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="message 7 is missing"):
        tree.path(db, 7)
    with pytest.raises(sqlite3.DatabaseError, match="message 7 is missing"):
        tree.node(db, 7)
    last = added(db, QUESTION, Message("assistant", [SIGNED]))
    db.execute("UPDATE messages SET parts = '[{}]' WHERE id = ?", (last.id,))
    with pytest.raises(sqlite3.DatabaseError, match="not the parts"):
        tree.path(db, last.id)
