"""The prices of models: those in the configuration, and those that OpenRouter lists.

1. `[prices]` comes first, by the model's name, wherever the model runs:

       [prices."gpt-5-mini"]
       input = 0.25    # US dollars for a million tokens
       output = 2.0
       cached = 0.025  # optional

2. `update` stores the prices of OpenRouter's list of models, with the date. They apply to
   OpenRouter itself, and to the vendors in `VENDORS` at their own address: others set their own
   prices. A model that is not listed has the price of the same name without the date of its
   version. If only dated versions are listed, it has the price that all of them share.
3. An unknown price is None, and so is one that depends on more than the number of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chatstream.addresses import same_server
from chatstream.cancel import CancelToken
from chatstream.engine.services import transport_options
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError, ProtocolError
from chatstream.events import Usage
from chatstream.files import make_private, replace
from chatstream.flow import Arrival
from chatstream.nearest import did_you_mean
from chatstream.providers import PROVIDERS, Endpoint, dialect, find, service_of
from chatstream.providers.lenient import list_of, object_of
from chatstream.store.place import NoHome, state_folder

SOURCE = "openrouter"

VENDORS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistralai",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "perplexity": "perplexity",
}
"""Providers whose models OpenRouter sells at the vendor's own price, and its names for them."""

_NO_LIST = "try again later; --base-url takes the address of a server that has OpenRouter's list"
_KEYS = ("input", "output", "cached")
_MILLION = 1_000_000
_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """US dollars for a million tokens, for prompts of fewer than `below` tokens."""

    input: float
    output: float
    cached: float | None = None
    below: int | None = None

    def cost(self, usage: Usage, *, cached_apart: bool = False) -> float | None:
        """The cost of these tokens in US dollars; None if unknown.

        `cached_apart`: `input_tokens` does not include the cached ones.
        """
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = usage.cached_tokens or 0
        read = usage.input_tokens + (cached if cached_apart else 0)
        if self.below is not None and read >= self.below:
            return None
        cached_price = self.input if self.cached is None else self.cached
        dollars = (read - cached) * self.input + cached * cached_price
        return (dollars + usage.output_tokens * self.output) / _MILLION


class Prices(msgspec.Struct, frozen=True):
    """The prices of a list and its date (YYYY-MM-DD), by OpenRouter's names of the models."""

    date: str
    models: dict[str, Price]


def price_of(settings: Settings, endpoint: Endpoint, model: str) -> Price | None:
    """The price of a model at this server; None if unknown."""
    if model in settings.prices:
        return _configured(settings.prices[model])
    name = service_of(endpoint)
    if name != SOURCE and name not in VENDORS:
        return None
    kept = known() if same_server(PROVIDERS[name].base_url, endpoint.base_url) else None
    if kept is None:
        return None
    whole = model if name == SOURCE else f"{VENDORS[name]}/{model}"
    if whole in kept.models:
        return kept.models[whole]
    alike = {it: price for it, price in kept.models.items() if _plain(it) == _plain(whole)}
    undated = {it: price for it, price in alike.items() if not _DATE.search(it)}
    found = set((undated or alike).values())
    return found.pop() if len(found) == 1 else None


def known() -> Prices | None:
    """The prices that `update` has stored; None before the first time."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=Prices)
    except (OSError, NoHome, ValueError):
        return None


def configured(settings: Settings) -> dict[str, Price]:
    """The prices of the configuration."""
    return {model: _configured(given) for model, given in settings.prices.items()}


def checked(given: Mapping[str, Mapping[str, float]], origin: str) -> dict[str, dict[str, float]]:
    """The prices of the configuration. Raises `ConfigError` if one is incomplete."""
    for model, its in given.items():
        where = f"{origin}.{model}"
        if (unknown := next((it for it in its if it not in _KEYS), None)) is not None:
            hint = did_you_mean(unknown, _KEYS, f"a price has: {', '.join(_KEYS)}")
            raise ConfigError(f"{where} has the unknown price {unknown!r}", hint=hint)
        if missing := [it for it in ("input", "output") if it not in its]:
            raise ConfigError(
                f"{where} lacks {' and '.join(missing)}",
                hint="US dollars for a million tokens; only cached may be left out",
            )
    return {model: dict(its) for model, its in given.items()}


def update(
    settings: Settings, address: str | None, token: CancelToken
) -> Generator[Arrival, None, Prices]:
    """Heartbeats while OpenRouter, or its list at `address`, is asked; returns what is stored now.

    No key is sent, because the list needs none. Raises a `ChatstreamError`, also if the prices
    cannot be stored.
    """
    from chatstream.transport import Transport

    service = find(SOURCE)
    endpoint = Endpoint(SOURCE, address or service.base_url)
    provider = dialect(service)(endpoint, Transport(**transport_options(service, settings)))
    try:
        entries = yield from provider.entries(token)
    except ProtocolError as error:
        error.hint = _NO_LIST
        raise
    finally:
        provider.close()
    models = {name: price for name, it in entries if (price := _listed(it)) is not None}
    if not models:
        raise ProtocolError("the list has no prices; the earlier ones are kept", hint=_NO_LIST)
    prices = Prices(datetime.now(UTC).date().isoformat(), models)
    try:
        make_private(_file().parent)
        replace(_file(), msgspec.json.encode(prices))
    except OSError as error:
        raise ConfigError(f"{_file()} cannot be written: {error.strerror}") from error
    return prices


def _listed(entry: Mapping[str, Any]) -> Price | None:
    """The price in an entry of OpenRouter's list, which has dollars for one token as text."""
    pricing = object_of(entry.get("pricing"))
    written = [pricing.get(it) for it in ("prompt", "completion", "input_cache_read")]
    read, write, cached = (None if it is None else _dollars(it) for it in written)
    if read is None or write is None or pricing.get("request") not in {None, "0", 0}:
        return None
    steps = [object_of(it).get("min_prompt_tokens") for it in list_of(pricing.get("overrides"))]
    below = min((it for it in steps if isinstance(it, int)), default=None)
    return Price(read, write, cached, below)


def _dollars(text: object) -> float | None:
    """For a million tokens; None if it is not a price: -1 means that it varies."""
    try:
        amount = float(str(text))
    except ValueError:
        return None
    return round(amount * _MILLION, 6) if 0 <= amount < 1 else None


def _configured(given: Mapping[str, float]) -> Price:
    return Price(given["input"], given["output"], given.get("cached"))


def _plain(name: str) -> str:
    """The name without what can be written in several ways: dots, and the date of a version."""
    return _DATE.sub("", name.lower()).replace(".", "-")


def _file() -> Path:
    return state_folder() / "prices.json"
