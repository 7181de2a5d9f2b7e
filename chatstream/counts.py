"""The figures of a run: token counts, costs and times."""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from typing import Any

import msgspec


class Counts(msgspec.Struct, omit_defaults=True):
    """The token counts of a whole run, inside `done`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None


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


class TextFigures(msgspec.Struct, omit_defaults=True):
    """What an analysis finds in the text of an answer, code in fences left out.

    `keywords` tells how often each came, the most frequent first; `language` is a code such as
    "en". `repetition` is the share of words that repeat what came shortly before, and a loop is so
    many words so many times in a row. `word_list_sentiment` (-1 to 1) and `style_score` (0 to 1)
    come from counted words. `confidence` is the geometric mean of the tokens' probabilities, where
    the server gives them. `plugins` has the figures of each analyzer of a package.
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
