"""Claimed: a price is the right model's at the right server, or it is not known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.config_file import config_path
from chatstream.engine.prices import Price, checked, known, price_of, update
from chatstream.engine.services import awaited
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, ConfigError, ProtocolError
from chatstream.events import Usage
from chatstream.providers import PROVIDERS, Endpoint
from chatstream.store.place import state_folder
from tests.support.client import run_here, server_flags
from tests.support.loopback import JSON, Reply, Script
from tests.support.recordings import SHARED, requires_shared

SONNET = "anthropic/claude-sonnet-4"
ENTRIES: list[dict[str, Any]] = [
    {
        "id": SONNET,
        "pricing": {
            "prompt": "0.000003",
            "completion": "0.000015",
            "input_cache_read": "0.0000003",
            "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006"}],
        },
    },
    {"id": "anthropic/claude-haiku-4.5", "pricing": {"prompt": "0.000001", "completion": "5e-6"}},
    {"id": "x/free", "pricing": {"prompt": "0", "completion": "0"}},
    {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
    {"id": "x/odd", "pricing": {"prompt": "much", "completion": None}},
    {"id": "x/per-request", "pricing": {"prompt": "0", "completion": "0", "request": "0.01"}},
    {"id": "x/none"},
]


def updated(*entries: dict[str, Any]) -> None:
    with Script(Reply.json({"data": [*entries]})) as server:
        awaited(update(Settings(), f"{server.url}/v1", CancelToken()))
        assert server.requests[0].path == "/v1/models"
        assert "authorization" not in server.requests[0].headers


def at(provider: str) -> Endpoint:
    return Endpoint(provider, PROVIDERS[provider].base_url)


def test_prices_are_kept_with_their_day_and_only_where_they_say_all() -> None:
    assert known() is None
    updated(*ENTRIES)
    kept = known()
    assert kept is not None
    assert len(kept.date) == 10
    assert kept.models == {
        SONNET: Price(3.0, 15.0, 0.3, 200_000),
        "anthropic/claude-haiku-4.5": Price(1.0, 5.0),
        "x/free": Price(0.0, 0.0),
    }


@requires_shared
def test_the_recorded_list_of_openrouter_is_understood() -> None:
    assert SHARED is not None
    file = SHARED / "recordings" / "models" / "openrouter-ai-200.json"
    recorded = json.loads(file.read_text("utf-8"))
    updated(*recorded["body"]["data"])
    kept = known()
    assert kept is not None
    assert kept.models[SONNET] == Price(3.0, 15.0, 0.3, 200_000)


def test_a_list_without_prices_leaves_the_ones_before() -> None:
    updated(*ENTRIES)
    before = known()
    with pytest.raises(ProtocolError, match="no prices") as caught:
        updated({"id": "m"})
    assert (caught.value.exit_status, "--base-url" in str(caught.value.hint)) == (1, True)
    assert known() == before


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>hi</html>", headers={"Content-Type": "text/html"}),
        Reply(b"", headers=JSON),
        Reply(b'{"data": [', headers=JSON),
        Reply.json(None),
        Reply.json({"data": [7, None, {"id": 5, "pricing": 3}, {"id": "a", "pricing": [1]}]}),
        Reply.json({"data": [{"id": "a", "pricing": {"prompt": "NaN", "completion": "inf"}}]}),
    ],
    ids=["page", "empty", "cut", "null", "odd", "no numbers"],
)
def test_what_is_no_list_leaves_the_ones_before(reply: Reply) -> None:
    updated(*ENTRIES)
    before = known()
    with Script(reply) as server, pytest.raises(ProtocolError) as caught:
        awaited(update(Settings(), server.url, CancelToken()))
    assert "has OpenRouter's list" in str(caught.value.hint)
    assert known() == before


def test_a_server_that_refuses_leaves_the_ones_before() -> None:
    updated(*ENTRIES)
    with Script(Reply.json({"error": "no"}, 403)) as server, pytest.raises(ChatstreamError):
        awaited(update(Settings(), server.url, CancelToken()))
    assert known() is not None


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("openrouter", SONNET, 3.0),
        ("anthropic", "claude-sonnet-4", 3.0),
        ("anthropic", "claude-sonnet-4-20250514", 3.0),
        ("anthropic", "claude-haiku-4-5", 1.0),
        ("openrouter", "x/free", 0.0),
        ("anthropic", "claude-unheard-of", None),
        ("groq", "claude-sonnet-4", None),
        ("ollama", "claude-sonnet-4", None),
    ],
)
def test_a_listed_price_holds_at_the_vendor(
    provider: str, model: str, dollars: float | None
) -> None:
    updated(*ENTRIES)
    price = price_of(Settings(), at(provider), model)
    assert (price.input if price else None) == dollars


def test_another_address_may_ask_another_price() -> None:
    updated(*ENTRIES)
    elsewhere = Endpoint("anthropic", "http://127.0.0.1:1")
    assert price_of(Settings(), elsewhere, "claude-sonnet-4") is None


def test_a_price_of_the_configuration_comes_first_and_holds_anywhere() -> None:
    updated(*ENTRIES)
    settings = Settings(prices={"claude-sonnet-4": {"input": 1, "output": 2}})
    for endpoint in (at("anthropic"), Endpoint("openai", "http://127.0.0.1:1")):
        assert price_of(settings, endpoint, "claude-sonnet-4") == Price(1, 2)


@pytest.mark.parametrize(
    ("given", "words", "hint"),
    [
        ({}, "prices.m lacks input and output", "a million tokens"),
        ({"input": 1.0}, "prices.m lacks output", "a million tokens"),
        ({"input": 1.0, "output": 1.0, "chached": 1.0}, "unknown price 'chached'", "'cached'?"),
    ],
)
def test_a_price_that_says_too_little_or_too_much_is_a_mistake(
    given: dict[str, float], words: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        checked({"m": given}, "prices")
    assert words in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_mistake_in_a_price_is_told_before_anything_is_asked() -> None:
    path = config_path()
    path.parent.mkdir(parents=True)
    path.write_text("[prices.m]\ninput = 1\n")
    with Script() as server:
        done = run_here(["ask", *server_flags("openai", server.url), "hi"], OPENAI_API_KEY="k")
        assert (done.status, len(server.requests)) == (2, 0)
    assert done.stderr.startswith(f"error: {path}, line 1: prices.m lacks output\n")


@pytest.mark.parametrize(
    ("model", "dollars"),
    [("a-1", 1.0), ("a-1-2024-05-13", 9.0), ("a-1-20250101", 1.0), ("b-2", None), ("c-3", 4.0)],
)
def test_of_several_versions_the_undated_one_holds_or_what_all_of_them_cost(
    model: str, dollars: float | None
) -> None:
    listed = {
        "openai/a-1": 1,
        "openai/a-1-2024-05-13": 9,
        "openai/b-2-2024-05-13": 2,
        "openai/b-2-2025-05-13": 3,
        "openai/c-3-2024-05-13": 4,
        "openai/c-3-2025-05-13": 4,
    }
    updated(
        *(
            {"id": name, "pricing": {"prompt": str(it / 1e6), "completion": "0"}}
            for name, it in listed.items()
        )
    )
    price = price_of(Settings(), at("openai"), model)
    assert (price.input if price else None) == dollars


@pytest.mark.parametrize(
    ("price", "usage", "apart", "dollars"),
    [
        (Price(3, 15), Usage(1000, 100), False, 0.0045),
        (Price(3, 15, 0.3), Usage(1000, 0, cached_tokens=1000), False, 0.0003),
        (Price(3, 15, 0.3), Usage(0, 0, cached_tokens=1000), True, 0.0003),
        (Price(3, 15), Usage(1000, 0, cached_tokens=1000), False, 0.003),
        (Price(3, 15, below=500), Usage(1000, 0), False, None),
        (Price(3, 15), Usage(1000), False, None),
        (Price(0, 0), Usage(1000, 1000), False, 0.0),
    ],
)
def test_tokens_cost_what_their_kind_costs(
    price: Price, usage: Usage, apart: bool, dollars: float | None
) -> None:
    found = price.cost(usage, cached_apart=apart)
    assert found == (None if dollars is None else pytest.approx(dollars))


def test_prices_that_are_damaged_are_not_known() -> None:
    updated(*ENTRIES)
    (state_folder() / "prices.json").write_bytes(b"{")
    assert known() is None
