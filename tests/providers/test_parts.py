"""Claimed: parts of an answer are found in every shape, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.events import Citation, Content, Event, Image, Reasoning
from chatstream.providers.parts import Sources, image_of, images_in, part_events, reasoning_in

PNG = "iVBORw0KGgo="
DATA_URL = f"data:image/png;base64,{PNG}"


@pytest.mark.parametrize(
    ("content", "events"),
    [
        ([{"type": "text", "text": "a"}, {"text": "b"}], [Content("a"), Content("b")]),
        ({"type": "text", "text": "a"}, [Content("a")]),
        ({"type": "output_text", "text": "a"}, [Content("a")]),
        (["a", "", "b"], [Content("a"), Content("b")]),
        ([{"type": "text", "text": {"value": "a"}}], [Content("a")]),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}], [Reasoning("t")]),
        ([{"type": "thinking", "thinking": "t"}], [Reasoning("t")]),
        ([{"type": "reasoning", "text": "t"}], [Reasoning("t")]),
        ([{"type": "reasoning", "summary": [{"text": "t"}, {"text": "u"}]}], [Reasoning("tu")]),
        ([{"thought": True, "text": "t"}], [Reasoning("t")]),
        ([{"type": "reference", "reference_ids": [1]}], []),
        ([{"type": "image_url", "image_url": {"url": DATA_URL}}], [Image("image/png", PNG)]),
        ([{"type": "thinking", "thinking": []}], []),
        ([7, None, []], []),
    ],
)  # fmt: skip
def test_a_list_of_parts_is_read(content: Any, events: list[Event]) -> None:
    assert part_events(content, -1.0) == events


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ({"text": "a"}, "a"),
        ({"content": "a"}, "a"),
        ([{"text": "a"}, {"type": "reasoning.summary", "summary": "b"}], "ab"),
        ([{"type": "reasoning.encrypted", "data": "x", "text": "x"}], ""),
        ({}, ""),
        (7, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_reasoning_is_read_in_every_shape(value: object, text: str) -> None:
    assert reasoning_in(value) == text


@pytest.mark.parametrize(
    ("part", "image"),
    [
        (DATA_URL, Image("image/png", PNG)),
        ({"type": "image_url", "image_url": {"url": DATA_URL}}, Image("image/png", PNG)),
        ({"image_url": "https://a.example/i"}, Image(url="https://a.example/i")),
        ({"source": {"media_type": "image/webp", "data": "UklG"}}, Image("image/webp", "UklG")),
        ({"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}}, Image("image/jpeg", "/9j/")),
        ({"b64_json": PNG}, Image(None, PNG)),
        ({"type": "image", "data": PNG}, Image(None, PNG)),
        (f"data:;base64,{PNG}", Image(None, PNG)),
        ("file:///etc/passwd", None),
        ({"type": "text", "text": "a"}, None),
        (7, None),
    ],
)  # fmt: skip
def test_an_image_is_found_in_every_shape(part: object, image: Image | None) -> None:
    assert image_of(part, -1.0) == image


def test_images_come_in_a_list_or_alone() -> None:
    assert images_in([DATA_URL, 7, DATA_URL], -1.0) == [Image("image/png", PNG)] * 2
    assert images_in({"image_url": DATA_URL}, -1.0) == [Image("image/png", PNG)]


def test_a_numbered_source_is_told_once_however_often_it_comes() -> None:
    sources = Sources()
    addresses = ["https://a.example/1", "https://b.example/2"]
    first = sources.numbered(addresses, None, -1.0)
    assert first == [Citation(addresses[0], None, 1), Citation(addresses[1], None, 2)]
    assert sources.numbered(addresses, None, -1.0) == []
    more = [*addresses, "https://c.example/3"]
    assert sources.numbered(more, None, -1.0) == [Citation(more[2], None, 3)]


def test_search_results_bring_the_titles_or_stand_for_the_list() -> None:
    results = [{"url": "https://a.example/1", "title": "A"}]
    assert Sources().numbered(["https://a.example/1"], results, -1.0) == [
        Citation("https://a.example/1", "A", 1)
    ]
    assert Sources().numbered(None, results, -1.0) == [Citation("https://a.example/1", "A", 1)]


def test_an_annotation_is_a_source() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example/1", "title": "A"}}
    sources = Sources()
    assert sources.noted([note, note, {"type": "file"}, 7], -1.0) == [
        Citation("https://a.example/1", "A")
    ]
    assert sources.noted({"url": "https://b.example"}, -1.0) == [Citation("https://b.example")]
