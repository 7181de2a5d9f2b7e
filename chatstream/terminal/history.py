"""The history for its reader: runs, conversations and matches, on a screen or in a pipe.

Data goes to stdout and notes to stderr. On a terminal the text of models is cleaned, each line of
a list fits the width, and answers are drawn as `ask` draws them. In a pipe nothing is cut and an
answer keeps its bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.engine.resolve import resolve
from chatstream.errors import Cancelled, ChatstreamError
from chatstream.escape import clean
from chatstream.messages import encode
from chatstream.progressing import Meter
from chatstream.sinks.output import put
from chatstream.store.entries import Run
from chatstream.store.history import DELETING, IMPORTING, UPDATING, History
from chatstream.store.place import state_folder
from chatstream.store.retention import EXPIRING
from chatstream.store.searching import matches, snippet
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import check_look, check_render, is_rendered, is_screen
from chatstream.terminal.present import show_answer
from chatstream.terminal.progress import Draw, bar
from chatstream.terminal.runs import (
    calls_of,
    closing,
    ended,
    first_line,
    graph,
    local_time,
    markdown,
    outcome,
    short_ids,
    unfinished,
    who,
    words_of,
)
from chatstream.terminal.table import fit, table

_NOTICE_SECONDS = 1.0  # seconds of work before a person is told about it
_UPDATE_SECONDS = 0.1  # between two drawings

_EXPORT = "exporting conversations"
_ALWAYS = ((UPDATING, 1.0), (IMPORTING, 4.0))
EXPORTING = ((_EXPORT, 4.0),)
REMOVING = ((DELETING, 4.0),)
PRUNING = (*REMOVING, (EXPIRING, 2.0))
"""The stages of what may take long, with their shares of the work."""

_BOLD = "\x1b[1m{}\x1b[22m"  # not a colour, so it is used under NO_COLOR as well


class Format(StrEnum):
    """What `export` writes."""

    MARKDOWN = "markdown"
    JSON = "json"


def with_history(
    action: Callable[[History], None],
    *,
    as_json: bool = False,
    stages: Sequence[tuple[str, float]] = (),
) -> int:
    """Do something with the history, brought up to date; returns the exit status.

    Failures are reported, after `--json` as events. A signal ends it. `stages` are those of the
    action that may take long, with their weights.
    """

    def work(progress: LongWork) -> None:
        with History(state_folder(), tell=_note, progress=progress) as history:
            history.sync()
            action(history)

    token = CancelToken()
    try:
        with interrupts(token), bar(patience=_NOTICE_SECONDS) as draw:
            progress = LongWork(draw, (*_ALWAYS, *stages))
            # SQLite waits for another process, and no signal ends that.
            token.wait_for(lambda: work(progress))
    except Cancelled as reason:
        return reason.exit_status
    except ChatstreamError as error:
        return exits.report(error, ["--json"] if as_json else [])
    except BrokenPipeError:  # the reader has seen enough
        return 0
    return 0


def list_runs(history: History, limit: int, *, as_json: bool) -> None:
    """The newest runs, a line each, and how each of them ended."""
    found = history.runs(limit + 1)  # one more, to tell the ids apart
    if not found:
        _note("there are no runs yet; `chatstream ask` starts one")
    short = short_ids(found) if _on_terminal() else [run.id for run in found]
    if as_json:
        _write_json(found[:limit])
        return
    _write_table(
        (name, local_time(it.started_at), who(it), outcome(it), first_line(it.question))
        for name, it in zip(short[:limit], found, strict=False)
    )


def show_conversation(
    history: History,
    run: str | None,
    *,
    text: bool,
    as_json: bool,
    plain: bool,
    render: bool | None,
    color: str | None,
) -> None:
    """The conversation that a run belongs to, or with `text` the bytes of its answer alone.

    Raises `UsageError` for options that exclude each other, and `ConfigError`.
    """
    check_render(render, {"--json": as_json, "--plain": plain, "--text": text})
    chosen = history.run(run)
    conversation = history.conversation(chosen)
    if as_json:
        _write_json([conversation])
    elif text:
        answer = conversation.messages[-1]
        _write(answer.content)
        if note := unfinished(answer, conversation.runs[-1]):
            _note(note)
    else:
        draw = None if plain else _drawing({"render": render, "color": color})
        for message in conversation.messages:
            _write(f"── {message.role} ──\n")
            if draw and message.role == "assistant":
                draw(message.content)
                _write(calls_of(message.parts) + "\n")
            else:
                _write(f"{ended(words_of(message))}\n")
        _write(closing(chosen) + "\n")
        if conversation.runs[-1].id != history.tree(chosen).head:
            _note(f"the conversation goes on: `chatstream history tree {chosen.id}`")


def show_tree(history: History, run: str | None, *, as_json: bool) -> None:
    """The turns of the conversation that a run belongs to, a line each, and its branches.

    A terminal shows how each turn ended and its question; the id already has the time.
    """
    tree = history.tree(history.run(run))
    if as_json:
        _write_json([tree])
        return
    if tree.name:
        _write(f"{tree.name}\n")
    runs = [turn.runs[-1] for turn in tree.turns]
    ids = sorted(runs, key=lambda it: it.id, reverse=True)
    short = dict(zip((it.id for it in ids), short_ids(ids), strict=True))
    lines = zip(graph(tree), runs, strict=True)
    if _on_terminal():
        _write_table(
            (line + short[it.id], outcome(it), first_line(it.question)) for line, it in lines
        )
    else:
        _write_table(
            (line + it.id, local_time(it.started_at), who(it), outcome(it), first_line(it.question))
            for line, it in lines
        )


def search(history: History, words: Sequence[str], limit: int, *, as_json: bool) -> None:
    """The newest messages that contain all these words, a line each."""
    question = " ".join(words)
    found = history.search(question, limit)
    if not found:
        _note("no message contains these words")
    if as_json:
        _write_json(found)
        return
    _write_table(
        ((it.run, local_time(it.started_at), it.role, it.snippet) for it in found),
        partial(_marked, question),
    )


def export(history: History, runs: Sequence[str], form: Format) -> None:
    """The conversations that these runs belong to, or all of them, the oldest first.

    Of a conversation with branches each branch is written, from the first question on.
    """
    chosen = [history.run(run) for run in runs] if runs else history.runs()[::-1]
    last = _one_of_each_conversation(chosen)
    for number, run in enumerate(last, 1):
        conversations = history.branches(run)
        if form is Format.JSON:
            _write_json(conversations)
        else:
            _write("".join(map(markdown, conversations)))
        if not _on_terminal():  # what is written there is progress enough
            history.progress(_EXPORT, number, len(last))


def remove(history: History, runs: Sequence[str]) -> None:
    """Delete the conversations that these runs belong to: all of them, or none on a mistake."""
    chosen = [history.run(run) for run in runs]
    last = _one_of_each_conversation(chosen)
    for number, run in enumerate(last, 1):
        history.remove(run)
        history.progress(DELETING, number, len(last))


def prune(history: History, older_than: float | None) -> None:
    """Delete journals that were kept long enough, and conversations older than that many days."""
    from chatstream.store.retention import before, expire

    settings = resolve({}).settings
    now = time.time()
    if older_than is not None:
        _note(f"conversations deleted: {history.prune(before(older_than, now))}")
    expired = expire(history, settings.keep_complete, settings.keep_incomplete, now)
    _note(f"journals deleted: {expired}")


class LongWork:
    """Shows how far the history's long work is. The bar is gone when a stage has ended.

    The stages that are left share what is left: those that were not needed take nothing.
    """

    def __init__(
        self, draw: Draw, stages: Sequence[tuple[str, float]], clock: Clock = monotonic
    ) -> None:
        self._draw = draw
        self._stages = stages
        self._meter = Meter(clock=clock)
        self._clock = clock
        self._drawn_at = -_UPDATE_SECONDS

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._meter.stage:
            names = [name for name, _ in self._stages]
            begin = names.index(stage) if stage in names else None
            self._meter.plan([(stage, 1.0)] if begin is None else self._stages[begin:])
        self._meter.report(done, total)
        now = self._clock()
        if done >= total:
            self._draw(None)
        elif now - self._drawn_at >= _UPDATE_SECONDS:
            self._drawn_at = now
            self._draw(self._meter.event())


def _drawing(flags: Mapping[str, Any]) -> Callable[[str], None] | None:
    """What draws an answer; None where its own bytes are wanted. Raises `ConfigError`."""
    settings = resolve(flags).settings
    look = {"as_json": False, "plain": False}
    if not (is_screen(settings, **look) or is_rendered(settings, **look)):
        return None
    check_look(settings, **look)
    return partial(show_answer, settings=settings)


def _one_of_each_conversation(runs: Iterable[Run]) -> list[Run]:
    return list({run.conversation: run for run in runs}.values())


def _marked(question: str, text: str, cells: int) -> str:
    """As much of a snippet as fits, from a little before the first match; matches are bold."""
    shown = fit(snippet(text, question, before=cells // 4), cells)
    if os.environ.get("TERM") == "dumb":
        return shown
    parts, end = [], 0
    for span in matches(shown, question):
        parts += [shown[end : span[0]], _BOLD.format(shown[slice(*span)])]
        end = span[1]
    return "".join([*parts, shown[end:]])


def _on_terminal() -> bool:
    return os.isatty(1)


def _note(line: str) -> None:
    print(clean(line), file=sys.stderr)


def _write(text: str) -> None:
    put((clean(text) if _on_terminal() else text).encode("utf-8", "replace"))


def _write_json(items: Iterable[msgspec.Struct]) -> None:
    for item in items:
        _write(encode(item).decode() + "\n")


def _write_table(
    rows: Iterable[Sequence[str]], last: Callable[[str, int], str] | None = None
) -> None:
    cells = shutil.get_terminal_size().columns if _on_terminal() else None
    put(table(rows, cells, last).encode("utf-8", "replace"))
