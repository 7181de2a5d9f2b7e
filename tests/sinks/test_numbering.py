"""Claimed: a list's numbers are as they are written, unless it repeats its first number."""

from __future__ import annotations

import pytest

from chatstream.sinks.blocks import Blocks
from chatstream.sinks.numbering import NO_LIST, Numbering
from chatstream.sinks.pieces import Item, Paragraph
from chatstream.sinks.scan import marker_of


def shown(written: str) -> str:
    """The markers of a list whose items have these."""
    item = NO_LIST
    markers = []
    for content in written.split():
        marker = marker_of(f"{content} text")
        assert marker is not None
        item = item.next(marker)
        markers.append(item.shown)
    return " ".join(markers)


@pytest.mark.parametrize(
    ("written", "markers"),
    [
        ("1. 2. 3.", "1. 2. 3."),
        ("3. 7. 12.", "3. 7. 12."),
        ("1. 1. 1.", "1. 2. 3."),
        ("3. 3. 3.", "3. 4. 5."),
        ("0. 0. 0.", "0. 1. 2."),
        ("0. 1. 2.", "0. 1. 2."),
        ("3) 3) 3)", "3) 4) 5)"),
        ("5. 4. 3.", "5. 4. 3."),
        ("1. 2. 2. 3.", "1. 2. 2. 3."),
        ("1. 1. 2. 3.", "1. 2. 3. 4."),
        ("01. 02. 03.", "01. 02. 03."),
        ("01. 01. 01.", "01. 02. 03."),
        ("9. 9. 9.", "9. 10. 11."),
        ("999999999. 999999999.", "999999999. 1000000000."),
        ("000000000. 000000007.", "000000000. 000000007."),
        ("1. 1) 1.", "1. 1) 1."),
        ("- - -", "- - -"),
        ("- 1. 1.", "- 1. 2."),
        ("1. - 1.", "1. - 1."),
    ],
)
def test_numbers_are_as_written_unless_the_first_is_repeated(written: str, markers: str) -> None:
    assert shown(written) == markers


def test_an_item_does_not_depend_on_what_follows() -> None:
    written = "4. 4. 9. 9. 2."
    for end in range(1, 6):
        beginning = " ".join(written.split()[:end])
        assert shown(written).startswith(shown(beginning))


def test_an_item_knows_how_its_list_is_numbered() -> None:
    marker = marker_of("7. a")
    assert marker is not None
    assert NO_LIST.next(marker) == Numbering(".", 7, 1)
    assert NO_LIST.next(marker).next(marker) == Numbering(".", 8, 1, counts=True)


def markers_of(text: str) -> list[str]:
    blocks = Blocks()
    return [
        item.marker
        for piece in [*blocks.feed(text), *blocks.finish()]
        if isinstance(piece, Paragraph) and piece.where.fresh < len(piece.where.containers)
        for item in piece.where.containers[piece.where.fresh :]
        if isinstance(item, Item)
    ]


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("1. a\n\n```\nx\n```\n\n2. b\n\n```\ny\n```\n\n3. c", ["1.", "2.", "3."]),
        ("1. a\n   - b\n   - c\n1. d\n   - e\n1. f", ["1.", "-", "-", "2.", "-", "3."]),
        ("7. a\n   1. b\n   1. c\n9. d\n   1. e", ["7.", "1.", "2.", "9.", "1."]),
        ("1. a\n\ntext\n\n1. b\n1. c", ["1.", "1.", "2."]),
        ("> 3. a\n> 7. b\n\n3. c", ["3.", "7.", "3."]),
        ("4. a\n\n   $$\n   x\n   $$\n4. b", ["4.", "5."]),
    ],
)
def test_lists_within_lists_and_after_other_blocks_have_numbers_of_their_own(
    text: str, markers: list[str]
) -> None:
    assert markers_of(text) == markers
