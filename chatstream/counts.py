"""The figures of a run: token counts, costs and times."""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from collections.abc import Iterable

import msgspec


class Counts(msgspec.Struct, omit_defaults=True):
    """The token counts of a whole run, inside `done`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None


def summed(parts: Iterable[Counts]) -> Counts:
    """The counts of several runs together; None where no run has any."""
    listed = list(parts)
    found = {
        name: [it for part in listed if (it := getattr(part, name)) is not None]
        for name in Counts.__struct_fields__
    }
    return Counts(**{name: sum(its) if its else None for name, its in found.items()})


class ServerTimes(msgspec.Struct, omit_defaults=True):
    """Where the server itself says that the time went, in seconds."""

    total: float | None = None
    load: float | None = None
    prompt: float | None = None
    generation: float | None = None


class Stats(msgspec.Struct, omit_defaults=True):
    """What the run looked like from here. Seconds; `chunks` counts deltas.

    For a buffer in front of a slow reader: how often it made the server wait, how many characters
    it did not show, and the most bytes that it held.
    """

    duration: float
    chunks: int
    ttft: float | None = None
    tokens_per_second: float | None = None
    server: ServerTimes | None = None
    pauses: int = 0
    dropped: int = 0
    peak_bytes: int = 0


class Cost(msgspec.Struct, omit_defaults=True):
    """US dollars: the cost of the run, and of its conversation up to it; None if unknown.

    A cost that the server reports is exact; one computed from the prices of its tokens is an
    estimate. The cost of the conversation is unknown if that of any of its answers is.
    """

    run: float
    estimated: bool = False
    conversation: float | None = None
    conversation_estimated: bool = False


def summed_cost(parts: Iterable[Cost | None]) -> Cost | None:
    """What several runs cost together; None if that of any is unknown."""
    known, total = list(parts), Cost(0.0)
    for part in known:
        if part is None:
            return None
        total = Cost(total.run + part.run, total.estimated or part.estimated)
    return total if known else None
