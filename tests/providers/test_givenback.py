"""Claimed: what servers of the OpenAI dialect want back is gathered whole, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.events import ReasoningData
from chatstream.providers.givenback import GivenBack

TEXT = {"type": "reasoning.text", "text": "a", "format": None, "index": 0}
SIGNED = {"type": "reasoning.text", "signature": "s", "format": "f", "index": 0}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "d", "index": 1}


def gathered(*chunks: dict[str, Any], with_calls: bool = False) -> dict[str, Any] | None:
    given = GivenBack()
    for fields in chunks:
        given.reasoning_content.append(fields.get("reasoning_content"))
        given.take(fields.get("reasoning_details"), fields.get("extra_content"))
    data = [
        it.provider_data
        for it in given.events(with_calls=with_calls)
        if isinstance(it, ReasoningData)
    ]
    return data[0] if data else None


@pytest.mark.parametrize("pieces", [["hm"], ["h", "m"], ["", "hm", ""]])
def test_reasoning_content_goes_back_only_with_calls(pieces: list[str]) -> None:
    chunks = [{"reasoning_content": it} for it in pieces]
    assert gathered(*chunks, with_calls=True) == {"reasoning_content": "hm"}
    assert gathered(*chunks) is None


def test_reasoning_content_that_was_empty_goes_back_empty() -> None:
    assert gathered({"reasoning_content": ""}, with_calls=True) == {"reasoning_content": ""}
    assert gathered({"reasoning_content": None}, with_calls=True) is None


@pytest.mark.parametrize(
    ("pieces", "details"),
    [
        (
            [TEXT, {**TEXT, "text": "b"}, SIGNED],
            [{**TEXT, "text": "ab", "signature": "s", "format": "f"}],
        ),
        ([TEXT, {**TEXT, "index": 1}], [TEXT, {**TEXT, "index": 1}]),
        ([ENCRYPTED, ENCRYPTED], [ENCRYPTED, ENCRYPTED]),
        ([TEXT, ENCRYPTED, TEXT], [TEXT, ENCRYPTED, TEXT]),
        ([5, {}, TEXT], [TEXT]),
    ],
)
def test_pieces_of_one_detail_are_joined(pieces: list[Any], details: list[Any]) -> None:
    together = gathered({"reasoning_details": pieces}, with_calls=True)
    apart = gathered(*({"reasoning_details": [it]} for it in pieces), with_calls=True)
    assert together == apart == {"reasoning_details": details}


@pytest.mark.parametrize(
    ("detail", "goes_back"), [(TEXT, False), (SIGNED, True), (ENCRYPTED, True)]
)
def test_details_go_back_without_calls_where_they_hold_more_than_text(
    detail: dict[str, Any], goes_back: bool
) -> None:
    found = gathered({"reasoning_details": [detail]})
    assert found == ({"reasoning_details": [detail]} if goes_back else None)


@pytest.mark.parametrize("service", ["google", "vertex"])
def test_an_extra_content_goes_back_with_its_signature(service: str) -> None:
    signed = {service: {"thought_signature": "s", "other": 1}}
    thought = {service: {"thought": True}}
    chunks = [{"extra_content": it} for it in (thought, signed, "odd", thought)]
    assert gathered(*chunks) == {"extra_content": signed}
    assert gathered(chunks[0]) is None


def test_what_cannot_be_sent_is_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"google": deep}
    assert gathered({"extra_content": {"google": {"thought_signature": deep}}}) is None
