"""Claimed: words for past runs say how each one ended, and never call a cut answer whole."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.messages import Image, Message, Reasoning, ToolResult
from chatstream.store.branches import Tree, Turn
from chatstream.store.entries import Conversation, Run
from chatstream.terminal.runs import (
    closing,
    first_line,
    graph,
    local_time,
    markdown,
    outcome,
    short_ids,
    unfinished,
    who,
    why,
    words_of,
)
from tests.support.runs import run_id


def a_run(name: str = run_id(1), **changes: Any) -> Run:
    """A complete run, with these fields changed."""
    known: dict[str, Any] = {
        **dict.fromkeys(Run.__struct_fields__),
        "id": name,
        "conversation": 1,
        "provider": "demo",
        "model": "m",
        "started_at": "2026-01-01T00:00:01.000Z",
        "outcome": "complete",
        "finish_reason": "stop",
        "output_tokens": 3,
        "ttft": 0.25,
        "duration": 2.5,
        "question": "why?",
    }
    return Run(**{**known, **changes})


def test_an_id_is_as_short_as_its_neighbours_let_it_be() -> None:
    ids = [f"20260101-00000{it}-abcd" for it in ("2-120000", "2-100000", "2-000000", "1-000000")]
    expected = ["20260101-000002-12", "20260101-000002-10", "20260101-000002-0", "20260101-000001"]
    assert short_ids([a_run(it) for it in ids]) == expected
    assert short_ids([a_run("short"), a_run("short")]) == ["short", "short"]
    assert short_ids([]) == []


@pytest.mark.parametrize("text", ["", "yesterday", "9999-99-99T00:00:00Z"])
def test_a_time_that_nobody_can_read_is_shown_as_it_is(text: str) -> None:
    assert local_time(text) == text


def test_who_answered_is_as_much_as_is_known() -> None:
    known = [a_run(), a_run(model=None), a_run(provider=None), a_run(provider=None, model=None)]
    assert [who(it) for it in known] == ["demo/m", "demo", "m", "-"]


def test_a_turn_that_the_model_paused_is_not_complete() -> None:
    assert (outcome(a_run()), outcome(a_run(finish_reason="paused"))) == ("complete", "paused")
    assert why(a_run(outcome="truncated", error="it broke")) == "truncated: it broke"


def test_an_answer_that_is_not_whole_says_so_and_how_to_continue_it() -> None:
    cut = Message("assistant", "half", complete=False)
    told = unfinished(cut, a_run(outcome="interrupted", finish_reason=None))
    assert told == (
        f"this answer is cut off (interrupted); `chatstream resume {run_id(1)}` continues it"
    )
    damaged = unfinished(cut, a_run(outcome="damaged", finish_reason=None))
    assert damaged == "this answer is cut off (damaged)", "nothing can continue it"
    whole = Message("assistant", "whole")
    assert unfinished(whole, a_run()) is None
    assert unfinished(whole, a_run(finish_reason="length")) == (
        "the answer stopped at the token limit"
    )


def test_the_last_line_has_the_figures_that_are_known() -> None:
    assert closing(a_run()) == (
        f"complete · demo/m · first token 0.25 s · 3 tokens · 2.5 s · {run_id(1)}"
    )
    unknown = a_run(ttft=None, output_tokens=None)
    assert closing(unknown) == f"complete · demo/m · 2.5 s · {run_id(1)}"
    labelled = a_run(ttft=None, output_tokens=None, project="a\nb", agent="me")
    expected = f"complete · demo/m · 2.5 s · project a b · agent me · {run_id(1)}"
    assert closing(labelled) == expected


def test_a_question_is_known_by_its_first_line_that_is_not_blank() -> None:
    assert [first_line(it) for it in ("\n \nwhy?\nso", "", "\n")] == ["why?", "", ""]


def test_markdown_has_every_message_and_ends_with_how_it_ended() -> None:
    messages = [Message("user", "why?"), Message("assistant", "because\n")]
    conversation = Conversation(started_at="then", messages=messages, runs=[a_run()])
    assert markdown(conversation) == (
        "# then, demo/m\n\n## user\n\nwhy?\n\n## assistant\n\nbecause\n\n"
        f"*complete · demo/m · first token 0.25 s · 3 tokens · 2.5 s · {run_id(1)}*\n\n"
    )


def test_a_message_says_its_text_and_what_its_images_and_results_are() -> None:
    images = [
        Image(url="https://a.example/b.png"),
        Image(url="data:image/png;base64,iVBORw0KGgo="),
        Image(sha256="0" * 64, media_type="image/png"),
    ]
    said = "look: [image https://a.example/b.png][image][image/png]"
    results = [ToolResult("1", "add", "3"), ToolResult("2", "read", "a\nb\n", is_error=True)]
    assert words_of(Message("user", ["look: ", *images])) == said
    assert words_of(Message("tool", results)) == "add: 3\nread: a\nb\n"
    assert words_of(Message("assistant", [Reasoning("hm"), "a", "b"])) == "ab"


def test_a_tree_is_drawn_with_its_branches_and_its_head() -> None:
    turns = [("a", None, 0), ("b", "a", 1), ("c", "b", 2), ("d", "b", 1), ("e", "a", 0)]
    tree = Tree(
        name=None,
        head="e",
        turns=[
            Turn(runs=[a_run("attempt"), a_run(name)], follows=follows, branch=branch, answer="")
            for name, follows, branch in turns
        ],
    )
    assert graph(tree) == ["○ ", "├─○ ", "│ ├─○ ", "│ ○ ", "● "]
