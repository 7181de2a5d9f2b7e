"""Claimed: what is final is written at once, once, drawn; and nothing drives the reader."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from rich.color import ColorSystem

from chatstream import events as ev
from chatstream.flow import Arrival
from chatstream.sinks.rendered import RenderedSink
from chatstream.sinks.theme import theme_for
from chatstream.sinks.wrapping import Wrap

URL = "https://example.org/" + "x" * 40
CODE = 'x = "a long line of code that is longer than the margin"'
ANSWER = f"""# Title

A **long** sentence of `prose` that goes past the margin, with
a soft break and {URL} in it.

- 中文字中文字\uff0c中文字中文字。
- two

```py
{CODE}
```

|a|b|
|-|-|
|1|2|

the end"""


class Reader:
    """Takes what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: bytes) -> None:
        self.text += data.decode()


def sink(
    output: Reader, notes: Reader, *, wrap: Wrap = "words", colors: ColorSystem | None = None
) -> RenderedSink:
    return RenderedSink(
        output,
        notes,
        theme=theme_for("dark", None, shows="colours" if colors else "nothing"),
        width=lambda: 30,
        colors=colors,
        wrap=wrap,
        reasoning=False,
        stats=False,
    )


def drawn(parts: Iterable[str], *, wrap: Wrap = "words", colors: ColorSystem | None = None) -> str:
    output = Reader()
    made = sink(output, Reader(), wrap=wrap, colors=colors)
    for part in parts:
        made.write(Arrival([ev.Content(part)]))
    made.close()
    return output.text


@pytest.mark.parametrize("wrap", ["words", "terminal", "none"])
def test_how_the_text_was_cut_does_not_show(wrap: Wrap) -> None:
    whole = drawn([ANSWER], wrap=wrap)
    assert drawn(ANSWER, wrap=wrap) == whole
    for at in range(len(ANSWER)):
        assert drawn([ANSWER[:at], ANSWER[at:]], wrap=wrap) == whole


def test_rows_end_after_words_without_filler_and_a_long_word_is_whole() -> None:
    lines = drawn([ANSWER]).splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert any(URL in line for line in lines)
    assert CODE in lines


def test_a_row_is_written_once_it_is_final_and_the_rest_at_the_end() -> None:
    output = Reader()
    made = sink(output, Reader())
    made.write(Arrival([ev.Content("# Title\n\nhalf a li")]))
    assert output.text == "# Title\n"
    made.write(Arrival([ev.Error("cancelled", "stopped", recoverable=True, partial=True)]))
    made.close()
    assert output.text == "# Title\n\nhalf a li\n"


def test_nothing_drives_the_reader() -> None:
    evil = "a \x1b[2J \x1b]0;x\x07 \x9b31m **b** [c](https://example.org/) \r d"
    assert "\x1b" not in drawn([evil])
    coloured = drawn([evil], colors=ColorSystem.STANDARD)
    assert "\x1b[1mb\x1b[0m" in coloured
    assert "\x1b]" not in coloured
    assert "\x1b[2J" not in coloured


def test_an_answer_that_starts_over_begins_apart() -> None:
    output, notes = Reader(), Reader()
    made = sink(output, notes)
    made.write(Arrival([ev.Content("```\nold")]))
    made.write(Arrival([ev.Retry(attempt=2, max=2, delay=0.0, cause="cut", action="reset")]))
    made.write(Arrival([ev.Content("*new*")]))
    made.close()
    assert output.text.endswith("\n\n*new*\n")
    assert "old\n" in output.text
    assert "cut" in notes.text
