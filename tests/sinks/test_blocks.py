from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatstream.sinks.blocks import Blocks, dialect

# Lines that make, continue, change or end blocks; joined at random they meet in every order.
LINES = [
    *("", "  ", "    ", "prose", "more *prose*", "    indented", "\ttab", "\\", "\u00a0", "\u2028"),
    *("# heading", "#", "===", "---", "***", "<div>", "</div>", "<!-- note", "-->", "\x0c"),
    *("- item", "-", "* other", "+ plus", "  - nested", "  continued", "1. one", "2. two"),
    *("1) round", "   deeper", "> quote", ">", "> - both", "```", "```python", "````", "~~~"),
    *("  ```", "| a | b |", "|---|---|", "a | b", "- a | b", "> a | b", "--- | ---"),
    *("[ref]: /url", "[ref]:", '"title', 'end"', "[ref]"),
]

documents = st.builds(
    lambda lines, end: "\n".join(lines) + end,
    st.lists(st.sampled_from(LINES), max_size=24),
    st.sampled_from(["", "\n", "\n\n"]),
)


def fed(pieces: list[str]) -> list[str]:
    blocks = Blocks()
    out: list[str] = []
    for piece in pieces:
        out += blocks.feed(piece)
    return out + blocks.finish()


@given(documents)
def test_blocks_join_to_the_input(text: str) -> None:
    assert "".join(fed([text])) == text


@given(documents, st.data())
@example("- x\n* a | b\n--- | ---\n", None)
def test_blocks_do_not_depend_on_the_cuts(text: str, data: st.DataObject | None) -> None:
    whole = fed([text])
    assert fed(list(text)) == whole
    if data is not None:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
        assert fed([text[a:b] for a, b in pairwise([0, *cuts, len(text)])]) == whole


@given(documents)
def test_every_block_parses_alone_as_it_does_in_the_whole(text: str) -> None:
    def shape(source: str) -> list[tuple[str, str, str]]:
        return [(t.type, t.tag, t.content) for t in dialect().parse(source)]

    if "[ref]" not in text:  # definitions may stand anywhere
        assert [token for block in fed([text]) for token in shape(block)] == shape(text)


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("one\n\ntwo", []),
        ("one\n\ntwo\n", ["one\n\n"]),
        ("Title\n===\n", []),
        ("# Title\ntext\n", ["# Title\n"]),
        ("- a\n\n- b\n\n  more\n", []),
        ("- a\n\nend\n", ["- a\n\n"]),
        ("```\na\n\nb\n", []),
        ("```\na\n```\n", []),
        ("```\na\n```\nend\n", ["```\na\n```\n"]),
        ("| a |\n|---|\n| 1 |\n", []),
        ("| a |\n|---|\n| 1 |\n\nend\n", ["| a |\n|---|\n| 1 |\n\n"]),
        ("    code\n\n    code\n", []),
        ("one\n\n[ref]: /url\n\ntwo\n", ["one\n\n"]),
    ],
)
def test_only_what_no_later_line_can_change_is_finished(text: str, finished: list[str]) -> None:
    blocks = Blocks()
    assert blocks.feed(text) == finished
    assert "".join(finished) + blocks.tail == text


def test_an_endless_block_is_parsed_a_number_of_times_that_grows_like_a_logarithm() -> None:
    blocks = Blocks()
    parses = 0
    parse = blocks._parser.parse

    def counted(source: str) -> object:
        nonlocal parses
        parses += 1
        return parse(source)

    blocks._parser.parse = counted  # type: ignore[assignment, method-assign]
    for _ in range(3000):
        blocks.feed("- item\n")
    assert parses < 120


def test_it_can_be_used_again_after_finish() -> None:
    blocks = Blocks()
    blocks.feed("one\n\ntw")
    assert blocks.finish() == ["one\n\n", "tw"]
    assert blocks.tail == ""
    assert blocks.finish() == []
    blocks.feed("three")
    assert blocks.finish() == ["three"]
