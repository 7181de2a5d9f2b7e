"""Several answers side by side, and then each of them whole."""

from __future__ import annotations

import pytest

from chatstream.events import Content, Done, Error, Event, Metadata, Stats
from chatstream.flow import Arrival, Key, Typed
from chatstream.sinks.columns import LEAST_CELLS, ColumnsSink, Layout
from tests.support.screen import Screen, console_on


class View:
    """The sink on a terminal in memory, with a clock that is told the time."""

    def __init__(
        self,
        *labels: str,
        columns: int = 120,
        lines: int = 24,
        layout: Layout | None = None,
        servers: dict[str, str] | None = None,
        keys: bool = True,
    ) -> None:
        self.screen = Screen(columns, lines)
        self.now = 0.0
        self.ready = True
        self.sink = ColumnsSink(
            console_on(self.screen),
            [*labels],
            layout=layout,
            servers=servers,
            keys=keys,
            ready=lambda: self.ready,
            clock=lambda: self.now,
        )

    def write(self, label: str | None, *events: Event) -> None:
        self.now += 1.0
        self.sink.write(Arrival([*events], stream=label))

    def rows(self) -> list[str]:
        return self.screen.visible()

    @property
    def written(self) -> str:
        return self.screen.file.getvalue()


def done() -> Done:
    return Done(finish_reason="stop", stats=Stats(2.0, 3), attempts=1)


def stopped() -> Error:
    return Error("cancelled", "stopped", recoverable=True, partial=True)


def begun(label: str) -> Metadata:
    return Metadata(run=f"run-{label}", version=1)


def test_answers_stand_side_by_side() -> None:
    view = View("a", "b", "c")
    view.write("a", Content("The sky is blue."))
    view.write("c", Content("It is red."))
    rows = view.rows()
    assert [it.strip() for it in rows[0].split("│")] == ["1 a", "2 b", "3 c"]
    assert [it.strip() for it in rows[2].split("│")] == ["The sky is blue.", "", "It is red."]
    assert rows[-1] == "1-3 stop one · space pauses · Ctrl+C stops all"


@pytest.mark.parametrize(
    ("count", "columns", "beside"),
    [
        (2, 80, True),
        (2, 2 * LEAST_CELLS + 3, True),
        (2, 2 * LEAST_CELLS + 2, False),
        (3, 120, True),
        (3, 80, False),
        (4, 120, False),
        (2, 40, False),
        (9, 200, False),
    ],
)
def test_narrow_columns_are_a_stack(count: int, columns: int, beside: bool) -> None:
    view = View(*"abcdefghi"[:count], columns=columns)
    view.write("a", Content("hello"))
    assert ("│" in view.rows()[0]) is beside


@pytest.mark.parametrize(("layout", "beside"), [("columns", True), ("stack", False)])
def test_the_layout_can_be_chosen(layout: Layout, beside: bool) -> None:
    view = View("a", "b", columns=50 if beside else 150, layout=layout)
    view.write("a", Content("hello"))
    assert ("│" in view.rows()[0]) is beside


def test_a_stack_shows_the_first_answer_under_way_and_a_row_for_each_other() -> None:
    view = View("a", "b", "c", columns=40, lines=10)
    view.write("a", Content("Blue."))
    view.write("b", Content("Red."))
    rows = view.rows()
    assert rows[0].startswith("1 a  ")
    assert rows[1] == "Blue."
    assert [it[:3] for it in rows[7:9]] == ["2 b", "3 c"]
    view.write("a", done())
    rows = view.rows()
    assert (rows[0][:3], rows[1]) == ("2 b", "Red.")
    assert rows[7].startswith("1 a  ✓")


@pytest.mark.parametrize("lines", [1, 2, 3, 4])
@pytest.mark.parametrize("columns", [1, 10, 120])
def test_a_tiny_terminal_breaks_nothing(columns: int, lines: int) -> None:
    view = View("a", "b", "c", columns=columns, lines=lines)
    for label in "abc":
        view.write(label, Content("text " * 20), done())
    view.sink.close()


def test_a_key_is_offered_only_where_keys_are_heard() -> None:
    view = View("a", "b", keys=False)
    view.write("a", Content("hello"))
    assert view.rows()[-1] == "Ctrl+C stops all"
    view.write(None, Typed(queued=["a question"], draft="anoth"))
    assert "queued: a question" in "\n".join(view.rows())
    assert view.rows()[-1] == " › anoth_"


def test_a_pause_is_told() -> None:
    view = View("a", "b")
    view.write("a", Content("hello"))
    view.write(None, Key(pressed="pause"))
    assert view.rows()[-1] == "paused · space resumes"
    view.write(None, Key(pressed="go_on"))
    assert "stop one" in view.rows()[-1]


def test_one_that_waits_for_its_server_is_queued() -> None:
    view = View("a", "b", "c", servers={"a": "http://x", "b": "http://x", "c": "http://y"})
    view.write("a", Content("hello"))
    second, third = (it.strip() for it in view.rows()[1].split("│")[1:])
    assert second.startswith("queued")
    assert third.startswith("⠋ connecting") or "connecting" in third
    view.write("a", done())
    assert "queued" not in view.rows()[1]


def test_the_document_follows_in_the_order_asked_each_line_once() -> None:
    view = View("a", "b", "c", columns=90)
    for label in "cba":
        view.write(label, begun(label), Content(f"The answer of {label}.\n\nAnd more of {label}."))
    view.write("b", stopped())
    view.write("c", Error("connect", "refused", recoverable=True, partial=False))
    view.write("a", done())
    view.sink.close()
    view.sink.close()
    text = view.screen.text()
    lines = [line for line in text if line]
    assert [line for line in lines if line.startswith("──")] == [
        f"── {number} {label} · run run-{label} ──" for number, label in enumerate("abc", 1)
    ]
    for label in "abc":
        assert text.count(f"The answer of {label}.") == 1
        assert text.count(f"And more of {label}.") == 1
    order = [lines.index(f"The answer of {label}.") for label in "abc"]
    assert order == sorted(order)
    assert "■ stopped" in lines
    assert "✗ refused" in lines
    assert view.written.count("\x1b[?1049h") == view.written.count("\x1b[?1049l") == 1


def test_frames_are_drawn_only_when_due_and_when_the_terminal_is_ready() -> None:
    view = View("a", "b")
    view.write("a", Content("one"))
    before = view.written
    view.sink.write(Arrival([Content("two")], stream="a"))  # at the same moment
    assert view.written == before
    view.ready = False
    view.write("a", Content("three"))
    assert view.written == before
    view.ready = True
    view.write("a")
    assert "onetwothree" in view.rows()[2]
    before = view.written
    view.now += 0.05
    view.sink.write(Arrival([], stream="a"))
    assert len(view.written) - len(before) < 200  # the spinner of the other


def test_it_is_given_back_for_the_shell_and_drawn_again_after_it() -> None:
    view = View("a", "b")
    view.write("a", Content("hello"))
    view.write(None, Key(pressed="suspend"))
    assert view.written.endswith("\x1b[?1049l")
    view.write("a", Content(" there"))
    assert view.written.endswith("\x1b[?1049l")
    view.write(None, Key(pressed="continue"))
    view.write("a")
    assert view.rows()[2].startswith("hello there")


def test_a_handler_gives_the_screen_back() -> None:
    view = View("a", "b")
    view.write("a", Content("hello"))
    left: list[bytes] = []
    view.sink.leave(left.append)
    view.sink.leave(left.append)
    assert b"".join(left).count(b"\x1b[?1049l") == 1
