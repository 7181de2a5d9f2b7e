"""`chatstream history`: what was asked and answered, listed, shown, searched, exported, removed.

Data goes to stdout and notes to stderr. On a terminal the text of models is cleaned and each line
of a list fits the width, and answers are drawn as `ask` draws them; on a pipe nothing is cut and
an answer keeps its bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import msgspec
import typer

from chatstream.cancel import CancelToken
from chatstream.cli.numbers import like, whole
from chatstream.cli.options import Plain, takes
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.engine.resolve import resolve
from chatstream.errors import Cancelled, ChatstreamError
from chatstream.messages import Message
from chatstream.sinks.escape import clean
from chatstream.sinks.output import put
from chatstream.sinks.words import UNUSUAL_ENDS, counted
from chatstream.store.entries import Conversation, Run
from chatstream.store.history import History
from chatstream.store.place import state_folder
from chatstream.store.searching import matches, snippet
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import (
    check_look,
    check_render,
    is_rendered,
    is_screen,
    show_answer,
)

app = typer.Typer(
    add_completion=False,
    help="List, show, search, export and delete past questions and answers.",
)

_PATIENCE = 1.0  # seconds of work before a person is told of it
_SHORT_ID = 15  # characters of an id: its second
_WIDEST = 28  # a column before the last; an id fits
_NEWEST = 20  # runs, or matches, that are listed
_MARK = "\x1b[1m{}\x1b[22m"  # bold is no colour, so NO_COLOR has no say in it


class Format(StrEnum):
    """What `export` writes."""

    MARKDOWN = "markdown"
    JSON = "json"


_number = typer.Option(
    *("-n", "--number"),
    parser=whole(1),
    metavar="N",
    show_default=str(_NEWEST),
    help="Show at most N.",
)
Number = Annotated[int, _number]
NumberAlone = Annotated[int | None, _number]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


@app.callback(invoke_without_command=True)
def newest(context: typer.Context, number: NumberAlone = None, as_json: Json = False) -> int:
    """List, show, search, export and delete past questions and answers."""
    command = context.invoked_subcommand
    if command is None:
        return list_runs(_NEWEST if number is None else number, as_json)
    if number is not None or as_json:
        given = "--json" if as_json else "-n"
        raise typer.BadParameter(f"{given} is an option of `{command}` and must follow it")
    return 0


@app.command(name="list")
def list_runs(number: Number = _NEWEST, as_json: Json = False) -> int:
    """List the newest runs and how each one ended."""

    def action(history: History) -> None:
        found = history.runs(number + 1)  # one more, to tell the ids apart
        if not found:
            _note("there are no runs yet; `chatstream ask` starts one")
        short = _short_ids(found) if _on_terminal() else [run.id for run in found]
        if as_json:
            _write_json(found[:number])
        else:
            _write_table(
                (name, _local(run.started_at), _who(run), _outcome(run), _first_line(run.question))
                for name, run in zip(short[:number], found, strict=False)
            )

    return _with_history(action, as_json=as_json)


@app.command()
@takes("render", "color")
def show(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            show_default="the last one",
            help="The id of a run, or its first characters.",
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Print the answer alone, byte for byte.")
    ] = False,
    as_json: Json = False,
    plain: Plain = False,
    *,
    render: bool | None,
    color: str | None,
) -> int:
    """Show the conversation that a run belongs to; on a terminal, answers as `ask` shows them."""
    settings = {"render": render, "color": color}

    def action(history: History) -> None:
        check_render(render, {"--json": as_json, "--plain": plain, "--text": text})
        chosen = history.run(run)
        conversation = history.conversation(chosen)
        if as_json:
            _write_json([conversation])
        elif text:
            answer = conversation.messages[-1]
            _write(answer.content)
            if note := _unfinished(answer, conversation.runs[-1]):
                _note(note)
        else:
            draw = None if plain else _drawing(settings)
            for message in conversation.messages:
                _write(f"── {message.role} ──\n")
                if draw and message.role == "assistant":
                    draw(message.content)
                    _write("\n")
                else:
                    _write(f"{_ended(message.content)}\n")
            _write(_closing(chosen) + "\n")

    return _with_history(action, as_json=as_json)


@app.command()
def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD", help="A word in the message; WORD* matches any ending."),
    ],
    number: Number = _NEWEST,
    as_json: Json = False,
) -> int:
    """Find messages that contain all these words, newest first."""

    question = " ".join(words)

    def action(history: History) -> None:
        found = history.search(question, number)
        if not found:
            _note("no message contains these words")
        if as_json:
            _write_json(found)
        else:
            _write_table(
                ((it.run, _local(it.started_at), it.role, it.snippet) for it in found),
                partial(_found, question),
            )

    return _with_history(action, as_json=as_json)


@app.command()
def export(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", show_default="all", help="The id of a run, or its first characters."
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Markdown, or JSON with one conversation per line.")
    ] = Format.MARKDOWN,
) -> int:
    """Print whole conversations, oldest first."""

    def action(history: History) -> None:
        chosen = [history.run(run) for run in runs] if runs else history.runs()[::-1]
        for run in {it.conversation: it for it in chosen}.values():
            conversation = history.conversation(run)
            if form is Format.JSON:
                _write_json([conversation])
            else:
                _write(_markdown(conversation))

    return _with_history(action)


@app.command()
def rm(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="The id of a run, or its first characters."),
    ],
) -> int:
    """Delete the conversations that these runs belong to."""

    def action(history: History) -> None:
        chosen = [history.run(run) for run in runs]  # a mistake in one deletes nothing
        for run in chosen:
            history.remove(run)

    return _with_history(action)


@app.command()
def prune(
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            parser=like("keep_complete"),
            metavar="DAYS",
            help="Also delete conversations older than this.",
        ),
    ] = None,
) -> int:
    """Delete journals older than the settings keep_complete and keep_incomplete allow."""
    from chatstream.store.retention import before, expire

    def action(history: History) -> None:
        settings = resolve({}).settings
        now = time.time()
        if older_than is not None:
            _note(f"conversations deleted: {history.prune(before(older_than, now))}")
        expired = expire(history, settings.keep_complete, settings.keep_incomplete, now)
        _note(f"journals deleted: {expired}")

    return _with_history(action)


def _drawing(flags: Mapping[str, Any]) -> Callable[[str], None] | None:
    """What draws an answer; None where its own bytes are wanted. Raises `ConfigError`."""
    settings = resolve(flags).settings
    look = {"as_json": False, "plain": False}
    if not (is_screen(settings, **look) or is_rendered(settings, **look)):
        return None
    check_look(settings, **look)
    return partial(show_answer, settings=settings)


def _with_history(action: Callable[[History], None], *, as_json: bool = False) -> int:
    """Do it with the history, brought up to date; returns the exit status."""

    def work() -> None:
        with History(state_folder(), tell=_note, progress=_Progress()) as history:
            history.sync()
            action(history)

    token = CancelToken()
    try:
        with interrupts(token):
            token.wait_for(work)  # SQLite waits for another process, and no signal ends that
    except Cancelled as reason:
        return reason.exit_status
    except ChatstreamError as error:
        return exits.report(error, ["--json"] if as_json else [])
    except BrokenPipeError:  # the reader has seen enough
        return 0
    return 0


class _Progress:
    """Tells a person, once, that the journals take a while."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._patience = Deadline(_PATIENCE, clock)
        self._told = not sys.stderr.isatty()

    def __call__(self, taken: int, number: int) -> None:
        if not self._told and self._patience.passed:
            self._told = True
            _note(f"importing the journals of {number} runs, {taken} are done…")


def _note(line: str) -> None:
    print(clean(line), file=sys.stderr)


def _on_terminal() -> bool:
    return os.isatty(1)


def _write(text: str) -> None:
    put((clean(text) if _on_terminal() else text).encode("utf-8", "replace"))


def _write_json(items: Iterable[msgspec.Struct]) -> None:
    for item in items:
        _write(msgspec.json.encode(item).decode() + "\n")


def _write_table(
    rows: Iterable[tuple[str, ...]], last: Callable[[str, int], str] | None = None
) -> None:
    """Columns, on a pipe with tabs between them.

    On a terminal a line is cut where the terminal ends. `last` may shorten the last column itself:
    it is given the text and the cells that are left for it, and its result is written as it is.
    """
    cleaned = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    if not _on_terminal():
        _write("".join("\t".join(row) + "\n" for row in cleaned))
        return
    from rich.cells import cell_len, set_cell_size

    columns = shutil.get_terminal_size().columns
    widths = [min(_WIDEST, max(map(cell_len, it))) for it in zip(*cleaned, strict=True)]
    for *row, end in cleaned:
        cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False)]
        begin = "".join(f"{cell}  " for cell in cells)
        room = columns - cell_len(begin)
        line = begin + last(end, room) if last and room > 0 else _fitted(begin + end, columns)
        put(f"{line}\n".encode("utf-8", "replace"))


def _fitted(text: str, room: int) -> str:
    """The text, cut where it has more cells than this."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"


def _found(question: str, text: str, room: int) -> str:
    """So much of a snippet as has room, from before the first match on; matches are bold."""
    shown = _fitted(snippet(text, question, before=room // 4), room)
    if os.environ.get("TERM") == "dumb":
        return shown
    parts, end = [], 0
    for span in matches(shown, question):
        parts += [shown[end : span[0]], _MARK.format(shown[slice(*span)])]
        end = span[1]
    return "".join([*parts, shown[end:]])


def _short_ids(runs: list[Run]) -> list[str]:
    """As much of each id as tells it from its neighbours."""
    ids = [run.id for run in runs]
    short = []
    for newer, own, older in zip(["", *ids], ids, [*ids[1:], ""], strict=False):
        length = _SHORT_ID
        while length < len(own) and own[:length] in (newer[:length], older[:length]):
            length += 1
        short.append(own[:length])
    return short


def _local(started_at: str) -> str:
    """A time of the record as this place reads it."""
    try:
        return datetime.fromisoformat(started_at).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):  # it was not written by us
        return started_at


def _who(run: Run) -> str:
    return "/".join(filter(None, (run.provider, run.model))) or "-"


def _outcome(run: Run) -> str:
    """What became of a run; a turn that the model paused is not complete."""
    return "paused" if run.finish_reason == "paused" else run.outcome


def _unfinished(answer: Message, last: Run) -> str | None:
    """What a reader of the answer alone cannot see: that it is not whole, and what to do then."""
    if answer.complete:
        return UNUSUAL_ENDS.get(last.finish_reason or "")
    way = "" if last.outcome == "damaged" else f"; `chatstream resume {last.id}` continues it"
    return f"this answer is cut off ({_why(last)}){way}"


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _why(run: Run) -> str:
    """What became of a run, and the reason."""
    return _outcome(run) if run.error is None else f"{run.outcome}: {run.error}"


def _closing(run: Run) -> str:
    """How a run ended, who answered, and the figures that are known."""
    parts = [
        _why(run),
        _who(run),
        f"first token {run.ttft:.2f} s" if run.ttft is not None else "",
        counted(run.output_tokens) if run.output_tokens is not None else "",
        f"{run.duration:.1f} s",
        run.id,
    ]
    return " · ".join(part for part in parts if part)


def _markdown(conversation: Conversation) -> str:
    last = conversation.runs[-1]
    head = f"# {_local(conversation.started_at)}, {_who(last)}\n\n"
    turns = (f"## {it.role}\n\n{_ended(it.content)}\n" for it in conversation.messages)
    return head + "".join(turns) + f"*{_closing(last)}*\n\n"
