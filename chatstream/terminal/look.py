"""Where an answer is shown, and how it looks: what the settings and the terminal decide.

1. `is_screen` alone decides whether there is a live view. A pipe gets the answer's bytes, whatever
   the environment says of colours and columns, unless `--render` asks for a drawn answer.
2. Colours follow `--color`, then `NO_COLOR`, then `FORCE_COLOR`, then the terminal.
"""

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TextIO, cast

from chatstream.engine.settings import Settings, When
from chatstream.errors import ConfigError, UsageError
from chatstream.nearest import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from chatstream.sinks.terminal import TerminalFile
    from chatstream.sinks.theme import Theme
    from chatstream.terminal.beside import Beside
    from chatstream.terminal.keyboard import Keyboard


_NO_COLOR = {"auto": None, "always": False, "never": True}
_FORCING = ("FORCE_COLOR", "CLICOLOR_FORCE")


def is_screen(settings: Settings, *, as_json: bool, plain: bool) -> bool:
    """Whether the answer is drawn on a terminal."""
    asked = as_json or plain or settings.accessible or settings.renderer is not None
    return not asked and os.isatty(1) and knows_escapes()


def knows_escapes() -> bool:
    """Whether the terminal, if there is one, understands escape sequences."""
    term = os.environ.get("TERM", "").lower()
    if os.name == "nt" and not term:
        from rich.console import Console

        return not Console().legacy_windows
    return term not in {"", "dumb", "unknown"}


def has_colours(descriptor: int, color: When = "auto") -> bool:
    """Whether what is written there for people has colours. `color` is the setting."""
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = any(os.environ.get(name, "") not in {"", "0"} for name in _FORCING)
    return forced or (os.isatty(descriptor) and knows_escapes())


def is_rendered(settings: Settings, *, as_json: bool, plain: bool) -> bool:
    """Whether Markdown is drawn where there is no terminal."""
    asked = as_json or plain or settings.accessible
    return settings.render and not asked and not os.isatty(1)


def check_look(
    settings: Settings, *, as_json: bool, plain: bool, render: bool | None = None
) -> None:
    """Raises `ConfigError` for a look that does not exist, and what `check_render` raises.

    Also what the package of a renderer raises while it is loaded.
    """
    check_render(render, {"--json": as_json, "--plain": plain})
    if settings.renderer is not None and not (as_json or plain):
        from chatstream.engine.extras import renderer

        renderer(settings.renderer)
    name = settings.code_theme
    look = {"as_json": as_json, "plain": plain}
    if name is None or not (is_screen(settings, **look) or is_rendered(settings, **look)):
        return
    from chatstream.sinks.code import is_code_theme

    if not is_code_theme(name):
        names = code_themes()
        hint = did_you_mean(name, names, f"choose from: {', '.join(names)}")
        raise ConfigError(f"unknown code theme {name!r}", hint=hint)


def check_render(render: bool | None, others: Mapping[str, bool]) -> None:
    """Raises `UsageError` if `--render` was given, and one of these other options was, too."""
    for name, given in others.items():
        if render and given:
            raise UsageError(
                f"--render and {name} exclude each other", hint="leave one of them out"
            )


def code_themes() -> list[str]:
    """The names that `--code-theme` takes."""
    from pygments.styles import get_all_styles

    return sorted({"ansi_dark", "ansi_light", *get_all_styles()})


def ends_line(text: str, settings: Settings) -> bool:
    """Whether an answer has ended its line, where it was written and not drawn on a terminal."""
    # What is drawn in a pipe, or meant for a screen reader, has its line end.
    return not text or text.endswith("\n") or settings.accessible or settings.render


def is_resettable(*, as_json: bool) -> bool:
    """Whether an answer can start over: the events say so, but bytes cannot."""
    return as_json or os.isatty(1)


def note_colours(settings: Settings) -> Mapping[str, str] | None:
    """The colours of notes on standard error, as SGR parameters; None without colours."""
    if not has_colours(2, settings.color):
        return None
    from chatstream.sinks.palette import NOTES, background_for

    return NOTES[background_for(settings.theme, os.environ)]


def question_colours(settings: Settings) -> Mapping[str, str]:
    """For a question that is asked beside the answer."""
    notes = note_colours(settings) or {}
    kinds = {"added": "success", "removed": "failure", "place": "advice"}
    return {kind: notes[note] for kind, note in kinds.items() if note in notes}


def columns() -> int:
    """What `COLUMNS` says, or the width of the terminal that errors or keys belong to, or 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told[:9]) > 0:
        return int(told[:9])
    for descriptor in (2, 0):
        with contextlib.suppress(OSError):
            if columns := os.get_terminal_size(descriptor).columns:
                return columns
    return 80


def interval_of(settings: Settings, usual: float) -> float:
    """The least time between two frames of a view, in seconds; `usual` is that of its own rate."""
    return usual if settings.update_interval is None else settings.update_interval


def looks(
    settings: Settings,
    file: "TextIO | TerminalFile",
    keyboard: "Keyboard | None" = None,
    beside: "Beside | None" = None,
) -> "tuple[Console, Theme]":
    """The console to draw on, and how. Without a keyboard the terminal is not asked for its
    background.
    """
    from rich.console import Console

    from chatstream.sinks.theme import theme_for
    from chatstream.terminal.background import ask

    console = Console(
        file=cast("TextIO", file), force_terminal=True, no_color=_NO_COLOR[settings.color]
    )
    shows: Literal["colours", "attributes", "nothing"]
    shows = "attributes" if console.no_color else "colours" if console.color_system else "nothing"
    unknown = settings.theme == "auto" and shows == "colours"
    told = beside.background if beside else None
    if keyboard and unknown and told is None:
        told = ask(keyboard, file.write)
        if beside:
            beside.background = told
    return console, theme_for(settings.theme, settings.code_theme, told=told, shows=shows)
