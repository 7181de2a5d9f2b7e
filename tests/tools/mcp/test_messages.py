"""Claimed: whatever a server sends is a message or a `ProtocolError`, and nothing is lost of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.errors import ProtocolError
from chatstream.tools.mcp.messages import (
    METHOD_NOT_FOUND,
    MODERN,
    Failure,
    Message,
    Notification,
    Request,
    Response,
    answer,
    decode,
    encode,
    in_header,
    mirrored,
    params_of,
)


@pytest.mark.parametrize(
    "message",
    [
        Request(1, "tools/list", {"cursor": "x"}),
        Request("theirs", "ping", {}),
        Notification("notifications/progress", {"progress": 1}),
        Response(1, {"content": []}),
        Response(1, failure=Failure(-32601, "no")),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_message_is_one_line_and_comes_back_as_it_was(message: Message) -> None:
    data = encode(message)
    assert b"\n" not in data
    assert json.loads(data)["jsonrpc"] == "2.0"
    assert decode(data) == [message]


def test_a_list_of_messages_is_read_one_by_one() -> None:
    assert decode('[{"method": "a"}, {"id": 1, "result": {}}]') == [
        Notification("a"),
        Response(1),
    ]


@pytest.mark.parametrize(
    "data", [b"", b"Welcome!", b"[1, 2]", b"{}", b'"text"', b"{\xff}", b"[[[["]
)
def test_what_is_not_a_message_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with suppress(ProtocolError):
        decode(data)


@pytest.mark.parametrize("odd", [None, [1], "x", 3])
def test_parameters_and_results_of_another_shape_count_as_none(odd: Any) -> None:
    data = json.dumps([{"id": 1, "method": "m", "params": odd}, {"id": 1, "result": odd}])
    assert decode(data) == [Request(1, "m"), Response(1)]


def test_a_failure_counts_more_than_a_result() -> None:
    (response,) = decode('{"id": null, "result": null, "error": {"code": 1}}')
    assert response == Response(None, failure=Failure(1))


def test_only_the_newer_era_says_in_each_request_who_asks() -> None:
    old = params_of(5, "2025-11-25", {}, {"name": "x"})
    assert old == {"name": "x", "_meta": {"progressToken": 5}}
    meta = params_of(5, MODERN, {"roots": {}}, {})["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == MODERN
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"roots": {}}
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "chatstream"


def test_a_server_learns_the_folders_and_reaches_neither_the_user_nor_the_model() -> None:
    roots = [{"uri": "file:///here"}]
    assert answer(Request(1, "ping"), roots) == Response(1)
    assert answer(Request(1, "roots/list"), roots) == Response(1, {"roots": roots})
    assert answer(Request(1, "elicitation/create"), roots) == Response(1, {"action": "decline"})
    for method in ("sampling/createMessage", "what/ever"):
        failure = answer(Request(1, method), roots).failure
        assert failure is not None
        assert failure.code == METHOD_NOT_FOUND


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("echo", "echo"),
        ("zwölf", "=?base64?enfDtmxm?="),
        (" x", "=?base64?IHg=?="),
        ("a\r\nb", "=?base64?YQ0KYg==?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
    ],
)
def test_a_header_carries_any_name(value: str, header: str) -> None:
    assert in_header(value) == header


def test_arguments_are_repeated_in_headers_where_a_schema_wants_it() -> None:
    schema = {
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            "deep": {"properties": {"er": {"x-mcp-header": "Er"}}},
            "plain": {"type": "string"},
            "bad": {"x-mcp-header": "no\r\nheader"},
        }
    }
    arguments = {"region": "zürich", "count": 3, "dry": True, "deep": {"er": "x"}}
    assert mirrored(schema, {**arguments, "plain": "p", "bad": "b"}) == {
        "Mcp-Param-Region": in_header("zürich"),
        "Mcp-Param-Count": "3",
        "Mcp-Param-Dry": "true",
        "Mcp-Param-Er": "x",
    }


@pytest.mark.parametrize("schema", [{}, {"properties": 3}, {"properties": {"a": None}}], ids=str)
def test_a_schema_of_another_shape_wants_no_headers(schema: dict[str, Any]) -> None:
    assert mirrored(schema, {"a": "x"}) == {}
