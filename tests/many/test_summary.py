"""The table under compared answers."""

from __future__ import annotations

import pytest

from chatstream import events as ev
from chatstream.engine.pipeline import failed
from chatstream.errors import UsageError
from chatstream.flow import Arrival
from chatstream.many.compare import Answer
from chatstream.many.summary import as_markdown, as_sentences, rows

STATS = ev.Stats(duration=2.0, chunks=7, ttft=0.25, tokens_per_second=12.34)


def answer(*events: ev.Event, label: str = "a") -> Answer:
    made = Answer(2, label, failed(UsageError("never asked")))
    made.note(Arrival([*events]))
    return made


def done(**more: object) -> ev.Done:
    fields = {"finish_reason": "stop", "stats": STATS, "attempts": 1, **more}
    return ev.Done(**fields)  # type: ignore[arg-type]


def error(code: str, message: str = "no") -> ev.Error:
    return ev.Error(code, message, recoverable=False, partial=False)


@pytest.mark.parametrize(
    ("events", "row"),
    [
        (
            [ev.Content("hi"), ev.Usage(output_tokens=9), done(cost=ev.Cost(0.0125))],
            ("0.25 s", "12.3 tokens/s", "9", "$0.0125", "whole"),
        ),
        ([done()], ("0.25 s", "12.3 tokens/s", "≈7", "-", "no text")),
        ([done(finish_reason="length")], ("0.25 s", "12.3 tokens/s", "≈7", "-", "length")),
        ([error("cancelled")], ("-", "-", "-", "-", "stopped")),
        ([error("auth", "bad\nkey\x1b")], ("-", "-", "-", "-", "failed: bad key")),
        ([ev.Content("hi")], ("-", "-", "-", "-", "cut off")),
    ],
)
def test_a_row_tells_the_figures_and_the_end(events: list[ev.Event], row: tuple[str, ...]) -> None:
    head, found = rows([answer(*events)])
    assert len(head) == len(found)
    assert found[:2] == ("2", "a")
    assert [it.replace("␛", "") for it in found[2:]] == [*row]


def test_for_a_screen_reader_it_is_sentences_without_what_is_unknown() -> None:
    table = rows([answer(ev.Content("hi"), done()), answer(error("cancelled"), label="b")])
    assert as_sentences(table) == (
        "Answer 2, a: whole, first token 0.25 s, pace 12.3 tokens/s, tokens ≈7.\n\n"
        "Answer 2, b: stopped.\n"
    )


def test_a_label_does_not_break_the_table() -> None:
    text = as_markdown(rows([answer(done(), label="a|b\nc")]))
    assert "| 2 | a\\|b c | 0.25 s |" in text
    assert len(text.splitlines()) == 3
