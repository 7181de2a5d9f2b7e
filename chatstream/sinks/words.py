"""Events in plain words, for people: one line each, not cleaned of control characters yet.

`one_line` cleans. Whoever writes these words to a terminal passes them through it, or through
`escape`.
"""

from __future__ import annotations

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.wording import counted

MAX_URL_CHARACTERS = 4096
"""Of an address that is shown; what is longer is data, not a place."""

NOTED_SHARE = 0.8
"""From this share of the context window on, a conversation is reported as long."""

UNUSUAL_ENDS = {
    "length": "the answer stopped at the token limit",
    "content_filter": "the provider's content filter ended the answer",
    "paused": "the model paused its turn, so the answer is not finished",
    "stop_condition": "--stop-when ended the answer",
}


def note(event: ev.Event) -> str | None:
    """What a person should know of this event while the answer is written; None for nothing."""
    match event:
        case ev.Retry():
            doing = "continuing" if event.emitted_chars else "retrying"
            what = f"{doing} in {event.delay:.1f} s, attempt {event.attempt} of {event.max}"
            return f"{what}: {event.cause}"
        case ev.Fallback():
            return f"{event.source} failed ({event.cause}); asking {event.target}"
        case ev.Context():
            return fullness(event)
        case ev.Warn():
            return f"warning: {event.message}"
        case ev.ToolCall():
            return f"tool call: {event.name}({event.arguments})"
    return None


def fullness(event: ev.Context) -> str | None:
    """A note on what was left out, or a warning that the window is nearly full; else None."""
    if event.left_out:
        number = counted(event.left_out, "message")
        return f"context: the oldest {number} of the conversation are left out, to fit the window"
    if event.share < NOTED_SHARE:
        return None
    return (
        f"context: {int(event.share * 100)} % of the model's window is used "
        f"({event.used:,} of {event.window:,} tokens)"
    )


def ending(event: ev.Terminal, *, stats: bool) -> list[str]:
    """The lines that close a run."""
    if isinstance(event, ev.Error):
        status = f" (HTTP {event.status})" if event.status else ""
        stopped = event.code == "cancelled"
        return ["stopped" if stopped else f"error: {event.message}{status}", *advice(event)]
    lines = [UNUSUAL_ENDS[event.finish_reason]] if event.finish_reason in UNUSUAL_ENDS else []
    return [*lines, figures(event)] if stats else lines


def advice(event: ev.Error) -> list[str]:
    """What to do about a failure, a line for each way."""
    ways = [event.hint, f"continue it with: {event.resume}" if event.resume else None]
    return [way for way in ways if way]


def figures(done: ev.Done) -> str:
    """The figures of a finished run, those that are known."""
    stats = done.stats
    tokens = done.usage.output_tokens if done.usage else None
    parts = [
        f"first token {stats.ttft:.2f} s" if stats.ttft is not None else "",
        counted(tokens, "token") if tokens is not None else f"≈{counted(stats.chunks, 'token')}",
        f"{stats.tokens_per_second:.1f} tokens/s" if stats.tokens_per_second else "",
        f"{stats.duration:.1f} s",
        *_costs(done),
    ]
    return " · ".join(part for part in parts if part)


def _costs(done: ev.Done) -> list[str]:
    """The cost, and that of the conversation if it is higher; unknown costs are left out."""
    cost = done.cost
    if cost is None:  # from a version without prices
        told = done.usage.cost if done.usage else None
        return [dollars(told)] if told is not None else []
    costs = [dollars(cost.run, estimated=cost.estimated)]
    if cost.conversation is not None:
        whole = dollars(cost.conversation, estimated=cost.conversation_estimated)
        costs.append(f"conversation {whole}")
    return costs


def dollars(amount: float, *, estimated: bool = False) -> str:
    """An amount of US dollars; an estimate is marked with ≈."""
    return f"{'≈' if estimated else ''}${_decimal(amount)}"


def one_line(text: str, limit: int = 200) -> str:
    """Remote text, cleaned, on one line: white space of any kind becomes one space.

    What is longer than `limit` characters is cut, and ends in an ellipsis.
    """
    words = " ".join(clean(text[:limit]).split())
    return f"{words}…" if len(text) > limit else words


def _decimal(number: float) -> str:
    """Up to four significant digits, and never an exponent."""
    return f"{float(f'{number:.4g}'):.12f}".rstrip("0").rstrip(".")
