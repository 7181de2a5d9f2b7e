"""How full the model's window is: known from the server, or not at all."""

from __future__ import annotations

import pytest

from chatstream.chat.extent import Extent, extent_of, size_in_words
from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.engine.place import place_of
from chatstream.events import Context, Usage
from chatstream.transcript import Transcript
from tests.support.chats import Typed, flags_of, says, session_at
from tests.support.loopback import Script
from tests.support.windows import windowed

PRICES = {"m": {"input": 100.0, "output": 100.0}}


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        *((512, "512"), (4096, "4k"), (8000, "8k"), (128_000, "128k"), (131_072, "128k")),
        *((1_000_000, "1M"), (1_048_576, "1M"), (16_387, "16,387")),
    ],
)
def test_a_window_is_short_and_never_rounded(tokens: int, words: str) -> None:
    assert size_in_words(tokens) == words


def test_what_the_server_has_counted_comes_before_the_estimate() -> None:
    transcript = Transcript()
    assert extent_of(None, transcript) is None
    assert extent_of(Context(window=1000, used=300), transcript) == Extent(1000, 300, counted=False)
    transcript.add(Usage(input_tokens=400, output_tokens=50, reasoning_tokens=20))
    assert extent_of(Context(window=1000, used=300), transcript) == Extent(1000, 430, counted=True)


def test_a_count_beside_a_cache_is_not_what_is_used() -> None:
    transcript = Transcript()
    transcript.add(Usage(input_tokens=40, output_tokens=50, cached_tokens=800))
    told = Context(window=1000, used=840)
    assert extent_of(told, transcript) == Extent(1000, 840, counted=False)
    transcript.add(Usage(input_tokens=400, output_tokens=50))
    assert extent_of(told, transcript) == Extent(1000, 450, counted=True)


def test_the_status_has_the_model_the_context_and_the_cost() -> None:
    with Script(says("Blue."), says("Red."), beside=windowed()) as server:
        session = session_at(server, prices=PRICES)
        assert session.status() == "m"
        chat(session, Typed("noon?"))
        assert session.extent is None
        assert session.status().startswith("m · ≈$0.")
        chat(session, Typed("sunset?"))
        extent = session.extent
        assert extent is not None
        model, context, cost = session.status().split(" · ")
    assert (model, context) == ("m", f"context {extent.percent} % of 8k")
    assert cost.startswith("≈$0.")


def test_what_is_not_known_is_not_shown() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        session = session_at(server)
        chat(session, Typed("noon?", "sunset?"))
        assert session.status() == "m"


@pytest.mark.parametrize("line", ["/model other", "/set options.num_ctx 100", "/undo", "/clear"])
def test_the_window_of_another_place_or_model_is_not_shown(line: str) -> None:
    with Script(says("Blue."), says("Red."), beside=windowed()) as server:
        session = session_at(server)
        chat(session, Typed("noon?", "sunset?"))
        assert session.extent is not None
        chat(session, Typed(line))
    assert session.extent is None
    assert "context" not in session.status()


def test_the_cost_is_known_again_in_another_chat() -> None:
    with Script(says("Blue."), says("Red.")) as server:
        first = session_at(server, prices=PRICES)
        chat(first, Typed("noon?", "sunset?"))
        second = Session(flags_of(server), place_of(last=True))
    assert "≈$" in first.status()
    assert second.status() == first.status()
