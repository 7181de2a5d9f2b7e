"""Claimed: a response that begins with reasoning in tags is told apart, at any cut; all other text
passes byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatstream.errors import Truncated
from chatstream.events import (
    Approval,
    Content,
    Event,
    Metadata,
    Reasoning,
    Retry,
    ToolCallDelta,
    ToolStart,
    Usage,
)
from chatstream.flow import Arrival, Finish, events_in
from chatstream.stages.thinking import thinking
from tests.support.arrivals import each

FINISH = Finish(reason="stop")


def stage(*events: Event | Exception) -> list[Event]:
    """What passes; a failure of the source ends it."""

    def source() -> Iterator[Arrival]:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield from each(event)

    passed: list[Event] = []
    with suppress(Truncated):
        for event in events_in(thinking(source())):
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


HARMONY = (
    "<|channel|>analysis<|message|>We need to answer.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Four."
)
LONG = "x" * 600

TEXTS: list[Any] = [
    pytest.param("", "", "", id="nothing"),
    pytest.param("plain", None, "", id="plain"),
    # A response that begins with a tag.
    pytest.param("<think>r</think>a", "a", "r", id="think"),
    pytest.param("<thinking>r</thinking>a", "a", "r", id="thinking"),
    pytest.param("<thought>r</thought>a", "a", "r", id="thought"),
    pytest.param("[THINK]r[/THINK]a", "a", "r", id="magistral"),
    pytest.param("<seed:think>r</seed:think>a", "a", "r", id="seed"),
    pytest.param("<mm:think>r</mm:think>a", "a", "r", id="minimax"),
    pytest.param("<|channel>thought\nr<channel|>a", "a", "\nr", id="gemma"),
    pytest.param(" \n<think>r</think>\n\na", " \n\n\na", "r", id="white-space-before"),
    pytest.param("<think>r</think>\n<think>s</think>b", "\nb", "rs", id="twice"),
    pytest.param("<think></think>a", "a", "", id="empty"),
    pytest.param("<think>r", "", "r", id="unclosed"),
    pytest.param("<think>r</thi", "", "r</thi", id="closing-tag-cut"),
    pytest.param("<think>r</thinking></think>a", "a", "r</thinking>", id="only-its-own-end"),
    pytest.param("<think>`r</think>a", "a", "`r", id="backtick-in-reasoning"),
    pytest.param("<think>\n```\nr</think>a", "a", "\n```\nr", id="fence-in-reasoning"),
    # A tag that the model writes about.
    pytest.param("Use the <think> tag. Then close it.", None, "", id="in-prose"),
    pytest.param("Write <think>a plan</think> first.", None, "", id="a-pair-in-prose"),
    pytest.param("a\n<think>\nr\n", None, "", id="on-a-line-of-its-own"),
    pytest.param("<think>r</think>a<think>b</think>c", "a<think>b</think>c", "r", id="later"),
    pytest.param("<think>r</think>a\n</think>\nb", "a\n</think>\nb", "r", id="later-end"),
    pytest.param("a<thi", None, "", id="opening-tag-cut"),
    pytest.param("<thi", None, "", id="nothing-but-half-a-tag"),
    pytest.param("<thinks>r</thinks>", None, "", id="another-tag"),
    pytest.param("<<think>r</think>", None, "", id="two-brackets"),
    pytest.param("`<think>`", None, "", id="span"),
    pytest.param("```\n<think>r</think>\n```", None, "", id="fence"),
    # A closing tag alone: the prompt had opened the reasoning.
    pytest.param("r.\n</think>\n\na", "r.\n\n\na", "", id="lone"),
    pytest.param("r.\r\n</think>\r\n\r\na", "r.\r\n\r\n\r\na", "", id="lone-with-cr"),
    pytest.param("r.\n[/THINK] \na", "r.\n \na", "", id="lone-of-magistral"),
    pytest.param("r.\n</think>", "r.\n", "", id="lone-at-the-end"),
    pytest.param("r.\n</thi", None, "", id="lone-cut"),
    pytest.param("</think>\n\na", "\n\na", "", id="lone-at-the-beginning"),
    pytest.param("</think>a", "a", "", id="lone-before-the-answer"),
    pytest.param("r\n</think>\na\n</think>\n", "r\n\na\n</think>\n", "", id="lone-twice"),
    pytest.param(
        "r\n```py\nx\n```\n</think>\na", "r\n```py\nx\n```\n\na", "", id="lone-after-code"
    ),
    pytest.param("r ```x``` s\n</think>\na", "r ```x``` s\n\na", "", id="lone-after-a-span"),
    pytest.param("r\n```x```\n</think>\na", "r\n```x```\n\na", "", id="lone-after-a-span-alone"),
    pytest.param("Close it with </think>.", None, "", id="an-end-in-prose"),
    pytest.param("a</think>\nb", None, "", id="an-end-behind-text"),
    pytest.param("a\n</think> ends it\n", None, "", id="an-end-before-text"),
    pytest.param("a\n    </think>\n", None, "", id="an-end-in-indented-code"),
    pytest.param("a\n```\n</think>\n```\n", None, "", id="an-end-in-a-fence"),
    pytest.param("a\n~~~\n</think>\n~~~\n", None, "", id="an-end-in-tildes"),
    pytest.param("a\n````\n```\n</think>\n````\n", None, "", id="three-do-not-end-four"),
    pytest.param("a\n```\n```py\n</think>\n```\n", None, "", id="a-language-ends-no-fence"),
    pytest.param(
        f"r\n~~~{LONG}{LONG}\n</think>\n", f"r\n~~~{LONG}{LONG}\n\n", "", id="too-long-for-a-fence"
    ),
    pytest.param("a\n</think>" + 21 * " " + "\n", None, "", id="an-end-before-much-space"),
    pytest.param("- ```\n  </think>\n  ```\n", None, "", id="an-end-in-a-fence-in-a-list"),
    pytest.param("1. a\n   ```\n</think>\n", None, "", id="an-end-in-an-open-fence"),
    # The channels of gpt-oss.
    pytest.param(HARMONY, "Four.", "We need to answer.", id="channels"),
    pytest.param(
        f"<|start|>assistant{HARMONY}<|return|>", "Four.", "We need to answer.", id="marks"
    ),
    pytest.param(
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "",
        "{}",
        id="commentary",
    ),
    pytest.param("<|channel|>analysis<|message|>r<|start|>assistant", "", "r", id="half-a-head"),
    pytest.param("<|channel|>analysis<|message|>r<|en", "", "r<|en", id="half-a-mark"),
    pytest.param("<|channel|>final<|message|>a<|end|>b", "ab", "", id="text-without-a-head"),
    pytest.param("<|start|>assistant<|message|>a < b <| c", "a < b <| c", "", id="no-channel"),
    pytest.param("<|channel|> is a mark of gpt-oss.", None, "", id="a-mark-in-prose"),
    pytest.param(f"<|channel|>analysis{480 * ' '}<|message|>r", "", "r", id="a-long-head"),
    pytest.param(f"<|channel|>{LONG}<|message|>", None, "", id="too-long-for-a-head"),
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
    "[THINK]",
    "[/THINK]",
    "<|start|>assistant",
    "<|channel|>final",
    "<|channel|>analysis",
    "<|message|>",
    "<|end|>",
    "<",
    "`",
    "```",
    "~~~",
    "- ",
    "1.",
    "\n",
    "\n</think>\n",
    " ",
    "a",
]


@settings(deadline=None)
@example(["<", "think", ">", "a"], [1, 2, 3])
@example(["a\n", "</think>", "\n"], [1, 2, 3, 10])
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.lists(st.integers(1, 200)))
def test_any_cut_gives_the_same_content_and_reasoning(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert told_apart(text[a:b] for a, b in pairwise(ends)) == told_apart([text] if text else [])


LONE = re.compile(r"^ {0,3}(</think>|\[/THINK\])[ \t\r]*$", re.MULTILINE)


@settings(deadline=None)
@example(["<think>", "</think>", "a"], [])
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.lists(st.integers(1, 200)))
def test_text_that_begins_without_a_tag_passes_whole(pieces: list[str], cuts: list[int]) -> None:
    text = "a" + "".join(pieces)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    content, reasoning = told_apart(text[a:b] for a, b in pairwise(ends))
    lone = LONE.search(text)
    assert not reasoning
    assert content in {
        text,
        *(text[: it.start(1)] + text[it.end(1) :] for it in LONE.finditer(text)),
    }
    assert lone or content == text


@settings(deadline=None)
@given(st.text(), st.lists(st.integers(1, 200)))
def test_any_text_after_the_first_word_passes_whole(text: str, cuts: list[int]) -> None:
    text = f"a {text}"
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert told_apart(text[a:b] for a, b in pairwise(ends)) == (text, "")


def test_only_what_may_become_a_tag_is_held_back() -> None:
    source = each(Content("\n<thin"), Content("k>r</th"), Content("x"), FINISH)
    passed = [arrival.events for arrival in thinking(source)]
    assert passed[:3] == [[Content("\n")], [Reasoning("r")], [Reasoning("</thx")]]


def test_nothing_is_held_back_in_the_middle_of_a_line() -> None:
    for delta in ("a <", "<th", "</think", "`", "[", "<|"):
        assert stage(Content("a "), Content(delta)) == [Content("a "), Content(delta)]


@pytest.mark.parametrize("begin", ["a", "<think>r</think>a"])
def test_a_delta_in_the_middle_of_a_line_passes_as_the_very_same_event(begin: str) -> None:
    events = [Content(begin), Content("plain text"), Content(" and `more` <b>")]
    assert all(a is b for a, b in zip(stage(*events)[-2:], events[1:], strict=True))


def test_after_the_thinking_every_delta_passes_as_the_very_same_event() -> None:
    events = [Content("<think>r</think>a"), Content("\n</think>\n"), Content("```\n<think>")]
    assert all(a is b for a, b in zip(stage(*events)[-2:], events[1:], strict=True))


def test_the_pieces_of_a_delta_keep_its_time() -> None:
    apart = next(thinking(each(Content("\n<think>r</think>b", t=7.0))))
    assert (apart.events, apart.t) == ([Content("\n"), Reasoning("r"), Content("b")], 7.0)


def test_what_is_held_comes_before_an_end_in_the_same_arrival() -> None:
    source = iter([Arrival([Content("<thi"), FINISH])])
    assert next(thinking(source)).events == [Content("<thi"), FINISH]


def test_a_tag_still_opens_after_thinking_and_calls_that_are_events() -> None:
    before: list[Event] = [Reasoning("r"), ToolCallDelta("i", "n", "{}")]
    assert joined(stage(*before, Content("<think>s</think>a"), FINISH)) == ("a", "rs")


def test_other_events_pass_in_their_place() -> None:
    others: list[Event] = [Metadata(), Usage(), ToolCallDelta("i", "n", "<think>"), Reasoning("r")]
    assert stage(Content("a\n"), *others, FINISH) == [Content("a\n"), *others, FINISH]


@pytest.mark.parametrize("end", [FINISH, Truncated("m")])
@pytest.mark.parametrize(
    ("text", "apart"), [("<thi", ("<thi", "")), ("<think>r</th", ("", "r</th"))]
)
def test_what_is_held_is_released_at_the_end(
    text: str, apart: tuple[str, str], end: Event | Exception
) -> None:
    assert joined(stage(Content(text), end)) == apart


def test_what_is_held_is_released_when_the_source_just_stops() -> None:
    assert joined(stage(Content("<thi"))) == ("<thi", "")


def test_what_is_held_is_released_when_the_source_breaks() -> None:
    def source() -> Iterator[Arrival]:
        yield Arrival([Content("<thi")])
        raise ZeroDivisionError

    passed: list[Event] = []
    with suppress(ZeroDivisionError):
        for event in events_in(thinking(source())):
            passed.append(event)  # noqa: PERF402 - what came before the failure counts
    assert joined(passed) == ("<thi", "")


@pytest.mark.parametrize(
    "anew",
    [
        Retry(attempt=2, max=2, delay=0.0, cause="m", action="reset"),
        Metadata(restart=True),
    ],
)
@pytest.mark.parametrize("before", ["<think>r", "a\n```\n", "a", "<thi", HARMONY])
def test_a_new_attempt_begins_outside_of_everything(before: str, anew: Event) -> None:
    events = stage(Content(before), anew, Content("<think>r</think>a"), FINISH)
    after = events[events.index(anew) :]
    assert joined(after) == ("a", "r")


GOING_ON = Retry(attempt=2, max=2, delay=0.0, cause="m", action="continue", emitted_chars=1)


@pytest.mark.parametrize(("text", "content", "reasoning"), TEXTS)
def test_a_retry_that_goes_on_changes_nothing(
    text: str, content: str | None, reasoning: str
) -> None:
    """An open tag or fence stays open; half a tag may become whole."""
    for cut in range(1, len(text)):
        events = stage(Content(text[:cut]), GOING_ON, Content(text[cut:]), FINISH)
        assert joined(events) == (text if content is None else content, reasoning)


@pytest.mark.parametrize(
    ("begun", "text", "apart"),
    [
        pytest.param("a\n", "<think>r</think>b", ("<think>r</think>b", ""), id="in-text"),
        pytest.param("a <thi", "nk>b", ("nk>b", ""), id="half-a-tag-was-shown-as-text"),
        pytest.param("a\n</thi", "nk>\nb", ("nk>\nb", ""), id="half-an-end-was-shown-as-text"),
        pytest.param("a\n<", "</think>\nb", ("</think>\nb", ""), id="a-bracket-was-shown"),
        pytest.param("r", "\n</think>\nb", ("\n\nb", ""), id="lone"),
        pytest.param("r\n", "</think>\nb", ("\nb", ""), id="lone-at-once"),
        pytest.param("r\n```\n", "</think>\n", ("</think>\n", ""), id="in-code"),
        pytest.param("\n", "<think>r</think>b", ("b", "r"), id="white-space"),
        pytest.param("", "<think>r</think>b", ("b", "r"), id="nothing"),
    ],
)
def test_text_that_was_there_before_is_known_and_not_passed_on(
    begun: str, text: str, apart: tuple[str, str]
) -> None:
    for pieces in ([text], list(text)):
        arrivals = thinking(each(*map(Content, pieces), FINISH), begun=begun)
        assert joined(events_in(arrivals)) == apart


def test_each_response_of_a_run_may_begin_with_reasoning() -> None:
    events = stage(
        Content("<think>a</think>b <"),
        Approval("i", "n", "allow", "default"),
        ToolStart("i", "n"),
        Metadata(),
        Content("<think>c</think>d"),
        FINISH,
    )
    assert joined(events) == ("b <d", "ac")
    kinds = [type(it) for it in events]
    assert kinds.index(Approval) > kinds.index(Content)  # what was held came before
