"""The providers of a client are kept, told apart by their connections, and closed with it."""

from __future__ import annotations

from chatstream.engine.pool import Pool
from chatstream.engine.services import make_provider
from chatstream.engine.settings import Settings
from chatstream.providers.base import Provider

HERE = Settings(provider="ollama", base_url="http://127.0.0.1:9", model="m")


class Counting:
    """A provider that counts how often it is closed."""

    def __init__(self) -> None:
        self.provider = make_provider("ollama", HERE)
        self.closed = 0
        self.provider.close = self._close  # type: ignore[method-assign]

    def _close(self) -> None:
        self.closed += 1


def kept(pool: Pool) -> Provider:
    provider = make_provider("ollama", HERE)
    pool.give(HERE, provider)
    return provider


def test_a_provider_that_was_given_is_taken_once() -> None:
    pool = Pool()
    assert pool.take(HERE) is None
    provider = kept(pool)
    assert pool.has(HERE)
    assert pool.take(HERE) is provider
    assert (pool.take(HERE), pool.has(HERE)) == (None, False)


def test_a_provider_serves_other_models_and_no_other_place() -> None:
    pool = Pool()
    provider = kept(pool)
    for other in (
        Settings(provider="openai", base_url=HERE.base_url),
        Settings(provider="ollama", base_url="http://127.0.0.1:10"),
        Settings(provider="ollama", base_url=HERE.base_url, api_key="k"),
        Settings(provider="ollama", base_url=HERE.base_url, headers={"x": "y"}),
        Settings(provider="ollama", base_url=HERE.base_url, proxy=""),
    ):
        assert pool.take(other) is None
    assert pool.take(Settings(provider="ollama", base_url=HERE.base_url, model="n")) is provider


def test_closing_closes_what_is_kept_and_what_comes_later() -> None:
    pool, early, late = Pool(), Counting(), Counting()
    pool.give(HERE, early.provider)
    pool.close()
    pool.give(HERE, late.provider)
    assert (early.closed, late.closed, pool.take(HERE)) == (1, 1, None)
    pool.close()
    assert early.closed == 1


def test_what_a_server_refuses_is_known_for_each_model_of_each_place() -> None:
    pool = Pool()
    pool.refused(HERE, "m").add("stream_options")
    assert pool.refused(HERE, "m") == {"stream_options"}
    assert pool.refused(HERE, "n") == set()
    assert pool.refused(Settings(provider="openai", base_url=HERE.base_url), "m") == set()
