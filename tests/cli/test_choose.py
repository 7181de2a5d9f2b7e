"""Claimed: who is asked is what the settings say, in their order; no key or address strays."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.cli.choose import begin_ahead, candidates, label, model_names, provider_of
from chatstream.cli.config import Settings
from chatstream.errors import AuthError, ChatstreamError, ConfigError
from chatstream.events import Event
from chatstream.flow import Pulse
from chatstream.redact import redact
from tests.support.loopback import Reply, Script

FIRST = Settings(
    provider="openai",
    model="gpt",
    base_url="http://first",
    api_key="key-of-the-first",
    key_variable="FIRST",
    key_command="first",
    temperature=0.5,
    proxy="http://proxy",
    options={"seed": 1},
)


def places(settings: Settings) -> list[tuple[str | None, str | None, str | None]]:
    """Of each candidate who it is and where."""
    return [(it.provider, it.model, it.base_url) for it in candidates(settings)]


def with_(**fields: Any) -> Settings:
    return replace(FIRST, **fields)


def test_one_model_is_asked_as_the_settings_say() -> None:
    assert candidates(FIRST) == [FIRST]
    assert candidates(Settings()) == [Settings()]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mini", ("openai", "mini", "http://first")),
        ("mini@openai", ("openai", "mini", "http://first")),
        ("@openai", ("openai", None, "http://first")),
        ("claude@anthropic", ("anthropic", "claude", None)),
        ("@demo", ("demo", None, None)),
        ("org/model:7b@q4", ("openai", "org/model:7b@q4", "http://first")),
        ("a@b@demo", ("demo", "a@b", None)),
        ("mini@", ("openai", "mini@", "http://first")),
    ],
)
def test_a_fallback_is_a_model_a_provider_or_both(name: str, place: tuple[str, str, str]) -> None:
    first, second = places(with_(fallback=[name]))
    assert first == ("openai", "gpt", "http://first")
    assert second == place


def test_another_provider_gets_no_address_and_no_key_of_the_first() -> None:
    _, same, other = candidates(with_(fallback=["mini", "claude@anthropic"]))
    assert (same.api_key, same.key_variable, same.key_command) == (
        "key-of-the-first",
        "FIRST",
        "first",
    )
    assert (other.api_key, other.key_variable, other.key_command) == (None, None, None)
    assert (other.temperature, other.proxy, other.options) == (0.5, "http://proxy", {"seed": 1})


def test_fallbacks_are_asked_in_their_order() -> None:
    assert [it.model for it in candidates(with_(fallback=["b", "a", "b"]))] == [
        "gpt",
        "b",
        "a",
        "b",
    ]


def test_a_strategy_stands_in_the_place_of_the_model() -> None:
    settings = with_(strategy="x", strategies={"x": ["a", "b@demo"]}, fallback=["c"])
    assert places(settings) == [
        ("openai", "a", "http://first"),
        ("demo", "b", None),
        ("openai", "c", "http://first"),
    ]


@pytest.mark.parametrize(("known", "hint"), [({}, "none yet"), ({"a": ["m"], "b": ["n"]}, "a, b")])
def test_an_unknown_strategy_is_a_mistake(known: dict[str, list[str]], hint: str) -> None:
    with pytest.raises(ConfigError, match="no strategy 'x'") as caught:
        candidates(with_(strategy="x", strategies=known))
    assert (caught.value.hint or "").endswith(hint)


@pytest.mark.parametrize(
    ("provider", "model", "words"),
    [
        ("openai", "gpt", "gpt@openai"),
        ("openai", None, "@openai"),
        (None, "gpt", "gpt"),
        (None, None, "the first model"),
    ],
)
def test_a_candidate_is_called_what_the_user_calls_it(
    provider: str | None, model: str | None, words: str
) -> None:
    assert label(Settings(provider=provider, model=model)) == words


T = TypeVar("T")


def result_of(steps: Generator[Event, None, T]) -> T:
    """What comes of it, after nothing but pulses."""
    results: list[T] = []

    def kept() -> Generator[Event, None, None]:
        results.append((yield from steps))

    assert all(isinstance(event, Pulse) for event in kept())
    return results[0]


def made(settings: Settings) -> tuple[str, str]:
    """The provider that is found, and its address."""
    provider = result_of(provider_of(settings, CancelToken()))
    provider.close()
    return provider.endpoint.name, provider.endpoint.base_url


def test_a_hosted_service_needs_a_key_and_says_which() -> None:
    for name, variable in (("anthropic", "ANTHROPIC_API_KEY"), ("groq", "GROQ_API_KEY")):
        with pytest.raises(AuthError) as caught:
            made(Settings(provider=name))
        assert variable in (caught.value.hint or "")


def test_an_address_of_ones_own_needs_no_key() -> None:
    assert made(Settings(base_url="http://127.0.0.1:9")) == ("openai", "http://127.0.0.1:9/v1")


def test_the_secrets_of_whoever_is_asked_are_masked_from_then_on() -> None:
    made(Settings(base_url="http://me:pass-word@127.0.0.1:9", api_key="the-key"))
    assert redact("the-key and pass-word") == "*** and ***"


def test_the_names_of_the_models_are_those_of_the_server() -> None:
    with Script(Reply.json({"data": [{"id": "a"}, {"id": "b"}]})) as server:
        names = result_of(model_names(Settings(base_url=server.url), CancelToken()))
    assert names == ["a", "b"]


def test_a_server_that_lists_none_raises_its_failure() -> None:
    with Script(Reply.json({"error": "no"}, 500)) as server:
        listing = model_names(Settings(base_url=server.url), CancelToken())
        with pytest.raises(ChatstreamError, match="no"):
            list(listing)


KEY = "the-key"

SURE = {
    "an address": Settings(base_url="{}"),
    "an address of Ollama": Settings(provider="ollama", base_url="{}"),
    "an address and a key": Settings(base_url="{}", api_key=KEY, model="m"),
}
OPEN = {
    "nothing named": Settings(),
    "the demo": Settings(provider="demo"),
    "no key": Settings(provider="groq", model="m"),
    "no model": Settings(provider="groq", api_key=KEY),
    "a command for the key": Settings(base_url="http://127.0.0.1:9", key_command="true"),
    "no such provider": Settings(provider="nope"),
    "no address": Settings(base_url="ftp://127.0.0.1"),
}


@pytest.mark.parametrize("case", SURE)
def test_a_connection_begins_ahead_where_it_is_sure_who_is_asked(case: str) -> None:
    with Script(Reply()) as server:
        begun = begin_ahead(replace(SURE[case], base_url=server.url))
        assert begun is not None
        assert server.wait_connected()
        begun.close()


@pytest.mark.parametrize("case", OPEN)
def test_none_begins_where_another_may_be_asked_or_nobody(case: str) -> None:
    assert begin_ahead(OPEN[case]) is None
