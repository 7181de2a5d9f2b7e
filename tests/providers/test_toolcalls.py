"""Claimed: tool calls come out whole, whatever way a server names their fragments."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.events import ToolCall, ToolCallDelta, encode
from chatstream.messages import ToolCall as Called
from chatstream.providers.toolcalls import ToolCalls, arguments_of, arguments_text

Fragment = tuple[int | None, str, str, object]  # index, id, name, arguments


def calls_of(fragments: list[Fragment], *, cut: bool = False) -> list[tuple[str, str, str]]:
    calls = ToolCalls()
    for index, call_id, name, arguments in fragments:
        calls.add(index, call_id, name, arguments, 0.0)
    return [(call.id, call.name, call.arguments) for call in calls.whole(cut=cut)]


HARD: list[Any] = [
    pytest.param(
        [(0, "a", "f", ""), (0, "", "", '{"x"'), (0, "", "", ":1}")],
        [("a", "f", '{"x":1}')],
        id="fragments",
    ),
    pytest.param(
        [(0, "a", "f", "1"), (1, "b", "g", "2"), (0, "", "", "3"), (1, "", "", "4")],
        [("a", "f", "13"), ("b", "g", "24")],
        id="interleaved",
    ),
    pytest.param(
        [(1, "a", "f", "1"), (1, "", "", "2"), (5, "b", "g", "3")],
        [("a", "f", "12"), ("b", "g", "3")],
        id="index-from-1-with-gaps",
    ),
    pytest.param(
        [(0, "a", "f", "{}"), (0, "b", "f", "{}")],
        [("a", "f", "{}"), ("b", "f", "{}")],
        id="same-index-new-id",
    ),
    pytest.param(
        [(0, "", "f", "{}"), (0, "", "g", "{}")],
        [("call00001", "f", "{}"), ("call00002", "g", "{}")],
        id="same-index-new-name",
    ),
    pytest.param(
        [(0, "a", "f", "1"), (0, "b", "g", "2"), (0, "", "", "3")],
        [("a", "f", "1"), ("b", "g", "23")],
        id="same-index-continues-the-newest",
    ),
    pytest.param(
        [(0, "a", "f", "1"), (0, "a", "f", "2"), (0, "a", "f", "3")],
        [("a", "f", "123")],
        id="id-and-name-repeated",
    ),
    pytest.param(
        [(0, "a", "", ""), (0, "", "f", ""), (0, "", "", "1")],
        [("a", "f", "1")],
        id="name-after-id",
    ),
    pytest.param(
        [(0, "", "f", "1"), (0, "a", "", "2")],
        [("a", "f", "12")],
        id="id-after-name",
    ),
    pytest.param(
        [(None, "a", "f", "1"), (None, "b", "f", "2")],
        [("a", "f", "1"), ("b", "f", "2")],
        id="no-index-but-ids",
    ),
    pytest.param(
        [(None, "a", "f", "1"), (None, "b", "g", "2"), (None, "a", "", "3")],
        [("a", "f", "13"), ("b", "g", "2")],
        id="no-index-interleaved-by-id",
    ),
    pytest.param(
        [(None, "", "f", "1"), (None, "", "", "2"), (None, "", "g", "3")],
        [("call00001", "f", "12"), ("call00002", "g", "3")],
        id="neither-index-nor-id",
    ),
    pytest.param([(None, "", "", "1")], [("call00001", "", "1")], id="nothing-but-arguments"),
    pytest.param([(0, "a", "f", None)], [("a", "f", "{}")], id="arguments-absent"),
    pytest.param([(0, "a", "f", "")], [("a", "f", "{}")], id="arguments-empty"),
    pytest.param([(0, "a", "f", {})], [("a", "f", "{}")], id="arguments-an-empty-object"),
    pytest.param([(0, "a", "f", {"x": "é"})], [("a", "f", '{"x":"é"}')], id="arguments-an-object"),
    pytest.param([(0, "a", "f", [1])], [("a", "f", "[1]")], id="arguments-a-list"),
    pytest.param(
        [(0, "a", "f", '"\ud83d'), (0, "", "", '\ude00"')],
        [("a", "f", '"😀"')],
        id="half-characters",
    ),
]


@pytest.mark.parametrize(("fragments", "calls"), HARD)
def test_fragments_make_these_calls(
    fragments: list[Fragment], calls: list[tuple[str, str, str]]
) -> None:
    assert calls_of(fragments) == calls


def test_arguments_are_appended_and_never_parsed() -> None:
    assert calls_of([(0, "a", "f", '{"x":'), (0, "", "", "oops")]) == [("a", "f", '{"x":oops')]


def test_a_call_that_the_token_limit_cut_before_its_arguments_has_none() -> None:
    assert calls_of([(0, "a", "f", "")], cut=True) == [("a", "f", "")]
    assert calls_of([(0, "a", "f", '{"x"')], cut=True) == [("a", "f", '{"x"')]


def test_each_fragment_is_told_with_the_call_it_belongs_to() -> None:
    calls = ToolCalls()
    assert calls.add(0, "a", "f", None, 1.0) == ToolCallDelta("a", "f", "", t=1.0)
    assert calls.add(0, "", "", "{", 2.0) == ToolCallDelta("a", "f", "{", t=2.0)
    assert calls.add(0, "b", "g", {"x": 1}, 3.0) == ToolCallDelta("b", "g", '{"x":1}', t=3.0)
    assert calls.add(None, "", "h", "", 4.0) == ToolCallDelta("call00003", "h", "", t=4.0)


def test_what_a_call_announced_holds_unless_fragments_come() -> None:
    calls = ToolCalls()
    calls.start(1, "a", "f", {"x": 1})
    calls.start(3, "b", "g", {"x": 1})
    calls.start(4, "c", "h", {})
    calls.add(3, "", "", '{"x":2}', 0.0)
    assert calls.whole(cut=False) == [
        ToolCall("a", "f", '{"x":1}'),
        ToolCall("b", "g", '{"x":2}'),
        ToolCall("c", "h", "{}"),
    ]


def test_there_are_calls_once_one_began() -> None:
    calls = ToolCalls()
    assert not calls
    calls.start(0, "a", "f", {})
    assert calls


def test_half_characters_in_an_id_or_a_name_can_be_encoded() -> None:
    calls = ToolCalls()
    delta = calls.add(0, "a\ud83d", "f\ude00", "", 0.0)
    assert delta is not None
    assert encode(delta)
    assert all(map(encode, calls.whole(cut=False)))


def test_half_characters_in_an_object_of_arguments_are_replaced() -> None:
    calls = ToolCalls()
    calls.start(0, "a", "f", {"x": "\ud83d"})
    calls.add(1, "b", "g", {"x": "\ud83d"}, 0.0)
    assert [call.arguments for call in calls.whole(cut=False)] == ['{"x":"�"}'] * 2


# ---- in a history


@pytest.mark.parametrize(
    ("written", "arguments", "text"),
    [
        ('{"a": 1}', {"a": 1}, '{"a": 1}'),
        ('{ "é": "\\u00e9" }\n', {"é": "é"}, '{ "é": "\\u00e9" }\n'),
        ("", {}, "{}"),
        (" \n", {}, "{}"),
        ('{"a":', {"INVALID_JSON": '{"a":'}, '{"INVALID_JSON":"{\\"a\\":"}'),
        ("[1]", {"INVALID_JSON": "[1]"}, '{"INVALID_JSON":"[1]"}'),
        ("null", {"INVALID_JSON": "null"}, '{"INVALID_JSON":"null"}'),
    ],
)
def test_arguments_go_back_as_the_model_wrote_them_if_servers_take_them(
    written: str, arguments: dict[str, Any], text: str
) -> None:
    call = Called("1", "f", written)
    assert arguments_of(call) == arguments
    assert arguments_text(call) == text


def test_what_a_server_gave_with_a_fragment_is_the_calls() -> None:
    calls = ToolCalls()
    calls.add(0, "a", "f", "{", 0.0, {"x": 1})
    calls.add(0, "", "", "}", 0.0)
    calls.add(1, "b", "f", "{}", 0.0)
    assert [it.provider_data for it in calls.whole(cut=False)] == [{"x": 1}, None]
