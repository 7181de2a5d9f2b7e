"""The table under compared answers: a row for each, with its figures and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from chatstream.engine.settings import Settings
from chatstream.events import Error, Stats
from chatstream.many.compare import Answer
from chatstream.many.showing import Look, section
from chatstream.sinks.words import dollars, one_line

HEAD = ("", "model", "first token", "pace", "tokens", "cost", "status")

UNKNOWN = "-"


def rows(answers: Sequence[Answer]) -> list[tuple[str, ...]]:
    """The table, its head first."""
    return [HEAD, *(_row(it) for it in answers)]


def _row(answer: Answer) -> tuple[str, ...]:
    end = answer.terminal
    stats = end.stats if end is not None and end.stats is not None else Stats(0.0, 0)
    usage = answer.transcript.usage
    tokens = usage.output_tokens if usage is not None else None
    cost = getattr(end, "cost", None)
    return (
        str(answer.number),
        one_line(answer.label),
        f"{stats.ttft:.2f} s" if stats.ttft is not None else UNKNOWN,
        f"{stats.tokens_per_second:.1f} tokens/s" if stats.tokens_per_second else UNKNOWN,
        str(tokens) if tokens is not None else f"≈{stats.chunks}" if stats.chunks else UNKNOWN,
        dollars(cost.run, estimated=cost.estimated) if cost is not None else UNKNOWN,
        _status(answer),
    )


def _status(answer: Answer) -> str:
    end = answer.terminal
    if isinstance(end, Error):
        return "stopped" if end.code == "cancelled" else f"failed: {one_line(end.message, 80)}"
    if end is None:
        return "cut off"
    if end.finish_reason != "stop":
        return end.finish_reason.replace("_", " ")
    return "whole" if answer.has_text else "no text"


def tell(answers: Sequence[Answer], settings: Settings, look: Look) -> None:
    """Show the table; for a screen reader, a sentence for each answer.

    Raises `BrokenPipeError`, `OSError`.
    """
    table = rows(answers)
    text = as_sentences(table) if settings.accessible else as_markdown(table)
    section("## Summary", text, settings, look)


def as_sentences(table: Sequence[Sequence[str]]) -> str:
    """The table as a paragraph for each row; what is unknown is left out."""
    head, *others = table
    sentences = []
    for number, model, *figures, status in others:
        known = [f"{name} {it}" for name, it in zip(head[2:], figures, strict=False)]
        told = [it for it in known if not it.endswith(f" {UNKNOWN}")]
        sentences.append(f"Answer {number}, {model}: {', '.join([status, *told])}.\n")
    return "\n".join(sentences)


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """The table as Markdown."""
    head, *others = [[cell.replace("|", "\\|") for cell in row] for row in table]
    lines = [head, ["---"] * len(head), *others]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)
