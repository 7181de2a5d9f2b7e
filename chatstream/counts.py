"""The figures of a run: token counts, costs and times."""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from collections.abc import Iterable
from typing import Any

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


class TextFigures(msgspec.Struct, omit_defaults=True):
    """What an analysis finds in the text of an answer, code in fences left out.

    `keywords` tells how often each came, the most frequent first; `language` is a code such as
    "en". `repetition` is the share of words that repeat what came shortly before; in a loop,
    `loop_words` words came `loop_times` times in a row. `word_list_sentiment` (-1 to 1) and
    `style_score` (0 to 1) come from counted words. `confidence` is the geometric mean of the
    tokens' probabilities, where the server gives them. `plugins` has the figures of each analyzer
    of a package.
    """

    words: int = 0
    sentences: int = 0
    reading_seconds: float = 0.0
    language: str | None = None
    keywords: dict[str, int] = {}
    repetition: float = 0.0
    loop_words: int = 0
    loop_times: int = 0
    positive: int = 0
    negative: int = 0
    word_list_sentiment: float | None = None
    evidence: int = 0
    citations: int = 0
    qualifiers: int = 0
    style_score: float | None = None
    confidence: float | None = None
    plugins: dict[str, dict[str, Any]] = {}
