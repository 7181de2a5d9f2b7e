"""Whose a draft is, and what goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.chat.drafting import added, belongs, named
from chatstream.chat.loop import chat
from chatstream.store.conversation import Conversations
from chatstream.store.place import state_folder
from tests.support.chats import Typed, says, session_at
from tests.support.loopback import Script

GONE = "20260101-000000-000000-abcd"


def test_a_draft_belongs_to_the_conversation_of_its_run_or_to_a_new_one() -> None:
    with Script(says("one"), says("two"), says("other")) as server:
        first, other = session_at(server), session_at(server)
        chat(first, Typed("1?", "2?"))
        chat(other, Typed("3?"))
    known = Conversations(state_folder())
    begun, head = (it.run for it in first.turns)
    told = {
        after: [it for it in (None, head, other.head) if belongs(known, it, after)]
        for after in (None, begun, head, other.head, GONE)
    }
    assert told == {
        None: [None],
        begun: [head],
        head: [head],
        other.head: [other.head],
        GONE: [None],
    }


def test_a_file_has_its_whole_name_and_one_that_is_gone_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").touch()
    names = named(["a", "b", "https://example.com/c"])
    assert names == (f"{tmp_path}/a", f"{tmp_path}/b", "https://example.com/c")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named(["~/a"]) == (f"{tmp_path}/a",)
    assert added(["x"], [*names, "x"]) == ["x", f"{tmp_path}/a", "https://example.com/c"]
