"""A renderer of another package may do anything: the answer is shown, and drives no terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.flow import Arrival, Sink
from chatstream.sinks.foreign import ForeignSink, Text
from chatstream.sinks.plain import PlainSink
from tests.support.loopback import LIMIT

WORDS = ["one ", "two ", "three ", "four"]
DONE = ev.Done(finish_reason="stop", stats=ev.Stats(2.0, 3), attempts=1)
ERROR = ev.Error(
    "truncated", "cut off", recoverable=True, partial=True, resume="chatstream resume a"
)


class Kept:
    """Keeps what is written, and fails when it is full."""

    def __init__(self, room: float = float("inf")) -> None:
        self.data = b""
        self._room = room

    def write(self, data: bytes) -> None:
        if len(self.data) + len(data) > self._room:
            raise OSError(28, "No space left on device")
        self.data += data

    @property
    def text(self) -> str:
        return self.data.decode()


class Brackets:
    """A renderer, which fails where it is told to."""

    def __init__(self, output: Text, fails: str = "", error: BaseException | None = None) -> None:
        self._output = output
        self._fails = fails
        self._error = error or ValueError("no\nluck")
        self.seen: list[ev.Event] = []
        self._check("made")

    def write(self, arrival: Arrival) -> None:
        for event in arrival.events:
            self.seen.append(event)
            if isinstance(event, ev.Content):
                self._check(event.delta.strip())
                self._output.write(f"[{event.delta}]")
                self._check(f"{event.delta.strip()} written")
                event.delta = "changed"

    def close(self) -> None:
        self._check("close")

    def _check(self, where: str) -> None:
        if where == self._fails:
            raise self._error


class Shown:
    """What a run of these events leaves."""

    def __init__(
        self,
        make: Callable[[Text], Sink],
        *events: ev.Event,
        terminal: bool = False,
        room: float = float("inf"),
    ) -> None:
        self.output, self.notes = Kept(room), Kept()
        plain = partial(_plain, self.output, terminal)
        sink = ForeignSink(
            "renderer 'r' of the package 'p'",
            make,
            self.output,
            self.notes,
            plain,
            CancelToken(),
            terminal=terminal,
        )
        for event in events or (*map(ev.Content, WORDS), DONE):
            sink.write(Arrival([event]))
        sink.close()
        sink.close()


def _plain(output: Kept, terminal: bool, notes: Any) -> Sink:
    return PlainSink(output, notes, terminal=terminal, reasoning=False, stats=False)


def test_it_shows_the_answer_alone() -> None:
    shown = Shown(Brackets)
    assert (shown.output.text, shown.notes.text) == ("[one ][two ][three ][four]", "")


def test_what_goes_wrong_is_told_beside_it() -> None:
    shown = Shown(Brackets, ev.Content("one"), ev.Warn("w", "odd"), ERROR)
    assert shown.output.text == "[one]"
    assert shown.notes.text.splitlines() == [
        "warning: odd",
        "error: cut off",
        "continue it with: chatstream resume a",
    ]


@pytest.mark.parametrize("error", [ValueError("no\nluck"), SystemExit(3)])
@pytest.mark.parametrize("fails", ["made", "one", "three", "four", "close"])
def test_wherever_it_fails_the_rest_is_shown_plain_and_one_line_names_it(
    fails: str, error: BaseException
) -> None:
    shown = Shown(lambda output: Brackets(output, fails, error))
    assert shown.output.text.replace("[", "").replace("]", "") == "".join(WORDS)
    (line,) = shown.notes.text.splitlines()
    named = "the renderer 'r' of the package 'p' failed, so the answer is shown as plain text: "
    assert line.startswith(f"warning: {named}")
    assert type(error).__name__ in line


def test_what_it_was_given_last_is_shown_again_rather_than_lost() -> None:
    shown = Shown(lambda output: Brackets(output, "two written"))
    assert shown.output.text == "[one ][two ]two three four"


def test_one_that_has_written_nothing_when_it_fails_has_cost_nothing() -> None:
    class AtTheEnd(Brackets):
        def write(self, arrival: Arrival) -> None:
            if isinstance(arrival.events[0], ev.Done):
                raise KeyError("sum")

    shown = Shown(AtTheEnd)
    assert shown.output.text == "".join(WORDS)


def test_an_output_that_is_full_is_no_failure_of_the_renderer() -> None:
    with pytest.raises(OSError, match="No space left"):
        Shown(Brackets, room=8)


def test_on_a_terminal_it_is_given_harmless_text() -> None:
    made: list[Brackets] = []

    def make(output: Text) -> Sink:
        made.append(Brackets(output))
        return made[0]

    evil = "\x1b]52;c;x\x07\u202e"
    events = [ev.Content(evil), ev.ToolCall("1", evil, evil), ev.Warn("w", evil), DONE]
    shown = Shown(make, *events, terminal=True)
    for text in (shown.output.text, shown.notes.text, *map(repr, made[0].seen)):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert [type(it) for it in made[0].seen] == [type(it) for it in events]
    assert events[0] == ev.Content(evil)  # it was given copies


def test_on_a_terminal_notes_and_the_prompt_begin_a_line_of_their_own() -> None:
    shown = Shown(Brackets, ev.Content("one"), ev.Warn("w", "odd"), terminal=True)
    assert (shown.output.text, shown.notes.text) == ("[one]\n", "warning: odd\n")
    assert Shown(Brackets, terminal=True).output.text.endswith("[four]\n")


def test_a_renderer_that_hangs_is_left_behind_and_writes_nothing_more() -> None:
    token, gate, late = CancelToken(), threading.Event(), list[BaseException]()
    ended = threading.Event()

    class Stuck:
        def __init__(self, output: Text) -> None:
            self._output = output

        def write(self, arrival: Arrival) -> None:
            if arrival.events == [ev.Content("three ")]:
                token.cancel()
                gate.wait()
                try:
                    self._output.write("late")
                except OSError as error:
                    late.append(error)
                ended.set()
            for event in arrival.events:
                if isinstance(event, ev.Content):
                    self._output.write(f"[{event.delta}]")

        def close(self) -> None:
            self._output.write("closed")

    output, notes = Kept(), Kept()
    plain = partial(_plain, output, False)
    sink = ForeignSink("renderer 'r'", Stuck, output, notes, plain, token, terminal=False)
    for event in (*map(ev.Content, WORDS), DONE):
        sink.write(Arrival([event]))
    sink.close()
    gate.set()
    assert ended.wait(LIMIT)
    assert output.text == "[one ][two ]three four"
    assert notes.text.count("the renderer 'r' failed") == 1
    assert len(late) == 1
