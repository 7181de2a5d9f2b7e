"""Runs that are over, as their journals tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chatstream import events as ev
from chatstream.messages import Message, ToolDefinition
from chatstream.store.journal import SUFFIX, Journal, RequestRecord

STATS = ev.Stats(duration=2.5, chunks=3, ttft=0.25)


def run_id(number: int) -> str:
    """An id as runs have it, so many seconds after a new year: a greater one is a later run."""
    return f"20260101-{number // 3600:02}{number // 60 % 60:02}{number % 60:02}-000000-abcd"


def started_at(run: str) -> str:
    """The wall-clock start that belongs to an id."""
    return f"{run[:4]}-{run[4:6]}-{run[6:8]}T{run[9:11]}:{run[11:13]}:{run[13:15]}.000Z"


def done(output_tokens: int = 3) -> ev.Done:
    """The end of a whole answer."""
    usage = ev.Counts(input_tokens=5, output_tokens=output_tokens)
    return ev.Done(finish_reason="stop", usage=usage, stats=STATS, attempts=1)


def failed(code: str = "truncated") -> ev.Error:
    """The end of an answer that is not whole."""
    message = "the stream ended early"
    return ev.Error(code, message, recoverable=True, partial=True, stats=STATS)


@contextmanager
def running(
    folder: Path,
    run: str,
    text: str = "",
    *,
    question: str = "why?",
    asked: Sequence[Message] | None = None,
    end: ev.Event | None = None,
    continues: str | None = None,
    parent: str | None = None,
    model: str = "m",
    pieces: Sequence[ev.Event] | None = None,
    tools: Sequence[ToolDefinition] = (),
) -> Iterator[Path]:
    """The journal of a run, in a state folder; the run goes on until the block ends."""
    opening = ev.Metadata(
        provider="demo",
        model=model,
        version=ev.SCHEMA_VERSION,
        run=run,
        started_at=started_at(run),
        continues=continues,
        parent=parent,
    )
    answer = [ev.Content(text)] if pieces is None else pieces
    events = [opening, *answer, *([end] if end else [])]
    for seq, event in enumerate(events):
        event.seq, event.t = seq, seq / 100
    messages = tuple(asked or (Message("user", question),))
    record = RequestRecord(messages, provider="demo", model=model, tools=tuple(tools))
    journal = Journal(folder / "runs", record)
    journal.write(events)
    try:
        yield folder / "runs" / (run + SUFFIX)
    finally:
        journal.close()


def write_run(
    folder: Path,
    run: str,
    text: str = "",
    *,
    question: str = "why?",
    asked: Sequence[Message] | None = None,
    end: ev.Event | None = None,
    killed: bool = False,
    continues: str | None = None,
    parent: str | None = None,
    model: str = "m",
    pieces: Sequence[ev.Event] | None = None,
    tools: Sequence[ToolDefinition] = (),
) -> Path:
    """The journal of a run that is over: complete, unless it has another end or was killed."""
    with running(
        folder,
        run,
        text,
        question=question,
        asked=asked,
        end=None if killed else end or done(),
        continues=continues,
        parent=parent,
        model=model,
        pieces=pieces,
        tools=tools,
    ) as path:
        return path
