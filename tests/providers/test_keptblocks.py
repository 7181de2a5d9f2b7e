"""Claimed: blocks that mean nothing here are kept whole, and cited text with its citations."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.providers.keptblocks import KeptBlocks

USE: dict[str, Any] = {"type": "server_tool_use", "id": "s", "name": "search", "input": {}}


@pytest.mark.parametrize("pieces", [['{"q": 1}'], ['{"q"', ": ", "1}"]])
def test_the_pieces_of_an_input_are_joined(pieces: list[str]) -> None:
    kept = KeptBlocks()
    kept.start(3, USE)
    for piece in pieces:
        kept.write(3, piece)
    assert kept.end(3) == {**USE, "input": {"q": 1}}
    assert USE["input"] == {}  # what was given is not changed
    assert (kept.open, kept.end(3)) == ({}, None)


@pytest.mark.parametrize("kind", ["", "text", "thinking", "redacted_thinking", "tool_use"])
def test_a_block_that_others_see_to_is_not_kept(kind: str) -> None:
    kept = KeptBlocks()
    kept.start(0, {"type": kind, "text": "", "data": "x"})
    kept.write(0, "a")
    kept.cite(0, {"url": "b"})
    assert (kept.open, kept.end(0)) == ({}, None)


def test_a_text_is_kept_where_it_has_citations() -> None:
    kept = KeptBlocks()
    for index in (0, 1):
        kept.start(index, {"type": "text", "text": "a", "citations": []})
        kept.write(index, "b")
    kept.cite(1, {"url": "u"})
    kept.cite(1, {"url": "v"})
    assert kept.end(0) is None
    both = [{"url": "u"}, {"url": "v"}]
    assert kept.end(1) == {"type": "text", "text": "ab", "citations": both}


def test_fields_that_come_later_are_filled_in() -> None:
    kept = KeptBlocks()
    kept.start(0, {"type": "compaction", "content": None, "encrypted_content": None})
    kept.fill(0, content="summary", encrypted_content=None)
    kept.fill(1, content="of no block")
    assert kept.end(0) == {"type": "compaction", "content": "summary", "encrypted_content": None}


@pytest.mark.parametrize("pieces", ['{"q": ', "[" * 10_000])
def test_a_block_that_does_not_fit_together_is_left_out(pieces: str) -> None:
    kept = KeptBlocks()
    kept.start(0, USE)
    kept.write(0, pieces)
    assert kept.end(0) is None
