"""What the terminal can do, for `chatstream doctor`: one finding each, none of them a problem.

Nothing is sent to the terminal and nothing is read from it. What cannot be asked without that is
known by its name (`TERM`, `TERM_PROGRAM` and what a terminal sets to be known by).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping

from chatstream.doctor.diagnosis import Finding
from chatstream.terminal import stdout
from chatstream.terminal.keyboard import Keyboard
from chatstream.terminal.look import has_colours, knows_escapes

NARROW_COLUMNS = 40
"""Columns below which tables and code hardly fit."""

DRAWN = "✓│─█…"
"""Characters that the screens draw with."""

WITHOUT_CLIPBOARD = {
    "TERM_PROGRAM": {"Apple_Terminal": "Terminal.app"},
    "VTE_VERSION": {"": "this terminal (VTE)"},
}
"""Terminals that ignore OSC 52: a variable, its value ("" for any), and the name."""


def terminal() -> Iterator[Finding]:
    """Colours, width, characters, clipboard, keyboard."""
    if not os.isatty(1):
        yield _ok("terminal: standard output is not a terminal, so answers are plain text")
        yield _characters(sys.stdout.encoding)
        return
    yield _colours(os.environ)
    yield _width()
    yield _characters(sys.stdout.encoding)
    yield _clipboard(os.environ)
    yield _keyboard()


def _colours(environ: Mapping[str, str]) -> Finding:
    if has_colours(1):
        deep = environ.get("COLORTERM", "") in {"truecolor", "24bit"}
        many = "16 million" if deep else "256" if "256" in environ.get("TERM", "") else "16"
        return _ok(f"colours: {many} ({environ.get('TERM') or 'forced'})")
    if environ.get("NO_COLOR"):
        return _note("colours: off, because NO_COLOR is set", "unset NO_COLOR to turn them on")
    term = environ.get("TERM") or "not set"
    return _note(f"colours: off, because TERM is {term}", "set TERM, for example to xterm-256color")


def _width() -> Finding:
    columns = shutil.get_terminal_size().columns
    if columns < NARROW_COLUMNS:
        return _note(f"width: {columns} columns", f"widen the window: tables need {NARROW_COLUMNS}")
    return _ok(f"width: {columns} columns")


def _characters(encoding: str) -> Finding:
    if stdout.can_show(DRAWN, encoding):
        return _ok(f"encoding: {encoding}, with all characters that chatstream draws")
    return _note(
        f"encoding: {encoding}, which lacks some characters; they become ? or ASCII",
        "use a UTF-8 locale (LANG=C.UTF-8), or set PYTHONIOENCODING=utf-8",
    )


def _clipboard(environ: Mapping[str, str]) -> Finding:
    file = "use --copy-to FILE instead of --copy"
    if not knows_escapes():
        return _note(
            "clipboard: not available, because this terminal has no escape sequences", file
        )
    if environ.get("TMUX"):
        if shutil.which("tmux"):
            return _ok("clipboard: through tmux")
        return _note("clipboard: tmux is running, but its command is not in PATH", file)
    for variable, names in WITHOUT_CLIPBOARD.items():
        value = environ.get(variable)
        name = names.get(value) or names.get("") if value else None
        if name:
            return _note(f"clipboard: {name} ignores OSC 52", file)
    return _ok("clipboard: OSC 52, if the terminal allows it; terminals never confirm it")


def _keyboard() -> Finding:
    keyboard = Keyboard()
    keyboard.open()
    try:
        if keyboard.is_open:
            return _ok("keyboard: space pauses an answer, Esc stops it, r shows the reasoning")
    finally:
        keyboard.close()
    return _note("keyboard: there is no terminal to read keys from", "Ctrl+C still stops an answer")


def _ok(what: str) -> Finding:
    return Finding(code="terminal", severity="ok", what=what)


def _note(what: str, todo: str) -> Finding:
    return Finding(code="terminal", severity="note", what=what, todo=todo)
