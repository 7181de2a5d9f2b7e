"""Claimed: the calls of any history become rounds that servers take, and always the same ones."""

from __future__ import annotations

import re

import pytest

from chatstream.messages import NO_OUTPUT, Image, Message, Part, Reasoning, ToolCall, ToolResult
from chatstream.providers.continuing import ANY_ID
from chatstream.providers.rounds import NO_RESULT, whole_rounds

NINE = "[a-zA-Z0-9]{9}"
SHORT = ".{1,40}"


def called(*calls: str, name: str = "f") -> Message:
    return Message("assistant", ["I look.", *(ToolCall(it, name, "{}") for it in calls)])


def results(*given: str) -> Message:
    return Message("tool", [ToolResult(it, "f", f"of {it}") for it in given])


def shown(messages: list[Message]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The roles, and of each message the ids of its calls, or those of its results with these."""
    return [
        (
            message.role,
            [(it.id, "") for it in message.tool_calls]
            + [(it.id, it.content) for it in message.parts if isinstance(it, ToolResult)],
        )
        for message in messages
    ]


def test_messages_without_calls_are_themselves() -> None:
    parts: list[str | Part] = [Reasoning("hm"), "a", Image(url="https://a.example/b.png")]
    messages = [Message("system", "s"), Message("user", "hi"), Message("assistant", parts, False)]
    assert whole_rounds(messages, NINE) == messages


def test_a_whole_round_is_itself() -> None:
    messages = [Message("user", "hi"), called("aaaaaaaa1", "aaaaaaaa2")]
    messages += [results("aaaaaaaa1", "aaaaaaaa2"), Message("assistant", "both")]
    assert whole_rounds(messages, NINE) == messages


def test_results_stand_in_the_order_of_the_calls_in_one_message() -> None:
    found = whole_rounds([called("a", "b", "c"), results("c"), results("a", "b")], ANY_ID)
    assert shown(found) == [
        ("assistant", [("a", ""), ("b", ""), ("c", "")]),
        ("tool", [("a", "of a"), ("b", "of b"), ("c", "of c")]),
    ]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    found = whole_rounds([called("a", "b"), results("b"), Message("user", "go on")], ANY_ID)
    assert shown(found)[1] == ("tool", [("a", NO_RESULT), ("b", "of b")])
    assert [it.is_error for it in found[1].parts if isinstance(it, ToolResult)] == [True, False]
    assert found[2] == Message("user", "go on")


def test_a_result_without_a_call_is_left_out() -> None:
    found = whole_rounds(
        [results("x"), Message("user", "hi"), called("a"), results("a", "y")], ANY_ID
    )
    assert shown(found) == [("user", []), ("assistant", [("a", "")]), ("tool", [("a", "of a")])]


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        (ANY_ID, ["call_1", "x" * 41, "functions.f:0"]),
        (SHORT, ["call_1", "functions.f:0"]),
        (NINE, ["abcDEF123"]),
        ("[a-zA-Z0-9_-]+", ["call_1", "x" * 41]),
    ],
)
def test_an_id_that_the_server_would_refuse_is_replaced_in_call_and_result(
    form: str, kept: list[str]
) -> None:
    given = ["call_1", "x" * 41, "functions.f:0", "abcDEF123", ""]
    [called_, answered] = shown(whole_rounds([called(*given), results(*given)], form))
    ids = [call_id for call_id, _ in called_[1]]
    assert [call_id for call_id, _ in answered[1]] == ids
    assert [it for _, it in answered[1]] == [f"of {it}" for it in given]
    assert all(re.fullmatch(form, it) for it in ids)
    assert len(set(ids)) == len(ids)
    assert set(kept) <= set(ids)
    changed = [it for it in ids if it not in given]
    assert all(re.fullmatch("[a-z0-9]{9}", it) for it in changed)


def test_an_id_that_came_before_is_replaced_and_stays_so_while_the_conversation_grows() -> None:
    history: list[Message] = []
    before: list[Message] = []
    for _ in range(4):
        history += [called("call_1"), results("call_1")]
        found = whole_rounds(history, SHORT)
        assert found[: len(before)] == before
        before = found
    ids = [call_id for role, given in shown(before) if role == "tool" for call_id, _ in given]
    assert ids[0] == "call_1"
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("name", "sent"),
    [("f-1_X", "f-1_X"), ("functions.f:0", "functions_f_0"), ("n" * 70, "n" * 64), ("", "unnamed")],
)
def test_a_name_that_the_server_would_refuse_is_replaced(name: str, sent: str) -> None:
    [message, answered] = whole_rounds([called("a", name=name), results("a")], SHORT)
    [result] = answered.parts
    assert isinstance(result, ToolResult)
    assert [message.tool_calls[0].name, result.name] == [sent, sent]


@pytest.mark.parametrize("content", ["", " \n"])
def test_a_result_without_text_says_so(content: str) -> None:
    empty = Message("tool", [ToolResult("a", "f", content, is_error=True)])
    [_, answered] = whole_rounds([called("a"), empty], ANY_ID)
    assert answered.parts == (ToolResult("a", "f", NO_OUTPUT, is_error=True),)
