"""Addresses as people write them, keys from everywhere, and none of them shown."""

from __future__ import annotations

import sys

import pytest

from chatstream.cli.config import Settings
from chatstream.cli.endpoints import (
    api_key,
    endpoint,
    has_key,
    with_keys,
)
from chatstream.errors import ConfigError
from chatstream.providers import PROVIDERS


@pytest.mark.parametrize(
    ("provider", "given", "made"),
    [
        ("ollama", "localhost", "http://localhost:11434"),
        ("ollama", "box:8080", "http://box:8080"),
        ("ollama", "0.0.0.0", "http://127.0.0.1:11434"),
        ("ollama", "0.0.0.0:9", "http://127.0.0.1:9"),
        ("ollama", "https://ollama.example/", "https://ollama.example"),
        ("ollama", "http://box:1/api/", "http://box:1"),
        ("openai", "http://box:8000", "http://box:8000/v1"),
        ("openai", "http://box:8000/v1/", "http://box:8000/v1"),
        ("openai", "box/api/v1", "http://box/api/v1"),
        ("anthropic", "https://proxy.example/v1", "https://proxy.example"),
        ("anthropic", "https://proxy.example/base", "https://proxy.example/base"),
    ],
)
def test_an_address_is_made_whole(provider: str, given: str, made: str) -> None:
    settings = Settings(base_url=given)
    assert endpoint(provider, PROVIDERS[provider], settings, {}).base_url == made


@pytest.mark.parametrize("given", ["ftp://x", "http://", "http://[::1", "http://x:port"])
def test_what_is_no_address_is_told(given: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        endpoint("openai", PROVIDERS["openai"], Settings(base_url=given), {})


def test_the_settings_address_is_stronger_than_the_providers_variable() -> None:
    environ = {"OPENAI_BASE_URL": "http://variable/v1"}
    row = PROVIDERS["openai"]
    assert endpoint("openai", row, Settings(), environ).base_url == "http://variable/v1"
    settings = Settings(base_url="http://flag/v1")
    assert endpoint("openai", row, settings, environ).base_url == "http://flag/v1"


def test_the_key_comes_from_the_first_place_that_has_one() -> None:
    row, environ = PROVIDERS["openai"], {"OPENAI_API_KEY": " usual ", "MY_KEY": "mine"}
    command = f"{sys.executable} -c 'print(\"asked\")'"
    assert api_key(row, Settings(), {}) is None
    assert api_key(row, Settings(), environ) == "usual"
    assert api_key(row, Settings(key_variable="MY_KEY"), environ) == "mine"
    assert api_key(row, Settings(key_command=command, key_variable="MY_KEY"), environ) == "asked"
    assert api_key(row, Settings(api_key="own", key_command=command), environ) == "own"


@pytest.mark.parametrize(
    ("provider", "theirs", "given", "sent"),
    [
        ("openai", None, "http://mine/v1", True),  # the usual way to ask a compatible server
        ("openai", "http://gateway/v1", None, True),
        ("openai", "http://gateway/v1", "http://gateway", True),
        ("openai", "http://gateway/v1", "http://mine/v1", False),
        ("openai", "no address at all:", "http://mine/v1", False),
        ("ollama", "box", "http://box:11434", True),
        ("ollama", "box", "http://box", False),
    ],
)
def test_the_key_of_a_variable_belongs_to_the_address_beside_it(
    provider: str, theirs: str | None, given: str | None, sent: bool
) -> None:
    row = PROVIDERS[provider]
    environ = {str(row.key_variable): "key", **({str(row.url_variable): theirs} if theirs else {})}
    settings = Settings(base_url=given)
    assert api_key(row, settings, environ) == ("key" if sent else None)
    assert has_key(row, settings, environ) is sent
    assert has_key(row, Settings(base_url=given, key_command="any"), environ)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(key_variable="NOT_SET"),
        Settings(key_command="no-such-command"),
        Settings(key_command=f"{sys.executable} -c 'raise SystemExit(1)'"),
        Settings(key_command=f"{sys.executable} -c pass"),
        Settings(key_command="'"),
    ],
)
def test_a_key_that_cannot_be_had_is_told(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="key"):
        api_key(PROVIDERS["openai"], settings, {})


@pytest.mark.parametrize("key", ["line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        endpoint("openai", PROVIDERS["openai"], Settings(api_key=key), {})
    assert key not in caught.value.message


def test_the_providers_with_a_key_come_in_the_order_of_the_table() -> None:
    environ = {"GROQ_API_KEY": "g", "ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}
    assert with_keys(environ) == ["openai", "anthropic", "groq"]
