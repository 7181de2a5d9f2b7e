"""Claimed: however the runs interleave, the document is that of its sections in their order."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.events import Content, Done, Error, Event, Metadata, Retry, Stats, Warn
from chatstream.many import outline
from chatstream.many.document import Document
from chatstream.many.outline import PAGE

DONE = Done(finish_reason="stop", stats=Stats(duration=0.0, chunks=0), attempts=1)
FAILED = Error("server_error", "it broke", False, True)
RESET = Retry(attempt=2, max=3, delay=0.0, cause="c", emitted_chars=0, action="reset")


def document(sections: int, title: str = "Title") -> Document:
    text = "".join(f"## H{number}\n" for number in range(1, sections + 1))
    return Document(outline.of_file(f"# {title}\n{text}", "file", "topic"))


def fed(made: Document, *events: tuple[int, Event]) -> list[str]:
    """What can be shown after each event."""
    shown = [taken(made)]
    for number, event in events:
        made.note(number, event)
        shown.append(taken(made))
    return shown


def taken(made: Document) -> str:
    """The text that can be shown now; a warning is in brackets."""
    return "".join(
        it.delta if isinstance(it, Content) else f"[{it.message}]"
        for it in made.take()
        if isinstance(it, Content | Warn)
    )


def test_the_section_whose_turn_it_is_goes_out_as_it_arrives() -> None:
    shown = fed(document(2), (1, Content("Hel")), (1, Content("lo.")), (1, DONE))
    assert shown == ["", "# Title\n\n## H1\n\nHel", "lo.", ""]


def test_a_later_section_is_kept_until_its_turn() -> None:
    shown = fed(
        document(3),
        *[(2, Content("two")), (2, DONE), (3, Content("th")), (1, Content("one"))],
        *[(1, DONE), (3, Content("ree")), (3, DONE)],
    )
    assert shown == [
        *("", "", "", "", "# Title\n\n## H1\n\none"),
        *("\n\n## H2\n\ntwo\n\n## H3\n\nth", "ree", "\n"),
    ]


def test_white_space_at_the_ends_of_a_section_is_left_out() -> None:
    shown = fed(
        document(1),
        *[(1, Content(" \n")), (1, Content("\none\n")), (1, Content("\ntwo \n")), (1, DONE)],
    )
    assert "".join(shown) == "# Title\n\n## H1\n\none\n\ntwo\n"


def test_a_section_without_text_leaves_no_trace() -> None:
    shown = fed(
        document(3), (1, Content("one")), (1, DONE), (2, FAILED), (3, Content("3")), (3, DONE)
    )
    assert "".join(shown) == "# Title\n\n## H1\n\none\n\n[2 H2: it broke]## H3\n\n3\n"


def test_what_is_to_be_said_of_a_section_waits_for_its_turn() -> None:
    shown = fed(
        document(2),
        *[(2, Warn("w", "careful")), (2, FAILED), (1, Content("one")), (1, Warn("w", "slow"))],
        *[(1, Content(" and two")), (1, DONE)],
    )
    assert shown == [
        *("", "", "", "# Title\n\n## H1\n\none", "[1 H1: slow]", " and two"),
        "\n[2 H2: careful][2 H2: it broke]",
    ]


def test_a_section_that_was_cut_or_has_no_text_is_told() -> None:
    cut = Done(finish_reason="length", stats=Stats(duration=0.0, chunks=0), attempts=1)
    shown = fed(document(2), (1, Content("one")), (1, cut), (2, Content(" ")), (2, DONE))
    assert "".join(shown) == (
        "# Title\n\n## H1\n\none\n[1 H1: the answer stopped at the token limit]"
        "[2 H2: the answer has no text]"
    )


def test_a_document_without_any_text_has_no_title() -> None:
    assert "".join(fed(document(2), (1, FAILED), (2, FAILED))) == (
        "[1 H1: it broke][2 H2: it broke]"
    )


def test_the_text_of_a_section_that_broke_off_stays() -> None:
    shown = fed(document(2), (1, Content("one and")), (1, FAILED), (2, Content("two")), (2, DONE))
    assert "".join(shown) == ("# Title\n\n## H1\n\none and\n\n[1 H1: it broke]## H2\n\ntwo\n")


def test_void_text_is_forgotten() -> None:
    shown = fed(
        document(2),
        *[(2, Content("wrong")), (2, RESET), (2, Content("right")), (2, DONE)],
        *[(1, Content("one")), (1, DONE)],
    )
    whole = re.sub(r"\[.*?\]", "", "".join(shown))
    assert whole == "# Title\n\n## H1\n\none\n\n## H2\n\nright\n"
    assert "[2 H2: retrying" in "".join(shown)


def test_the_text_of_an_earlier_run_is_shown_once_it_is_continued() -> None:
    earlier = Content("one ", replayed=True)
    shown = fed(document(1), (1, earlier), (1, Content("and two")), (1, DONE))
    assert shown == [
        *("", "", "# Title\n\n## H1\n\none and two[1 H1: continued where it broke off]"),
        "\n",
    ]


def test_the_text_of_an_earlier_run_stays_where_its_continuation_fails() -> None:
    shown = fed(document(1), (1, Content("one", replayed=True)), (1, FAILED))
    assert "".join(shown) == "# Title\n\n## H1\n\none\n[1 H1: it broke]"


def test_the_text_of_an_earlier_run_may_be_all_there_is() -> None:
    shown = fed(document(1), (1, Content("one", replayed=True)), (1, DONE))
    assert "".join(shown) == "# Title\n\n## H1\n\none\n"


def test_the_text_of_an_earlier_run_is_dropped_where_it_starts_over() -> None:
    shown = fed(
        document(1),
        *[(1, Content("one", replayed=True)), (1, Warn("not_continued", "no prefill"))],
        *[(1, Warn("started_over", "asked again")), (1, Metadata(restart=True))],
        *[(1, Content("two")), (1, DONE)],
    )
    assert "".join(shown) == "[1 H1: asked again]# Title\n\n## H1\n\ntwo\n"


def test_a_heading_that_the_model_repeats_is_left_out() -> None:
    for repeated in ("# H1\n\none", "## h1 ##\none", "\n### H1\n\n\none"):
        pieces = [(1, Content(it)) for it in repeated]
        assert "".join(fed(document(1), *pieces, (1, DONE))) == "# Title\n\n## H1\n\none\n"


def test_a_section_that_is_only_its_heading_has_no_text() -> None:
    for repeated in ("## H1", "# h1 #", "## H1\n\n"):
        assert "".join(fed(document(1), (1, Content(repeated)), (1, DONE))) == (
            "[1 H1: the answer has no text]"
        )


def test_a_heading_that_is_void_is_forgotten() -> None:
    shown = fed(document(1), (1, Content("## H")), (1, RESET), (1, Content("one")), (1, DONE))
    assert re.sub(r"\[.*?\]", "", "".join(shown)) == "# Title\n\n## H1\n\none\n"


def test_a_block_of_code_that_is_left_open_is_closed() -> None:
    for said in ("one\n```py\nx = 1", "one\n```py\nx = 1\n\n"):
        pieces = [(1, Content(it)) for it in said]
        shown = fed(document(2), *pieces, (1, FAILED), (2, Content("two")), (2, DONE))
        assert re.sub(r"\[.*?\]", "", "".join(shown)) == (
            "# Title\n\n## H1\n\none\n```py\nx = 1\n```\n\n## H2\n\ntwo\n"
        )


@pytest.mark.parametrize("said", ["```\nx\n```", "~~~\nx\n~~~\nend", "- ```\n  x", "a `b` c"])
def test_code_that_ends_by_itself_stays_as_it_is(said: str) -> None:
    shown = fed(document(1), (1, Content(said)), (1, DONE))
    assert "".join(shown) == f"# Title\n\n## H1\n\n{said}\n"


def test_another_heading_stays() -> None:
    shown = fed(document(1), (1, Content("### Other")), (1, Content("\ntext")), (1, DONE))
    assert "".join(shown) == "# Title\n\n## H1\n\n### Other\ntext\n"


def test_a_page_has_one_mark_before_its_headline() -> None:
    made = Document(PAGE)
    said = ["# Fresh bread", "Warm since 1890", "# Our oven\n\nIt is old.", "Come in."]
    events = [it for n, text in enumerate(said, 1) for it in ((n, Content(text)), (n, DONE))]
    assert "".join(fed(made, *events)) == (
        "# Fresh bread\n\n## Warm since 1890\n\n# Our oven\n\nIt is old.\n\nCome in.\n"
    )


@given(st.lists(st.lists(st.text(max_size=8), max_size=5), min_size=1, max_size=5), st.integers())
def test_any_interleaving_gives_the_same_document(texts: list[list[str]], seed: int) -> None:
    queues = {number: [*map(Content, pieces), DONE] for number, pieces in enumerate(texts, 1)}
    in_turn = [(number, event) for number, events in queues.items() for event in events]
    expected = "".join(fed(document(len(texts)), *in_turn))
    chance, mixed = random.Random(seed), []
    while queues:
        number = chance.choice([*queues])
        mixed.append((number, queues[number].pop(0)))
        if not queues[number]:
            del queues[number]
    assert "".join(fed(document(len(texts)), *mixed)) == expected
