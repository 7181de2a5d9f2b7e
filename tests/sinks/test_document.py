"""Several answers as one document."""

from __future__ import annotations

import itertools

import pytest

from chatstream.events import Content, Done, Error, Event, Stats
from chatstream.flow import Arrival
from chatstream.sinks.document import DocumentSink
from chatstream.sinks.plain import PlainSink
from tests.support.sampling import sampled


class Kept:
    """What was written, in order."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def made(*labels: str) -> tuple[DocumentSink, Kept, Kept]:
    output, notes = Kept(), Kept()

    def sink() -> PlainSink:
        return PlainSink(output, notes, terminal=False, reasoning=False, stats=False)

    document = DocumentSink(
        labels, sink, output.write, lambda line: notes.write(f"{line}\n".encode())
    )
    return document, output, notes


def arrival(label: str, *events: Event) -> Arrival:
    return Arrival([*events], stream=label)


def done() -> Done:
    return Done(finish_reason="stop", stats=Stats(1.0, 1), attempts=1)


def failed(code: str = "connect") -> Error:
    return Error(code, "no answer", recoverable=True, partial=True)


def test_the_first_answer_is_written_as_it_comes_and_the_others_in_their_turn() -> None:
    document, output, _ = made("a", "b")
    document.write(arrival("b", Content("Red.")))
    assert output.data == b""
    document.write(arrival("a", Content("Bl")))
    assert output.data == b"## 1. a\n\nBl"
    document.write(arrival("b", done()))
    document.write(arrival("a", Content("ue."), done()))
    assert output.data == b"## 1. a\n\nBlue.\n\n## 2. b\n\nRed.\n"


WHOLE = "## 1. a\n\nA1 a2\n\n## 2. b\n\nB1 b2\n\n## 3. c\n\nC1 c2\n"
EVENTS = {label: [f"{label.upper()}1 ", f"{label}2", None] for label in "abc"}
ORDERS = sorted(set(itertools.permutations("aaabbbccc")))


def test_the_document_is_the_same_in_whatever_order_they_come() -> None:
    for order in sampled(ORDERS, 100, "order"):
        document, output, _ = made("a", "b", "c")
        left = {label: iter(texts) for label, texts in EVENTS.items()}
        for label in order:
            text = next(left[label])
            document.write(arrival(label, done() if text is None else Content(text)))
        document.close()
        assert output.data.decode() == WHOLE


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("Bl", "Bl\n\n"), ("Bl\n", "Bl\n\n"), ("Bl\n\n", "Bl\n\n")]
)
def test_an_answer_that_is_not_whole_says_so_in_a_paragraph_of_its_own(
    text: str, shown: str
) -> None:
    document, output, notes = made("a", "b")
    document.write(arrival("a", *([Content(text)] if text else []), failed()))
    document.write(arrival("b", failed("cancelled")))
    document.close()
    expected = f"## 1. a\n\n{shown}*error: no answer*\n\n## 2. b\n\n*stopped*\n"
    assert output.data.decode() == expected
    assert notes.data.decode() == ("answer 1. a:\nerror: no answer\nanswer 2. b:\nstopped\n")


def test_what_was_held_is_written_at_a_close_before_the_end() -> None:
    document, output, _ = made("a", "b", "c")
    document.write(arrival("b", Content("Red."), done()))
    document.write(arrival("a", Content("Bl")))
    document.close()
    document.close()
    assert output.data.decode() == "## 1. a\n\nBl\n## 2. b\n\nRed.\n"
