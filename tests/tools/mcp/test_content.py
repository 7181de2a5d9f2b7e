"""Claimed: a model gets the text, and of everything else a note that says what it is."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chatstream.tools.mcp.content import text_of

DATA = base64.b64encode(b"four").decode()


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"type": "text", "text": "as it is\n"}, "as it is\n"),
        ({"type": "image", "mimeType": "image/png", "data": DATA}, "[image: image/png, 4 bytes]"),
        ({"type": "audio", "data": DATA}, "[audio: of no known type, 4 bytes]"),
        ({"type": "resource_link", "name": "n", "uri": "file:///f"}, "[resource: n file:///f]"),
        ({"type": "resource", "resource": {"uri": "u", "text": "inside"}}, "inside"),
        (
            {"type": "resource", "resource": {"uri": "u", "mimeType": "a/b", "blob": DATA}},
            "[resource: u, a/b, 4 bytes]",
        ),
        ({"type": "hologram"}, "[hologram: chatstream does not know what that is]"),
    ],
    ids=lambda it: it["type"] if isinstance(it, dict) else "",
)
def test_each_part_is_text(part: dict[str, Any], text: str) -> None:
    assert text_of({"content": [part]}) == text


def test_parts_stand_below_each_other() -> None:
    assert text_of({"content": [{"type": "text", "text": it} for it in "ab"]}) == "a\nb"


def test_structured_content_counts_where_there_is_nothing_else() -> None:
    structured = {"structuredContent": {"sum": 3}}
    assert text_of({"content": [], **structured}) == '{"sum":3}'
    assert text_of({"content": [{"type": "text", "text": "3"}], **structured}) == "3"


@pytest.mark.parametrize("content", [None, "text", {}, [None, 1, "x"], [{"type": "resource"}]])
def test_what_is_not_content_gives_no_text(content: Any) -> None:
    assert text_of({"content": content}) == ""
