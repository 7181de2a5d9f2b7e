"""`chatstream compose`: what is to be written, where it is shown, and where it is kept.

1. The topic is put together like the question of `ask`: the argument, standard input, files.
2. The document is Markdown. On a terminal it is drawn as it is written, with the progress below it.
   In a pipe it is bytes, and standard error has the progress: a bar on a terminal, else a line for
   each section. With `--json` there are the events instead.
3. With `--out` nothing is printed, and the file is replaced in one step once the document is whole.
4. A document is recognised by its topic, its outline, the model and the request's settings. What
   was written of it before is shown again and not asked for, and what broke off is continued;
   `--again` starts over.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved, resolve
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, JournalError, UsageError
from chatstream.events import (
    Content,
    Done,
    Error,
    Event,
    Fallback,
    Metadata,
    Progress,
    Retry,
    Terminal,
    Warn,
)
from chatstream.files import named, read_whole
from chatstream.flow import Arrival, Sink, close
from chatstream.many import outline
from chatstream.many.compose import OUTLINE_LABEL, Composition, Plan
from chatstream.many.document import Document, told
from chatstream.many.gate import Gates
from chatstream.many.job import Job
from chatstream.many.outline import Outline
from chatstream.sinks import sink_class
from chatstream.sinks.notes import standard_error
from chatstream.store.composed import Composed
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal import exits, prompt
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import check_look, is_screen
from chatstream.terminal.present import present, show, tell_end, tidy
from chatstream.terminal.progress import Draw, bar, can_draw
from chatstream.terminal.saving import check_file, failing, write
from chatstream.text import STANDARD_INPUT, check_encoding, decoded
from chatstream.wording import encodable

PAGE = "page"
"""What `--outline` calls the outline of a web page; a file of that name is `./page`."""

MOST_AT_ONCE = 3
"""Sections that are written at once, unless `-j` says otherwise."""


def compose(arguments: Mapping[str, Any], flags: Mapping[str, Any]) -> int:
    """Write a document; returns the exit status."""
    token = CancelToken()
    with interrupts(token), contextlib.ExitStack() as stack:
        try:
            plan = plan_of(arguments, flags, token)
            job = _job(plan, stack, again=arguments["again"])
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if arguments["as_json"] else ())
        exits.warn(plan.resolved.warnings)
        settings = plan.resolved.settings
        pool = stack.enter_context(contextlib.closing(Pool(Gates(pause=settings.retry_delay))))
        most = arguments["jobs"] or MOST_AT_ONCE
        status = _show(Composition(plan, job, pool, token, most=most), plan, token, arguments)
        if not token.cancelled:
            tidy(settings)
        return status


def plan_of(arguments: Mapping[str, Any], flags: Mapping[str, Any], token: CancelToken) -> Plan:
    """What is to be written. Raises `UsageError`, `ConfigError`."""
    given, sections = arguments["outline"], arguments["sections"]
    if given is not None and sections is not None:
        raise UsageError("--outline and --sections exclude each other", hint="leave one out")
    resolved = _resolved(flags)
    check_look(
        resolved.settings,
        as_json=arguments["as_json"],
        plain=arguments["plain"],
        render=flags.get("render"),
    )
    out = arguments["out"]
    if out is not None:
        with failing(UsageError, f"--out {out} cannot be written"):
            check_file(out)
    encoding = arguments["encoding"]
    if encoding is not None:
        check_encoding(encoding)
    topic = _topic(arguments, resolved.settings, token)
    return Plan(topic, resolved, _outline(given, topic, encoding, token), sections, flags)


def _resolved(flags: Mapping[str, Any]) -> Resolved:
    others = {name: value for name, value in flags.items() if name != "profile"}
    return resolve(others, profile=flags.get("profile"))


def _topic(arguments: Mapping[str, Any], settings: Settings, token: CancelToken) -> str:
    files, encoding = arguments["file"] or (), arguments["encoding"]
    try:
        return prompt.compose(
            arguments["topic"], files, token, encoding=encoding, settings=settings
        )
    except prompt.NoQuestion as error:
        hint = 'chatstream compose "How rainbows form"'
        raise UsageError("no topic was given", hint=hint) from error


def _outline(
    given: str | None, topic: str, encoding: str | None, token: CancelToken
) -> Outline | None:
    if given is None:
        return None
    if given == PAGE:
        return outline.PAGE
    if given == STANDARD_INPUT:
        raise UsageError(
            "--outline does not read standard input, which is part of the topic",
            hint="give the name of a file",
        )
    name = encodable(given)
    try:  # a FIFO may have no writer yet
        data = token.wait_for(lambda: read_whole(named(given)))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error
    return outline.of_file(decoded(data, name, encoding), name, topic)


def _job(plan: Plan, stack: contextlib.ExitStack, *, again: bool) -> Job:
    if not plan.resolved.settings.journal:
        return Job(None)
    try:
        composed = stack.enter_context(contextlib.closing(Composed(state_folder(), plan.key)))
        if again:
            composed.forget()
    except (NoHome, JournalError) as error:
        exits.warn([f"the next run will write everything again: {error.message}"])
        return Job(None)
    return Job(composed)


def _show(
    composition: Composition, plan: Plan, token: CancelToken, arguments: Mapping[str, Any]
) -> int:
    settings, out = plan.resolved.settings, arguments["out"]
    as_json, plain = arguments["as_json"], arguments["plain"]
    screen = out is None and is_screen(settings, as_json=as_json, plain=plain)
    shown = out is None and os.isatty(1)
    written = Written(composition)
    with bar(quiet=settings.accessible or shown) as draw:
        arrivals = composition.arrivals()
        if not shown:
            lines = settings.accessible or not can_draw()
            arrivals = _beside(arrivals, draw, lines=lines and not as_json)
        if as_json:
            arrivals = written.watched(arrivals)
        else:
            arrivals = written.in_order(arrivals, tells=screen or settings.accessible)
        if out is None or as_json:
            status = present(arrivals, settings, token, as_json=as_json, plain=plain, copying=None)
        else:
            status = show(arrivals, _unprinted(settings), token)
            tell_end(settings, token, status)
    if not composition.is_whole:
        return status
    if not composition.asked:
        exits.note("the document was already complete; --again starts over")
    return status if out is None else _save(out, written.text)


def _unprinted(settings: Settings) -> Sink:
    """For a document that goes to a file: what is said about it goes to standard error."""
    sink: Sink = sink_class("plain")(
        _Nowhere(), standard_error(), terminal=False, reasoning=False, stats=bool(settings.stats)
    )
    return sink


class _Nowhere:
    def write(self, data: bytes) -> None:
        """It is in the file, later."""


def _save(out: Path, text: str) -> int:
    try:
        with failing(ChatstreamError, f"{out} cannot be written"):
            write(out, text)
    except ChatstreamError as error:
        return exits.report(error, ())
    exits.note(f"wrote {out}")
    return 0


class Written:
    """The document of a composition, as far as it goes."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._document: Document | None = None
        self._pieces: list[str] = []
        self._has_model = False

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    def watched(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """The same arrivals; their text is gathered."""
        try:
            for arrival in arrivals:
                self._take(arrival)
                yield arrival
        finally:
            close(arrivals)

    def in_order(self, arrivals: Iterator[Arrival], *, tells: bool) -> Iterator[Arrival]:
        """The document as the events of one answer: who writes it, its text, warnings, the end.

        If it `tells`, each arrival says how far it is, too.
        """
        last: Progress | None = None
        try:
            for arrival in arrivals:
                events = [*self._said(arrival), *self._take(arrival)]
                for event in arrival.events:
                    if isinstance(event, Progress):
                        last = event
                    elif event.stream is None:
                        events.append(event)
                is_end = bool(events) and isinstance(events[-1], Terminal)
                if tells and last is not None and arrival.events and not is_end:
                    events.append(last)
                yield Arrival(events, arrival.t, arrival.connected, arrival.alive)
        finally:
            close(arrivals)

    def _said(self, arrival: Arrival) -> Iterator[Event]:
        """The model, once; and what is to be said of the outline."""
        for event in arrival.events:
            if isinstance(event, Metadata) and not self._has_model and event.stream is not None:
                self._has_model = True
                yield Metadata(model=event.model)
            if event.stream != OUTLINE_LABEL or isinstance(event, Error):
                continue  # the end of the document tells why there is no outline
            if said := told(event):
                yield Warn("outline", said)

    def _take(self, arrival: Arrival) -> list[Event]:
        composition, label = self._composition, arrival.stream
        if self._document is None and composition.outline is not None:
            self._document = Document(composition.outline)
        if self._document is None:
            return []
        if label is not None and label != OUTLINE_LABEL:
            for event in arrival.events:
                self._document.note(composition.number_of(label), event)
        taken = self._document.take()
        self._pieces += [it.delta for it in taken if isinstance(it, Content)]
        return taken


def _beside(arrivals: Iterator[Arrival], draw: Draw, *, lines: bool) -> Iterator[Arrival]:
    """The same arrivals, and how far the document is on standard error: a bar, or lines."""
    try:
        for arrival in arrivals:
            for event in arrival.events:
                if isinstance(event, Progress):
                    draw(event)
                elif isinstance(event, Warn | Retry | Fallback | Terminal):
                    draw(None)  # a line may follow
                if lines and isinstance(event, Done) and event.stream and not event.replayed:
                    exits.note(f"written: {event.stream}")
            yield arrival
    finally:
        close(arrivals)
