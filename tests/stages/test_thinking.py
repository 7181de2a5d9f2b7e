"""Claimed: what stands between think tags is reasoning, at any cut, and never inside code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatstream.errors import Truncated
from chatstream.events import Content, Event, Metadata, Reasoning, Retry, ToolCallDelta, Usage
from chatstream.flow import Finish, Pulse
from chatstream.stages.thinking import thinking

FINISH = Finish(reason="stop")


def stage(*events: Event | Exception) -> list[Event]:
    """What passes; a failure of the source ends it."""

    def source() -> Iterator[Event]:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event

    passed: list[Event] = []
    with suppress(Truncated):
        for event in thinking(source()):
            passed.append(event)  # noqa: PERF402 - what came before the failure counts
    return passed


def joined(events: Iterable[Event]) -> tuple[str, str]:
    """The content and the reasoning."""
    pieces: dict[type[Event], list[str]] = {Content: [], Reasoning: []}
    for event in events:
        if isinstance(event, Content | Reasoning):
            assert event.delta, "no delta is empty"
            pieces[type(event)].append(event.delta)
    return "".join(pieces[Content]), "".join(pieces[Reasoning])


def told_apart(deltas: Iterable[str]) -> tuple[str, str]:
    return joined(stage(*(Content(delta) for delta in deltas), FINISH))


TEXTS: list[Any] = [
    pytest.param("", "", "", id="nothing"),
    pytest.param("plain", "plain", "", id="plain"),
    pytest.param("<think>r</think>a", "a", "r", id="think"),
    pytest.param("<thinking>r</thinking>a", "a", "r", id="thinking"),
    pytest.param("a<think>r</think>b", "ab", "r", id="in-the-middle"),
    pytest.param("<think>r</think>a<think>s</think>b", "ab", "rs", id="twice"),
    pytest.param("<think></think>a", "a", "", id="empty"),
    pytest.param("<think>r", "", "r", id="unclosed"),
    pytest.param("<think>r</thi", "", "r</thi", id="closing-tag-cut"),
    pytest.param("a<thi", "a<thi", "", id="opening-tag-cut"),
    pytest.param("a<", "a<", "", id="a-lone-bracket"),
    pytest.param("<thinks>r</thinks>", "<thinks>r</thinks>", "", id="another-tag"),
    pytest.param("<<think>r</think>", "<", "r", id="two-brackets"),
    pytest.param("<think>r</thinking></think>a", "a", "r</thinking>", id="only-its-own-end"),
    pytest.param("<think>`r</think>a", "a", "`r", id="backtick-in-reasoning"),
    pytest.param("<think>\n```\nr</think>a", "a", "\n```\nr", id="fence-in-reasoning"),
    pytest.param("a</think>b", "a</think>b", "", id="an-end-without-a-beginning"),
    pytest.param("1 < 2 <think>r</think>", "1 < 2 ", "r", id="a-bracket-before"),
    # Code: the text stays as it is.
    pytest.param("`<think>`", None, "", id="span"),
    pytest.param("``a`<think>``", None, "", id="span-of-two-with-one-inside"),
    pytest.param("```\n<think>r</think>\n```", None, "", id="fence"),
    pytest.param("```html\n<think>\n```\n", None, "", id="fence-with-a-language"),
    pytest.param("   ~~~\n<think>\n   ~~~", None, "", id="tildes-and-an-indent"),
    pytest.param("````\n```\n<think>\n````", None, "", id="fence-of-four-with-three-inside"),
    pytest.param("```\n~~~\n<think>\n```", None, "", id="tildes-do-not-end-backticks"),
    pytest.param("```\na ```\n<think>\n```", None, "", id="a-fence-ends-only-on-its-own-line"),
    pytest.param("```\n```python\n<think>\n```", None, "", id="a-language-ends-no-fence"),
    pytest.param("```\na\n``` x\n<think>\n```", None, "", id="text-behind-a-run-ends-no-fence"),
    pytest.param("```\n<think>", None, "", id="unclosed-fence"),
    pytest.param("`a\n<think>` b", None, "", id="span-over-two-lines"),
    pytest.param("- ```\n  <think>\n  ```", None, "", id="fence-in-a-list"),
    # After code tags count again.
    pytest.param("`a`<think>r</think>", "`a`", "r", id="right-after-a-span"),
    pytest.param("`a` <think>r</think>", "`a` ", "r", id="after-a-span"),
    pytest.param("```\na\n```\n<think>r</think>", "```\na\n```\n", "r", id="after-a-fence"),
    pytest.param("```\na\n`````\n<think>r</think>", "```\na\n`````\n", "r", id="longer-end"),
    pytest.param("```\na\n``` \t\n<think>r</think>", "```\na\n``` \t\n", "r", id="space-behind"),
    pytest.param("```a``` b\n<think>r</think>", "```a``` b\n", "r", id="span-of-three"),
    pytest.param("~~a~~<think>r</think>", "~~a~~", "r", id="strike-through"),
    pytest.param("it`s\n\n<think>r</think>", "it`s\n\n", "r", id="a-blank-line-ends-a-span"),
    pytest.param("<think>r</think>```\n<think>\n```", "```\n<think>\n```", "r", id="fence-after"),
]


@pytest.mark.parametrize(("text", "content", "reasoning"), TEXTS)
def test_content_and_reasoning_are_told_apart(
    text: str, content: str | None, reasoning: str
) -> None:
    apart = (text if content is None else content, reasoning)
    assert told_apart([text] if text else []) == apart
    assert told_apart(text) == apart
    for cut in range(1, len(text)):
        assert told_apart([text[:cut], text[cut:]]) == apart


PIECES = [
    "<think>",
    "</think>",
    "<thinking>",
    "</thinking>",
    "<",
    "`",
    "```",
    "~~~",
    "\n",
    " ",
    "a",
]


@settings(deadline=None)
@example(["<", "think", ">", "a"], [1, 2, 3])
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.lists(st.integers(1, 200)))
def test_any_cut_gives_the_same_content_and_reasoning(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert told_apart(text[a:b] for a, b in pairwise(ends)) == told_apart([text] if text else [])


@settings(deadline=None)
@given(st.lists(st.sampled_from([p for p in PIECES if "think" not in p]), max_size=25))
def test_text_without_tags_passes_whole(pieces: list[str]) -> None:
    assert told_apart(pieces) == ("".join(pieces), "")


def test_only_what_may_become_a_tag_is_held_back() -> None:
    source = iter([Content("a<thin"), Pulse(), Content("k>r</th"), Pulse(), Content("x"), FINISH])
    passed = [event for event in thinking(source) if not isinstance(event, Finish)]
    assert passed == [Content("a"), Pulse(), Reasoning("r"), Pulse(), Reasoning("</thx")]


def test_a_delta_without_marks_passes_as_the_very_same_event() -> None:
    events = [Content("a"), Content("plain text"), Content(" and ~ more")]
    assert all(a is b for a, b in zip(stage(*events)[1:], events[1:], strict=True))


def test_the_pieces_of_a_delta_keep_its_time() -> None:
    apart = stage(Content("a<think>r</think>b", t=7.0))
    assert apart == [Content("a", t=7.0), Reasoning("r", t=7.0), Content("b", t=7.0)]


def test_other_events_pass_in_their_place() -> None:
    others: list[Event] = [Metadata(), Usage(), ToolCallDelta("i", "n", "<think>"), Reasoning("r")]
    assert stage(Content("a\n"), *others, FINISH) == [Content("a\n"), *others, FINISH]


@pytest.mark.parametrize("end", [FINISH, Truncated("m")])
@pytest.mark.parametrize(
    ("text", "apart"), [("a<thi", ("a<thi", "")), ("<think>r</th", ("", "r</th"))]
)
def test_what_is_held_is_released_at_the_end(
    text: str, apart: tuple[str, str], end: Event | Exception
) -> None:
    assert joined(stage(Content(text), end)) == apart


def test_what_is_held_is_released_when_the_source_just_stops() -> None:
    assert joined(stage(Content("a<thi"))) == ("a<thi", "")


def test_what_is_held_is_released_when_the_source_breaks() -> None:
    def source() -> Iterator[Event]:
        yield Content("a<thi")
        raise ZeroDivisionError

    passed: list[Event] = []
    with suppress(ZeroDivisionError):
        for event in thinking(source()):
            passed.append(event)  # noqa: PERF402 - what came before the failure counts
    assert joined(passed) == ("a<thi", "")


@pytest.mark.parametrize(
    "anew",
    [
        Retry(attempt=2, max=2, delay=0.0, cause="m", action="reset"),
        Metadata(restart=True),
    ],
)
@pytest.mark.parametrize("before", ["<think>r", "```\n", "`", "a<thi"])
def test_a_new_attempt_begins_outside_of_everything(before: str, anew: Event) -> None:
    events = stage(Content(before), anew, Content("<think>r</think>a"), FINISH)
    after = events[events.index(anew) :]
    assert joined(after) == ("a", "r")


GOING_ON = Retry(attempt=2, max=2, delay=0.0, cause="m", action="continue", emitted_chars=1)


@pytest.mark.parametrize(("text", "content", "reasoning"), TEXTS)
def test_a_retry_that_goes_on_changes_nothing(
    text: str, content: str | None, reasoning: str
) -> None:
    """An open tag, fence or span stays open; half a tag may become whole."""
    for cut in range(1, len(text)):
        events = stage(Content(text[:cut]), GOING_ON, Content(text[cut:]), FINISH)
        assert joined(events) == (text if content is None else content, reasoning)


@pytest.mark.parametrize(
    ("begun", "text", "apart"),
    [
        pytest.param("```\n", "<think>x</think>\n```", ("<think>x</think>\n```", ""), id="in-code"),
        pytest.param("a `b", "<think>` c", ("<think>` c", ""), id="in-a-span"),
        pytest.param("a\n", "<think>r</think>b", ("b", "r"), id="in-text"),
        pytest.param("```\nx\n```\n", "<think>r</think>b", ("b", "r"), id="after-code"),
        pytest.param("a <thi", "nk>b", ("nk>b", ""), id="half-a-tag-was-shown-as-text"),
        pytest.param("", "<think>r</think>b", ("b", "r"), id="nothing"),
    ],
)
def test_text_that_was_there_before_is_known_and_not_passed_on(
    begun: str, text: str, apart: tuple[str, str]
) -> None:
    for pieces in ([text], list(text)):
        events = thinking(iter([*map(Content, pieces), FINISH]), begun=begun)
        assert joined(events) == apart
