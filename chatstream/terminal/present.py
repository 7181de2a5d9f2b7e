"""Where a run is shown: the choice of a sink, and the run driven into it.

1. Standard output is for the answer, or for JSON; everything else goes to standard error. Only a
   terminal gets all of it on standard output, in its order.
2. `is_screen` alone decides whether there is a live view. A pipe gets the answer's bytes, whatever
   the environment says of colours and columns, unless `--render` asks for a drawn answer.
3. What is to be copied, saved and notified comes after the sink has given the terminal back.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, TextIO, cast

from chatstream.cancel import CancelToken
from chatstream.collector import settle
from chatstream.engine.settings import Settings, When
from chatstream.errors import Cancelled, ConfigError, OutputError, UsageError
from chatstream.escape import clean
from chatstream.events import Content, Terminal
from chatstream.flow import Arrival, Sink, Told, close, drive, pipe
from chatstream.nearest import did_you_mean
from chatstream.redact import redact
from chatstream.sinks import sink_class
from chatstream.sinks.notes import standard_error
from chatstream.sinks.output import Output
from chatstream.sinks.palette import ADVICE, NOTES, background_for
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from chatstream.control import Control
    from chatstream.engine.services import Choice
    from chatstream.sinks.terminal import TerminalFile
    from chatstream.sinks.theme import Theme
    from chatstream.terminal.beside import Beside
    from chatstream.terminal.copying import Copying
    from chatstream.terminal.keyboard import Keyboard


_NO_COLOR = {"auto": None, "always": False, "never": True}
_FORCING = ("FORCE_COLOR", "CLICOLOR_FORCE")


def is_screen(settings: Settings, *, as_json: bool, plain: bool) -> bool:
    """Whether the answer is drawn on a terminal."""
    asked = as_json or plain or settings.accessible
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
    """Raises `ConfigError` for a look that does not exist, and what `check_render` raises."""
    check_render(render, {"--json": as_json, "--plain": plain})
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
    """Whether an answer can start over: a reader of events is told, one of bytes is not."""
    return as_json or os.isatty(1)


def present(
    events: Iterator[Arrival],
    settings: Settings,
    token: CancelToken,
    *,
    as_json: bool,
    plain: bool,
    copying: "Copying | None",
    told: "list[Choice] | None" = None,
    control: "Control | None" = None,
    beside: "Beside | None" = None,
) -> int:
    """Show a run where its reader is; copy, save and notify as asked; returns the exit status.

    `told` receives, during the run, who is asked, to be shown beside the answer. `control` answers
    the questions of the run's tools, and stops them. `beside` receives what is typed while a live
    view is shown, in a program that asks several questions.
    """
    if copying is not None:
        events = copying.stage(events)
    screen = is_screen(settings, as_json=as_json, plain=plain)
    if told is not None:
        events = _telling(events, told, settings.color, screen=screen)
    if screen:
        status = _show_live(events, settings, token, control, beside)
    elif control is not None and control.can_answer:
        from chatstream.terminal.asking import questions

        sink = choose_sink(settings, as_json=as_json, plain=plain)
        with questions(control, token, colours=question_colours(settings)) as stage:
            status = show(pipe(events, stage), sink, token)
    else:
        status = show(events, choose_sink(settings, as_json=as_json, plain=plain), token)
    done = copying is None or _finish(copying, token)
    tell_end(settings, token, status)
    if done:
        return status
    return status or (token.reason.exit_status if token.reason else 1)


def tell_end(settings: Settings, token: CancelToken, status: int) -> None:
    """Ring the bell or show a notification, if that is wanted. Who stopped the answer knows."""
    if settings.notify != "none" and not token.cancelled:
        from chatstream.terminal.notify import notify

        notify(settings.notify if knows_escapes() else "bell", whole=status == 0)


def _finish(copying: "Copying", token: CancelToken) -> bool:
    """Copy and save. False if any of it could not be done, or a signal ended it.

    A clipboard, a FIFO or a file system may never answer. A signal that came before, and has ended
    the answer, is no reason to give up: its grace of five seconds goes on.
    """
    if token.cancelled:
        return copying.finish(_note)
    try:
        return token.wait_for(lambda: copying.finish(_note))
    except Cancelled as reason:
        _note(f"{reason.message} before all of it was copied or saved")
        return False


def tell(choice: "Choice", color: When = "auto") -> None:
    """A line in italics for the user who watches; nobody else gets it."""
    if os.isatty(2):
        line = clean(redact(str(choice)))
        line = f"\x1b[{ADVICE}m{line}\x1b[0m" if has_colours(2, color) else line
        standard_error().write(f"{line}\n".encode("utf-8", "replace"))


def _telling(
    events: Iterator[Arrival], told: "list[Choice]", color: When, *, screen: bool
) -> Iterator[Arrival]:
    """The run; what is told is passed on before what comes next, and then no more."""
    try:
        for arrival in events:
            if told and screen:
                if os.isatty(2):
                    arrival.events.insert(0, Told(line=redact(str(told[0]))))
            elif told:
                tell(told[0], color)
            yield arrival
            if told:
                break
        yield from events
    finally:
        close(events)


def _note(line: str) -> None:
    standard_error().write(f"{clean(line)}\n".encode("utf-8", "replace"))


def show(
    events: Iterator[Arrival],
    sink: Sink,
    token: CancelToken,
    status: Callable[[], int] | None = None,
) -> int:
    """Drive a run into a sink; returns the exit status. `status` tells that of several runs."""
    terminal: Terminal | None = None

    def watched() -> Iterator[Arrival]:
        nonlocal terminal
        try:
            for arrival in events:
                if arrival.connected:
                    settle()
                if arrival.events and isinstance(last := arrival.events[-1], Terminal):
                    terminal = last
                yield arrival
        finally:
            close(events)  # a sink that failed ends the run, and its journal says so

    try:
        drive(watched(), sink)
    except BrokenPipeError:  # the reader has seen enough
        return 0
    except OSError as error:
        if token.reason is not None:  # the terminal was closed, for one
            return token.reason.exit_status
        return exits.report(OutputError.of(error), ())
    return status() if status is not None else exits.status_of(terminal, token)


def tidy(settings: Settings) -> None:
    """Let go of journals that were kept long enough. After the answer, so that nobody waits."""
    from chatstream.store.retention import sweep

    with contextlib.suppress(NoHome):
        if settings.journal:
            sweep(state_folder(), settings.keep_complete, settings.keep_incomplete, time.time())


def choose_sink(settings: Settings, *, as_json: bool, plain: bool) -> Sink:
    """Where there is no live view: events for `--json`, else the answer's own bytes.

    With `--render` it is drawn. For a screen reader whole sentences on a terminal; on a pipe the
    bytes, and sentences beside.
    """
    sink: Sink
    reasoning = settings.reasoning == "show"
    if as_json:
        sink = sink_class("jsonl")(Output(1))
    elif settings.accessible and not plain:
        sink = sink_class("accessible")(
            Output(1),
            standard_error(),
            terminal=os.isatty(1),
            reasoning=reasoning,
            stats=settings.stats is not False,
        )
    elif is_rendered(settings, as_json=as_json, plain=plain):
        sink = _rendered(settings)
    else:
        sink = sink_class("plain")(
            Output(1),
            standard_error(),
            terminal=os.isatty(1),
            reasoning=reasoning,
            stats=bool(settings.stats),
            colours=_note_colours(settings),
        )
    return sink


def _note_colours(settings: Settings) -> Mapping[str, str] | None:
    coloured = has_colours(2, settings.color)
    return NOTES[background_for(settings.theme, os.environ)] if coloured else None


def question_colours(settings: Settings) -> Mapping[str, str]:
    """For a question that is asked beside the answer."""
    notes = _note_colours(settings) or {}
    kinds = {"added": "success", "removed": "failure", "place": "advice"}
    return {kind: notes[note] for kind, note in kinds.items() if note in notes}


def _rendered(settings: Settings) -> Sink:
    from rich.console import COLOR_SYSTEMS, Console

    from chatstream.sinks.theme import theme_for

    colours = has_colours(1, settings.color)
    console = Console(file=io.StringIO(), force_terminal=True)
    system = COLOR_SYSTEMS[console.color_system or "standard"] if colours else None
    shows: Literal["colours", "nothing"] = "colours" if colours else "nothing"
    sink: Sink = sink_class("rendered")(
        Output(1),
        standard_error(),
        theme=theme_for(settings.theme, settings.code_theme, shows=shows),
        width=_columns,
        colors=system,
        wrap=settings.wrap,
        reasoning=settings.reasoning == "show",
        stats=bool(settings.stats),
        colours=_note_colours(settings),
    )
    return sink


def _columns() -> int:
    """What `COLUMNS` says, or the width of the terminal that errors or keys belong to, or 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told[:9]) > 0:
        return int(told[:9])
    for descriptor in (2, 0):
        with contextlib.suppress(OSError):
            if columns := os.get_terminal_size(descriptor).columns:
                return columns
    return 80


def show_answer(text: str, settings: Settings) -> None:
    """Draw an answer of the past as it was drawn: on the terminal, or where `--render` asks."""
    look = {"as_json": False, "plain": False}
    if is_screen(settings, **look):
        sink = _live(settings, cast("TextIO", sys.stdout), ready=lambda: False)  # but at its end
    else:
        sink = choose_sink(settings, **look)
    drive(iter([Arrival([Content(text)])]), sink)


def _show_live(
    events: Iterator[Arrival],
    settings: Settings,
    token: CancelToken,
    control: "Control | None" = None,
    beside: "Beside | None" = None,
) -> int:
    """Drive a run into the live view, and listen to the keys meanwhile."""
    from chatstream.sinks.deferred import DeferredSink
    from chatstream.sinks.terminal import TerminalFile
    from chatstream.terminal.keyboard import Keyboard
    from chatstream.terminal.shortcuts import keys

    keyboard = beside.keyboard if beside else Keyboard()
    file = TerminalFile(sys.stdout)
    listening = keys(token, keyboard, control=control, beside=beside)
    with interrupts(token, keyboard.restore), listening as stage:
        sink = DeferredSink(lambda: _live(settings, file, keyboard, lambda: file.ready, beside))
        try:
            return show(pipe(events, stage), sink, token)
        finally:
            with contextlib.suppress(OSError):  # a terminal that is gone gets no more
                file.close()


def _live(
    settings: Settings,
    file: "TextIO | TerminalFile",
    keyboard: "Keyboard | None" = None,
    ready: Callable[[], bool] = lambda: True,
    beside: "Beside | None" = None,
) -> Sink:
    """The live view."""
    from chatstream.sinks.live import FRAMES_PER_SECOND

    console, theme = looks(settings, file, keyboard, beside)
    sink: Sink = sink_class("live")(
        console,
        theme=theme,
        reasoning=settings.reasoning,
        stats=settings.stats is not False,
        wrap=settings.wrap,
        keys=keyboard is not None and keyboard.is_open,
        ready=ready,
        interval=interval_of(settings, 1 / FRAMES_PER_SECOND),
    )
    return sink


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
