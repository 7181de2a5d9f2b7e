"""Where a run is shown: the choice of a sink, and the run driven into it.

1. Standard output is for the answer, or for JSON; everything else goes to standard error. Only a
   terminal gets all of it on standard output, in its order.
2. `look` decides whether there is a live view, and how it looks.
3. What is to be copied, saved and notified comes after the sink has given the terminal back.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal, TextIO, cast

from chatstream.cancel import CancelToken
from chatstream.collector import settle
from chatstream.engine.settings import Settings, When
from chatstream.errors import Cancelled, OutputError
from chatstream.escape import clean
from chatstream.events import Content, Terminal
from chatstream.flow import Arrival, Sink, Told, close, drive, pipe
from chatstream.redact import redact
from chatstream.sinks import sink_class
from chatstream.sinks.notes import standard_error
from chatstream.sinks.output import Output, Writer
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import (
    columns,
    has_colours,
    interval_of,
    is_rendered,
    is_screen,
    knows_escapes,
    looks,
    note_colours,
    question_colours,
)

if TYPE_CHECKING:
    from chatstream.control import Control
    from chatstream.engine.services import Choice
    from chatstream.sinks.terminal import TerminalFile
    from chatstream.terminal.beside import Beside
    from chatstream.terminal.copying import Copying
    from chatstream.terminal.keyboard import Keyboard


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

        sink = choose_sink(settings, as_json=as_json, plain=plain, token=token)
        with questions(control, token, colours=question_colours(settings)) as stage:
            status = show(pipe(events, stage), sink, token)
    else:
        sink = choose_sink(settings, as_json=as_json, plain=plain, token=token)
        status = show(events, sink, token)
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
        from chatstream.sinks.palette import ADVICE

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
                if arrival.events and isinstance(last := arrival.events[-1], Terminal):
                    terminal = last
                yield arrival
                if arrival.connected:  # and the sink, which imports much, has been made for it
                    settle()
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


def choose_sink(
    settings: Settings, *, as_json: bool, plain: bool, token: CancelToken | None = None
) -> Sink:
    """Where there is no live view: events for `--json`, else the answer's own bytes.

    A renderer of a package comes before all but `--json` and `--plain`; `token` is that of the run.
    With `--render` the answer is drawn. For a screen reader whole sentences on a terminal; on a
    pipe the bytes, and sentences beside.
    """
    sink: Sink
    if as_json:
        sink = sink_class("jsonl")(Output(1))
    elif settings.renderer is not None and not plain:
        sink = _foreign(settings, settings.renderer, token or CancelToken())
    elif settings.accessible and not plain:
        sink = sink_class("accessible")(
            Output(1),
            standard_error(),
            terminal=os.isatty(1),
            reasoning=settings.reasoning == "show",
            stats=settings.stats is not False,
        )
    elif is_rendered(settings, as_json=as_json, plain=plain):
        sink = _rendered(settings)
    else:
        sink = _plain(settings, standard_error())
    return sink


def _plain(settings: Settings, notes: Writer) -> Sink:
    sink: Sink = sink_class("plain")(
        Output(1),
        notes,
        terminal=os.isatty(1),
        reasoning=settings.reasoning == "show",
        stats=bool(settings.stats),
        colours=note_colours(settings),
    )
    return sink


def _foreign(settings: Settings, name: str, token: CancelToken) -> Sink:
    """The renderer of this name. Raises `UsageError`."""
    from chatstream.engine.extras import renderer
    from chatstream.sinks.foreign import ForeignSink

    called, make = renderer(name)
    return ForeignSink(
        called,
        make,
        Output(1),
        standard_error(),
        partial(_plain, settings),
        token,
        terminal=os.isatty(1),
    )


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
        width=columns,
        colors=system,
        wrap=settings.wrap,
        reasoning=settings.reasoning == "show",
        stats=bool(settings.stats),
        colours=note_colours(settings),
    )
    return sink


def show_answer(text: str, settings: Settings) -> None:
    """Draw an answer of the past as it was drawn: on the terminal, or where `--render` asks."""
    if is_screen(settings, as_json=False, plain=False):
        sink = _live(settings, cast("TextIO", sys.stdout), ready=lambda: False)  # but at its end
    else:
        sink = choose_sink(settings, as_json=False, plain=False)
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
        sink = DeferredSink(
            lambda: _live(
                settings,
                file,
                None if token.cancelled else keyboard,  # who has stopped it waits for no reply
                lambda: file.ready,
                beside,
            )
        )
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
