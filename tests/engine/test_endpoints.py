"""Addresses as people write them, keys from everywhere, and none of them shown."""

from __future__ import annotations

import sys

import pytest

from chatstream.engine.endpoints import (
    api_key,
    endpoint,
    has_key,
    providers_in_environment,
)
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError
from chatstream.providers import PROVIDERS


@pytest.mark.parametrize("given", ["ftp://x", "http://", "http://[::1", "http://x:port"])
def test_what_is_no_address_is_told(given: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        endpoint("openai", PROVIDERS["openai"], Settings(base_url=given), {})


@pytest.mark.parametrize("given", [":8000", "'box:8000'", "http://box:8000/v1/chat/completions"])
def test_a_variable_is_read_as_a_setting_is(given: str) -> None:
    row = PROVIDERS["openai"]
    setting = endpoint("openai", row, Settings(base_url=given), {})
    assert endpoint("openai", row, Settings(), {"OPENAI_BASE_URL": given}) == setting
    assert setting.base_url.endswith(":8000/v1")


@pytest.mark.parametrize("blank", ["", "  ", "''"])
def test_a_blank_variable_counts_as_not_set(blank: str) -> None:
    row = PROVIDERS["openai"]
    environ = {"OPENAI_BASE_URL": blank, "OPENAI_API_KEY": blank}
    found = endpoint("openai", row, Settings(), environ)
    assert (found.base_url, found.key) == (row.base_url, None)
    assert providers_in_environment(environ) == {}


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


def test_a_key_variable_that_is_not_set_is_told() -> None:
    with pytest.raises(ConfigError, match="NOT_SET, which should hold the API key, is not set"):
        api_key(PROVIDERS["openai"], Settings(key_variable="NOT_SET"), {})


def test_what_the_environment_names_comes_in_the_order_of_the_table() -> None:
    environ = {"GROQ_API_KEY": "g", "ANTHROPIC_API_KEY": "a", "OPENAI_BASE_URL": "http://o"}
    assert list(providers_in_environment(environ).items()) == [
        ("openai", "OPENAI_BASE_URL"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("groq", "GROQ_API_KEY"),
    ]
