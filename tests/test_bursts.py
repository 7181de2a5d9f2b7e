"""Claimed: for every layer, a burst is as if each of its contents came by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.api import stream
from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.errors import Truncated
from chatstream.events import Content, Event, Metadata, encode, new_run
from chatstream.flow import Burst, Finish, Pulse, drive, singly, without_signals
from chatstream.messages import ChatRequest
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.fallback import fallback
from chatstream.recovery.retry import Plan, retry
from chatstream.recovery.watchdog import TOKENS, Limits, watchdog
from chatstream.stages.journal import journal
from chatstream.stages.seal import seal
from chatstream.stages.thinking import thinking
from chatstream.transcript import Transcript
from tests.support.answers import WORDS, whole
from tests.support.loopback import Script

REQUEST = ChatRequest("m", ())
PIECES = st.lists(
    st.sampled_from(["a", "word ", "<", "<think>", "</think>", "`", "```\n", "\n", "<b>", "=="]),
    min_size=1,
    max_size=12,
)
Layer = Callable[[Iterator[Event]], Iterator[Event]]


def bursts(pieces: Sequence[str], sizes: Sequence[int]) -> Iterator[Event]:
    """The pieces in bursts of these sizes, over and over; a pulse after each."""
    at = 0
    while at < len(pieces):
        for size in sizes:
            if part := pieces[at : at + size]:
                yield Burst([Content(piece, t=1.0) for piece in part], t=1.0)
                yield Pulse(t=1.0)
            at += size
    yield Finish(reason="stop", t=1.0)


def sealed(events: Iterator[Event]) -> Iterator[Event]:
    return seal(new_run(), CancelToken(), clock=lambda: 0.0)(events)


class Kept:
    """A writer that keeps what it was given."""

    def __init__(self, fails_at: int = -1) -> None:
        self.batches: list[list[Event]] = []
        self._fails_at = fails_at

    def write(self, events: Sequence[Event]) -> None:
        if len(self.batches) == self._fails_at:
            raise OSError(28, "No space left on device")
        self.batches.append(list(events))

    def close(self) -> None:
        """There is nothing to let go of."""


def told(events: Iterator[Event]) -> list[tuple[str, int, str]]:
    """What of the events must not depend on how they came."""
    kept = [event for event in without_signals(events) if not isinstance(event, Metadata)]
    return [(type(e).__name__, e.seq, getattr(e, "delta", "")) for e in kept]


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(thinking, id="thinking"),
        pytest.param(sealed, id="seal"),
        pytest.param(lambda it: sealed(thinking(it)), id="both"),
        pytest.param(lambda it: journal(Kept(), lambda: None)(sealed(it)), id="journal"),
        pytest.param(lambda it: journal(Kept(1), lambda: None)(sealed(it)), id="broken-journal"),
    ],
)
@given(pieces=PIECES, sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_stage_makes_the_same_of_both(layer: Layer, pieces: list[str], sizes: list[int]) -> None:
    assert told(layer(bursts(pieces, sizes))) == told(layer(singly(bursts(pieces, sizes))))


@given(cut=st.integers(16, 40), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_continuation_in_bursts_repeats_nothing(cut: int, sizes: list[int]) -> None:
    text = "The quick brown fox jumps over the lazy dog."

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        if not request.partial:
            yield Burst([Content(text[:cut], t=1.0)], t=1.0)
            raise Truncated("cut")
        yield from bursts(list(text), sizes)  # from the beginning again

    whole_answer = Transcript()
    plan = Plan("continue", "prefill")
    asked = retry(source, Attempts(1), plan, lambda: 0.0, lambda _token, _seconds: True)
    for event in singly(asked(REQUEST, CancelToken())):
        whole_answer.add(event)
    assert whole_answer.message.content == text


def test_a_burst_resets_the_limits_on_silence() -> None:
    def source(_request: ChatRequest, _token: CancelToken) -> Iterator[Event]:
        yield Burst([Content("a")], t=0.4)
        yield Pulse(t=0.8)

    limits = Limits(first_token=0.5, between_tokens=0.5)
    events = list(watchdog(source, limits, lambda: 0.0)(REQUEST, CancelToken()))
    assert [type(event) for event in events] == [Burst, Pulse]


def test_a_burst_is_a_model_that_speaks() -> None:
    def first(_request: ChatRequest, _token: CancelToken) -> Iterator[Event]:
        yield Burst([Content("old")])
        raise Truncated("cut")

    def second(_request: ChatRequest, _token: CancelToken) -> Iterator[Event]:
        yield Burst([Content("new")])

    answer = Transcript()
    asked = fallback([("a", first), ("b", second)], Attempts(0), after_text=True, clock=monotonic)
    for event in singly(asked(REQUEST, CancelToken())):
        answer.add(event)
    assert answer.message.content == "new"
    assert Burst in TOKENS


def test_the_journal_is_written_content_by_content() -> None:
    kept = Kept()
    shown = list(singly(journal(kept, lambda: None)(sealed(bursts(WORDS, [3])))))
    written = [encode(event) for batch in kept.batches for event in batch]
    assert written == [encode(event) for event in shown if type(event) is not Pulse]


def test_a_sink_gets_every_content_by_itself() -> None:
    class Deltas:
        def __init__(self) -> None:
            self.taken: list[str] = []

        def write(self, event: Event) -> None:
            if isinstance(event, Content):
                self.taken.append(event.delta)

        def flush(self) -> None:
            """Nothing is held."""

        def close(self) -> None:
            """Nothing is held."""

    sink = Deltas()
    drive(bursts(WORDS, [2]), sink)
    assert sink.taken == WORDS


@pytest.mark.parametrize("dialect", ["ollama", "openai", "anthropic"])
def test_no_burst_leaves_the_pipeline(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        events = list(stream("hi", provider=dialect, base_url=server.url, model="m", api_key="k"))
    assert not [event for event in events if isinstance(event, Burst | Pulse | Finish)]
    assert [event.delta for event in events if isinstance(event, Content)] == WORDS
