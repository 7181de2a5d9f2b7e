"""Conversations through the library: each question follows the answer before it, and is kept."""

from __future__ import annotations

from typing import Any

import pytest

import chatstream
from chatstream.errors import Truncated, UsageError
from chatstream.events import Content, Metadata
from chatstream.flow import close
from chatstream.messages import Message
from chatstream.store.journal import SUFFIX
from chatstream.store.place import runs_folder
from chatstream.store.reading import read
from tests.support.answers import TEXT, frames, headers, whole
from tests.support.loopback import Reply, Script

ANSWER = ("assistant", TEXT)


def there(server: Script) -> dict[str, Any]:
    """The options of a client for this server."""
    return {"provider": "ollama", "base_url": server.url, "model": "m"}


def sent(server: Script) -> list[tuple[str, str]]:
    """The messages of the newest request."""
    return [(it["role"], it["content"]) for it in server.requests[-1].json["messages"]]


def test_each_question_is_sent_with_all_that_was_said_before_over_one_connection() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        conversation = client.conversation()
        for question in ("a", "b", "c"):
            assert conversation.ask(question).content == TEXT
        assert sent(server) == [("user", "a"), ANSWER, ("user", "b"), ANSWER, ("user", "c")]
        assert {request.connection for request in server.requests} == {0}
    assert [it.role for it in conversation.messages] == ["user", "assistant"] * 3


def test_a_run_keeps_its_parent_and_only_what_is_new() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        conversation = client.conversation()
        conversation.ask("a", system="s")
        first = conversation.head
        conversation.ask("b")
    assert first is not None
    assert conversation.head is not None
    record = read(runs_folder() / (conversation.head + SUFFIX))
    assert record.parent == first
    assert record.asked is not None
    assert record.asked.messages == (Message("user", "b"),)


def test_the_system_prompt_is_that_of_the_first_question() -> None:
    with (
        Script(whole("ollama")) as server,
        chatstream.Client(**there(server), system="s") as client,
    ):
        conversation = client.conversation()
        conversation.ask("a")
        conversation.ask("b")
        assert sent(server) == [("system", "s"), ("user", "a"), ANSWER, ("user", "b")]
        with pytest.raises(UsageError, match="has its own system prompt"):
            conversation.ask("c", system="other")


def test_without_a_journal_the_conversation_is_in_memory_alone() -> None:
    with (
        Script(whole("ollama")) as server,
        chatstream.Client(**there(server), journal=False, system="s") as client,
    ):
        conversation = client.conversation()
        conversation.ask("a")
        conversation.ask("b")
    assert sent(server) == [("system", "s"), ("user", "a"), ANSWER, ("user", "b")]
    assert conversation.head is None
    assert not runs_folder().exists()


def test_a_cut_answer_stays_and_one_without_text_does_not() -> None:
    cut = Reply(frames("ollama"), headers=headers("ollama"))
    refused = Reply(status=400)
    with (
        Script(cut, refused, whole("ollama")) as server,
        chatstream.Client(**there(server), on_drop="stop", retries=0) as client,
    ):
        conversation = client.conversation()
        with pytest.raises(Truncated):
            conversation.ask("a")
        with pytest.raises(chatstream.ChatstreamError):
            conversation.ask("b")
        conversation.ask("c")
    assert sent(server) == [("user", "a"), ANSWER, ("user", "c")]


def test_an_answer_that_its_reader_leaves_stays_as_far_as_it_was_read() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        conversation = client.conversation()
        events = conversation.stream("a")
        said = next(event.delta for event in events if isinstance(event, Content))
        close(events)
        conversation.ask("b")
    assert sent(server) == [("user", "a"), ("assistant", said), ("user", "b")]


def test_a_conversation_is_continued_by_another_client() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        client.conversation(name="sky").ask("a")
        with chatstream.Client() as client:  # the server is that of the answer
            client.conversation(last=True).ask("b")
            assert sent(server) == [("user", "a"), ANSWER, ("user", "b")]
            client.conversation(name="sky").ask("c")
            assert sent(server)[-3:] == [("user", "b"), ANSWER, ("user", "c")]


def test_the_parent_is_in_the_event_that_opens_the_run() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        conversation = client.conversation()
        conversation.ask("a")
        opening = next(conversation.stream("b"))
    assert isinstance(opening, Metadata)
    assert opening.parent == conversation.head or opening.parent is not None
