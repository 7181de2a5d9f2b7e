"""Claimed: whatever a model, a tool or a server writes, the terminal is driven by us alone.

Every text comes whole and cut at every place (a sample of them, where they are many). It ends on
the screen as if it had been made visible beforehand; title, modes, charsets, tab stops and the
cursor are ours; nothing is answered to the program; and of escape sequences only those are written
that we write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pyte
import pytest

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.flow import Arrival
from chatstream.sinks.live import LiveSink
from tests.support.sampling import sampled
from tests.support.screen import Screen, console_on

DRIVING = {
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "clipboard, ended by ST": "\x1b]52;p;cm0=\x1b\\",
    "clipboard is asked for": "\x1b]52;c;?\x07",
    "title": "\x1b]0;owned\x07",
    "window's title": "\x1b]2;owned\x1b\\",
    "icon's title": "\x1b]1;owned\x07",
    "title is asked for": "\x1b[21t",
    "title without an end": "\x1b]0;owned",
    "hidden link": "\x1b]8;;http://evil/\x1b\\good\x1b]8;;\x1b\\",
    "palette": "\x1b]4;0;#ffffff\x07\x1b]11;#000000\x07",
    "folder": "\x1b]7;file://evil/\x07",
    "notice": "\x1b]9;owned\x07\x1b]777;notify;a;b\x07",
    "commands of iTerm": "\x1b]1337;File=inline=1:AAAA\x07",
    "cursor to the top": "\x1b[H\x1b[1;1f",
    "cursor up, and over the text": "one\x1b[5A\x1b[9Dtwo",
    "cursor by columns": "\x1b[99G\x1b[d\x1b[E\x1b[F\x1b[99C\x1b[9B",
    "screen erased": "\x1b[2J\x1b[3J\x1b[J",
    "line erased": "all\x1b[2K\x1b[1Kwell",
    "lines moved": "\x1b[L\x1b[M\x1b[@\x1b[P\x1b[X",
    "scrolled": "\x1b[5S\x1b[5T\x1bD\x1bM\x1bE",
    "margins": "\x1b[2;4r\x1b[?69h\x1b[2;4s",
    "other screen": "\x1b[?1049h\x1b[?47h",
    "cursor hidden": "\x1b[?25l",
    "no wrapping": "\x1b[?7l",
    "insert mode": "\x1b[4h\x1b[20h",
    "origin, and reverse video": "\x1b[?6h\x1b[?5h",
    "mouse and pasting": "\x1b[?1000h\x1b[?1006h\x1b[?2004h",
    "update without an end": "\x1b[?2026h",
    "colours": "\x1b[31;1mred\x1b[8mhidden",
    "colours with colons": "\x1b[38:2::1:2:3mx\x1b[4:3m",
    "device attributes": "\x1b[c\x1b[>c\x1b[=c\x1bZ",
    "where the cursor is": "\x1b[6n\x1b[5n\x1b[?6n",
    "modes are asked for": "\x1b[?1$p\x1b[>q",
    "settings are asked for": "\x1bP$qm\x1b\\",
    "keys are defined": "\x1bP0;1|17/726d\x1b\\",
    "pictures": "\x1bPq#0;2;0;0;0~~\x1b\\",
    "terminfo": "\x1bP+q544e\x1b\\",
    "application": "\x1b_Ga=T;AAAA\x1b\\",
    "private message": "\x1b^owned\x1b\\",
    "string": "\x1bXowned\x1b\\",
    "tmux passes it on": "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
    "line drawing": "\x1b(0lqk\x1b)0\x0elqk",
    "charsets shifted": "\x0e\x0f\x1bn\x1bo\x1b|",
    "UTF-8 turned off": "\x1b%@\xe9",
    "saved and restored": "\x1b7\x1b8\x1b[s\x1b[u",
    "tab stops": "\x1bH\x1b[3g\x1b[0g",
    "repeated": "x\x1b[99b",
    "soft reset": "\x1b[!p",
    "full reset": "\x1bc",
    "all of it E": "\x1b#8",
    "keypad": "\x1b=\x1b>",
    "leds and cursor's shape": "\x1b[1q\x1b[5 q",
    "window resized": "\x1b[8;10;10t\x1b[3;0;0t",
    "printed": "\x1b[5i\x1b[4i",
    "half an escape": "\x1b",
    "half a CSI": "\x1b[",
    "8-bit CSI": "\x9b2J\x9b?25l",
    "8-bit OSC": "\x9d0;owned\x9c",
    "8-bit DCS, APC, PM, SOS": "\x90q\x9c\x9fG\x9c\x9eP\x9c\x98S\x9c",
    "8-bit index, tab stop, shifts": "\x84\x85\x88\x8d\x8e\x8f\x8eA",
    "bell": "\x07\x07",
    "backspaces": "rm -rf\x08\x08\x08\x08\x08\x08harmless",
    "lone carriage return": "all well\rrm -rf /",
    "carriage returns": "a\r\nb\r\rc",
    "other white space": "a\x0bb\x0cc\x1cd\x1fe",
    "NUL and DEL": "a\x00b\x7f\x7f",
    "cancel": "\x1b[3\x181m\x1b]0;x\x1a",
    "enquiry": "\x05",
    "bidi override": "safe\u202egpj.exe\u202c",
    "bidi isolates": "\u2067x\u2066y\u2068z\u2069\u2069",
    "marks of direction": "\u200ea\u200fb\u061cc",
    "other line ends": "a\u2028b\u2029c\x85d",
    "annotation": "a\ufff9b\ufffac\ufffb",
    "tags": "a\U000e0001\U000e0069\U000e0067\U000e007fb",
    "lone surrogates": "a\ud83d\udc00b",
}
AROUND = {
    "prose": "before {} after",
    "strong": "**before {} after**",
    "code": "a `{}` b",
    "heading": "# {}\ntext",
    "block of code": "```python\n{}\n# after\n```\n",
    "info string": "```{}\ncode\n```\n",
    "indented code": "    {}\n",
    "text of a link": "[{}](http://example.com)",
    "target of a link": "[a](http://example.com/{}) <http://example.com/{}>",
    "title of a link": '[a](http://example.com "{}")',
    "cell": "| a | b |\n|---|---|\n| {} | x |\n",
    "header": "| {} | b |\n|---|---|\n| x | y |\n",
    "item in a quote": "> - {}\n> - b\n",
    "HTML": "<div title='{}'>",
}
ENTITIES = (
    "&#27;[2J &#x1b;]0;owned&#7; &#155;2J &#x9d;0;x&#x9c; &#x202e;x &rlm; &#8; &#0; &#13;rm &#12; "
    "&#xd83d; &#xe0041; &#x2028; &#xfeff; &#65529; [a](http://x/&#27;]52;c;x&#7;) `&#27;`"
)
SHORT = "\x1b]0;o\x07\x9b2J\x1b[8m\u202ez"
TEXTS = {
    **{name: f"before {text} after" for name, text in DRIVING.items()},
    **{f"in: {place}": around.format(SHORT, SHORT) for place, around in AROUND.items()},
    **{
        f"entities in: {place}": AROUND[place].format(ENTITIES, ENTITIES)
        for place in ("prose", "target of a link")
    },
}

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(duration=1.0, chunks=1), attempts=1)

OURS = re.compile(
    r"\x1b\[[\d;]*m|\x1b\[\d*[ABCG]|\x1b\[2?[JK]|\x1b\[\?(?:7|25|2026)[hl]"
    r"|\x1b\]8;id=\d+;https?://[!-~]*\x1b\\|\x1b\]8;;\x1b\\|[\r\n]"
)
DRIVES = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb"
    "\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


class _Asked(pyte.HistoryScreen):
    """Keeps what the terminal would answer."""

    def __init__(self, columns: int, lines: int, answers: list[str]) -> None:
        super().__init__(columns, lines, history=1000)
        self._answers = answers

    def write_process_input(self, data: str) -> None:
        self._answers.append(data)


class Terminal(Screen):
    """The emulator, and what it holds besides text."""

    def __init__(self) -> None:
        super().__init__(60, 12)
        self.answers: list[str] = []
        self.stream.detach(self._screen)
        self._screen = _Asked(60, 12, self.answers)
        self.stream.attach(self._screen)

    @property
    def state(self) -> object:
        it = self._screen
        attributes = it.cursor.attrs._replace(data=" ")
        charsets = it.charset, it.g0_charset, it.g1_charset
        return (
            *(it.title, it.icon_name, frozenset(it.mode), charsets, it.margins),
            *(frozenset(it.tabstops), it.cursor.hidden, attributes, tuple(it.savepoints)),
        )

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.x, self._screen.cursor.y


def run(events: Iterable[ev.Event]) -> Terminal:
    """The terminal after these, with a frame for each."""
    terminal = Terminal()
    now = 0.0
    sink = LiveSink(console_on(terminal), reasoning="show", stats=True, clock=lambda: now)
    for event in events:
        now += 1.0
        sink.write(Arrival([event]))
    sink.close()
    return terminal


BEFORE = Terminal().state


def assert_untouched(terminal: Terminal) -> None:
    written = OURS.sub("", terminal.file.getvalue())
    assert DRIVES.search(written) is None
    assert terminal.answers == []
    assert terminal.state == BEFORE
    assert terminal.cursor[0] == 0


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_an_answer_cannot_drive_the_terminal_wherever_it_is_cut(text: str) -> None:
    visible = run([ev.Content(clean(text)), DONE])
    for cut in sampled(range(len(text) + 1), 20, text):
        terminal = run([ev.Content(text[:cut]), ev.Content(text[cut:]), DONE])
        assert_untouched(terminal)
        assert (terminal.text(), terminal.cursor) == (visible.text(), visible.cursor)


@pytest.mark.parametrize("kind", sampled(list(DRIVING), 25, "a character at a time"))
def test_neither_can_a_character_at_a_time(kind: str) -> None:
    text = DRIVING[kind]
    visible = run([ev.Content(clean(text)), DONE])
    terminal = run([*map(ev.Content, text), DONE])
    assert_untouched(terminal)
    assert terminal.text() == visible.text()


@pytest.mark.parametrize("text", DRIVING.values(), ids=DRIVING.keys())
def test_reasoning_and_the_output_of_a_tool_cannot_either(text: str) -> None:
    for cut in {0, 1, len(text) // 2, len(text) - 1}:
        first, second = text[:cut], text[cut:]
        terminal = run([ev.Reasoning(first), ev.Reasoning(second), DONE])
        assert_untouched(terminal)
        seen = "".join(clean(text).expandtabs().split())
        assert "".join("".join(terminal.text()).split()).startswith(seen)
        output = [ev.ToolOutput("1", "t", first), ev.ToolOutput("1", "t", second)]
        assert_untouched(run([ev.ToolStart("1", "t"), *output, DONE]))


OTHERS: dict[str, Callable[[str], list[ev.Event]]] = {
    "name of a called tool": lambda it: [ev.ToolCall("1", it, "{}"), DONE],
    "arguments of a call": lambda it: [ev.ToolCall("1", "t", f'{{"a": "{it}"}}'), DONE],
    "name of a tool": lambda it: [ev.ToolStart("1", it), ev.ToolComplete("1", it, "r", 1.0), DONE],
    "id of a tool": lambda it: [ev.ToolStart(it, "t"), ev.ToolComplete(it, "t", "r", 1.0), DONE],
    "parameters": lambda it: [ev.ToolStart("1", "t", {it: it, "b": [it], "c": {it: 1}}), DONE],
    "progress of a tool": lambda it: [
        ev.ToolStart("1", "t"),
        ev.ToolProgress("1", "t", 50.0, it),
        DONE,
    ],
    "result of a tool": lambda it: [
        ev.ToolStart("1", "t"),
        ev.ToolComplete("1", "t", it, 1.0),
        DONE,
    ],
    "error of a tool": lambda it: [ev.ToolStart("1", it), ev.ToolError("1", it, it, 1.0), DONE],
    "end of a tool that never began": lambda it: [ev.ToolComplete(it, it, it, 1.0), DONE],
    "progress": lambda it: [ev.Progress(it, 1.0, 2.0, message=it), ev.Content("x"), DONE],
    "progress without a total": lambda it: [ev.Progress(it, 1.0, message=it), DONE],
    "retry": lambda it: [
        ev.Retry(attempt=2, max=3, delay=9.0, cause=it, action="reset"),
        ev.Content("x"),
        DONE,
    ],
    "fallback": lambda it: [ev.Fallback(it, it, it), ev.Content("x"), DONE],
    "source": lambda it: [ev.Content("x"), ev.Citation(it, it), ev.Citation(it, None, 2), DONE],
    "image": lambda it: [ev.Content("x"), ev.Image(it, it, it), ev.Image(it, None, it), DONE],
    "warning": lambda it: [ev.Content("x"), ev.Warn(it, it), DONE],
    "model": lambda it: [ev.Metadata(provider=it, model=it, request_id=it), ev.Content("x"), DONE],
    "reason of the end": lambda it: [
        ev.Done(
            finish_reason="length",
            raw_finish_reason=it,
            stats=ev.Stats(duration=1.0, chunks=1),
            attempts=1,
        )
    ],
    "error": lambda it: [
        ev.Content("x"),
        ev.Error(it, it, recoverable=True, partial=True, hint=it, resume=it, request_id=it),
    ],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_no_other_remote_text_can(kind: str) -> None:
    made = OTHERS[kind]
    for text in sampled(list(DRIVING.values()), 15, "others", kind):
        assert_untouched(run(made(text)))
        assert_untouched(run(made(f"{'x' * 30}{text}\n{text}")))


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(DRIVING) >= 60
    assert all(DRIVES.search(text) for text in DRIVING.values())


def write(text: str) -> None:
    """As it is."""
    terminal = Terminal()
    terminal.file.write(text)
    assert_untouched(terminal)


@pytest.mark.parametrize("text", DRIVING.values(), ids=DRIVING.keys())
def test_what_drives_a_terminal_would_be_seen_here(text: str) -> None:
    with pytest.raises((AssertionError, TypeError)):  # pyte itself fails at one of them
        write(text)
