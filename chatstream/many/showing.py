"""Where several answers are shown while they are written: columns, a document, or JSON.

On a terminal the digits stop single answers and Ctrl+C all of them; in a chat everything that is
typed is for later, as during any answer.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings
from chatstream.flow import Sink, pipe
from chatstream.many.compare import Comparison
from chatstream.sinks.output import put
from chatstream.terminal.exits import note
from chatstream.terminal.interrupt import interrupts, write_now
from chatstream.terminal.look import interval_of, is_screen, looks
from chatstream.terminal.present import choose_sink, show, show_answer

if TYPE_CHECKING:
    from chatstream.sinks.columns import ColumnsSink, Layout
    from chatstream.terminal.beside import Beside


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers are shown. `layout` None fits the terminal."""

    as_json: bool = False
    plain: bool = False
    layout: Layout | None = None

    def is_screen(self, settings: Settings) -> bool:
        """Whether they are drawn on a terminal."""
        return is_screen(settings, as_json=self.as_json, plain=self.plain)


def section(title: str, text: str, settings: Settings, look: Look) -> None:
    """Show Markdown that follows the answers, below an empty line.

    Raises `BrokenPipeError`, `OSError`.
    """
    put(b"\n")
    whole = f"{title}\n\n{text}".lstrip("\n")
    if look.plain:
        put(whole.encode("utf-8", "replace"))
    else:
        show_answer(whole, settings)


def show_all(
    comparison: Comparison,
    servers: Mapping[str, str],
    settings: Settings,
    token: CancelToken,
    look: Look,
    beside: Beside | None = None,
) -> int:
    """Read the answers and show them; returns the exit status.

    `servers` are those that may answer one request at a time, by the labels of the answers.
    """

    def status() -> int:
        return token.reason.exit_status if token.reason is not None else comparison.status

    if look.is_screen(settings):
        return _on_screen(comparison, servers, settings, token, look, beside)
    arrivals = comparison.arrivals()
    sink: Sink
    if look.as_json:
        sink = choose_sink(settings, as_json=True, plain=False)
    else:
        from chatstream.sinks.document import DocumentSink

        labels = [it.label for it in comparison.answers]

        def make() -> Sink:
            return choose_sink(settings, as_json=False, plain=look.plain, token=token)

        sink = DocumentSink(labels, make, put, note)
    return show(arrivals, sink, token, status)


def _on_screen(
    comparison: Comparison,
    servers: Mapping[str, str],
    settings: Settings,
    token: CancelToken,
    look: Look,
    beside: Beside | None,
) -> int:
    from chatstream.sinks.columns import FRAMES_PER_SECOND, ColumnsSink
    from chatstream.sinks.deferred import DeferredSink
    from chatstream.sinks.terminal import TerminalFile
    from chatstream.terminal.keyboard import Keyboard
    from chatstream.terminal.shortcuts import keys

    keyboard = beside.keyboard if beside else Keyboard()
    file = TerminalFile(sys.stdout)
    usual = 1 / FRAMES_PER_SECOND
    interval = interval_of(settings, usual)
    arrivals = comparison.arrivals(min(interval, usual))
    made: list[ColumnsSink] = []

    def restore() -> None:
        for sink in made:
            sink.leave(write_now)

    def restore_all() -> None:
        restore()
        keyboard.restore()

    def make() -> Sink:
        console, theme = looks(settings, file, keyboard, beside)
        made.append(
            ColumnsSink(
                console,
                [it.label for it in comparison.answers],
                servers=servers,
                layout=look.layout,
                theme=theme,
                reasoning=settings.reasoning,
                stats=settings.stats is not False,
                keys=beside is None and keyboard.is_open,
                ready=lambda: file.ready,
                wrap=settings.wrap,
                interval=interval,
            )
        )
        return made[0]

    def status() -> int:
        return token.reason.exit_status if token.reason is not None else comparison.status

    listening = keys(token, keyboard, beside=beside, restore=restore, pick=comparison.stop)
    with interrupts(token, restore_all), listening as stage:
        try:
            return show(pipe(arrivals, stage), DeferredSink(make), token, status)
        finally:
            with contextlib.suppress(OSError):  # a terminal that is gone gets no more
                file.close()
