"""Claimed: a stored key is private, goes to its provider's server alone, and is never shown."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatstream import files
from chatstream.engine import stored_keys
from chatstream.engine.endpoints import api_key, has_key
from chatstream.engine.services import provider_from_environment
from chatstream.engine.settings import Settings
from chatstream.errors import ConfigError, UsageError
from chatstream.providers import PROVIDERS
from chatstream.redact import MASK, redact
from chatstream.store.place import config_folder

KEY = "sk-0123456789abcdef"


def file() -> Path:
    return config_folder() / "keys.json"


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed, also where it is."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setitem(sys.modules, "keyring.errors", None)


class Keyring(ModuleType):
    """The package `keyring`, with a keyring in memory."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.errors = ModuleType("keyring.errors")
        base = type("KeyringError", (Exception,), {})
        self.errors.KeyringError = base  # type: ignore[attr-defined]
        for name in ("NoKeyringError", "PasswordDeleteError"):
            setattr(self.errors, name, type(name, (base,), {}))
        self.kept: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails

    def set_password(self, service: str, name: str, key: str) -> None:
        self._check()
        self.kept[service, name] = key

    def get_password(self, service: str, name: str) -> str | None:
        self._check()
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        self._check()
        if self.kept.pop((service, name), None) is None:
            raise self.errors.PasswordDeleteError


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    made = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", made)
    monkeypatch.setitem(sys.modules, "keyring.errors", made.errors)
    return made


@pytest.mark.usefixtures("no_keyring")
def test_the_file_is_private_and_has_the_key_of_each_provider() -> None:
    assert stored_keys.names() == []
    assert stored_keys.store("openai", f"{KEY}\n") == str(file())
    stored_keys.store("groq", f"export GROQ_API_KEY={KEY}2")
    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert stored_keys.names() == ["groq", "openai"]
    assert (stored_keys.key_of("openai"), stored_keys.key_of("groq")) == (KEY, f"{KEY}2")
    file().chmod(0o644)
    stored_keys.remove("groq")
    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert stored_keys.names() == ["openai"]


@pytest.mark.usefixtures("no_keyring")
def test_a_file_that_others_could_read_is_private_before_a_key_is_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file().parent.mkdir(parents=True)
    file().write_text("{}")
    file().chmod(0o644)
    modes = []

    def replacing(*args: Any, **options: Any) -> None:
        modes.append(stat.S_IMODE(file().stat().st_mode))
        files.replace(*args, **options)

    monkeypatch.setattr(stored_keys, "replace", replacing)
    stored_keys.store("openai", KEY)
    assert modes == [0o600]
    assert stat.S_IMODE(file().stat().st_mode) == 0o600


@pytest.mark.usefixtures("no_keyring")
def test_a_stored_key_is_masked() -> None:
    stored_keys.store("openai", KEY)
    assert KEY not in redact(f"it was {KEY}")
    redact.forget()
    stored_keys.key_of("openai")
    assert redact(f"it was {KEY}") == f"it was {MASK}"


@pytest.mark.usefixtures("no_keyring")
def test_it_is_weaker_than_the_settings_and_stronger_than_the_providers_variable() -> None:
    row = PROVIDERS["openai"]
    stored_keys.store("openai", KEY)
    environ = {"OPENAI_API_KEY": "variable", "MINE": "mine", "XDG_CONFIG_HOME": ""}
    environ["XDG_CONFIG_HOME"] = str(config_folder().parent)
    command = f"{sys.executable} -c 'print(\"asked\")'"
    assert api_key(row, Settings(), environ, name="openai") == KEY
    assert api_key(row, Settings(key_variable="MINE"), environ, name="openai") == "mine"
    assert api_key(row, Settings(key_command=command), environ, name="openai") == "asked"
    assert api_key(row, Settings(api_key="own"), environ, name="openai") == "own"
    stored_keys.remove("openai")
    assert api_key(row, Settings(), environ, name="openai") == "variable"


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.parametrize(
    ("provider", "address", "sent"),
    [
        ("openai", None, True),
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "http://localhost:8000/v1", False),
        ("openai", "https://api.openai.com.example/v1", False),
        ("groq", None, False),  # it is another provider's key
        ("vllm", "http://box:8000/v1", True),
    ],
)
def test_it_goes_to_its_providers_server_alone(
    provider: str, address: str | None, sent: bool
) -> None:
    stored_keys.store("openai", KEY)
    stored_keys.store("vllm", KEY)
    settings, row = Settings(base_url=address), PROVIDERS[provider]
    assert (api_key(row, settings, name=provider) == KEY) is sent
    assert has_key(row, settings, name=provider) is sent


@pytest.mark.usefixtures("no_keyring")
def test_who_has_a_stored_key_is_asked_after_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored_keys.store("anthropic", KEY)
    assert provider_from_environment(Settings()) == ("anthropic", "its key is stored")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert provider_from_environment(Settings()) == ("openai", "OPENAI_API_KEY is set")


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.parametrize(
    ("name", "text", "kind", "said"),
    [
        ("opnai", KEY, UsageError, "unknown provider 'opnai'"),
        ("demo", KEY, UsageError, "demo takes no key"),
        ("openai", " \n", UsageError, "no key was given"),
        ("openai", "two words", ConfigError, "not allowed in an API key"),
        ("openai", "ä" * 20, ConfigError, "not allowed in an API key"),
        ("openai", "$OPENAI_API_KEY", ConfigError, "the name of a variable"),
    ],
)
def test_what_cannot_be_stored(name: str, text: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        stored_keys.store(name, text)
    assert not file().exists()


@pytest.mark.parametrize("content", ["", "[]", '{"openai": 4}', f'{{"openai": "{KEY}"', "\xff"])
def test_a_damaged_file_is_reported_without_what_is_in_it(content: str) -> None:
    file().parent.mkdir(parents=True)
    file().write_text(content, encoding="latin-1")
    actions: list[Callable[[], object]] = [
        stored_keys.names,
        lambda: stored_keys.key_of("openai"),
    ]
    for action in actions:
        with pytest.raises(ConfigError, match="is damaged") as caught:
            action()
        assert KEY not in f"{caught.value.message} {caught.value.hint}"


def test_a_name_that_nothing_is_stored_for() -> None:
    with pytest.raises(UsageError, match="no key is stored for 'openai'"):
        stored_keys.remove("openai")


def test_with_a_keyring_the_file_has_only_the_name(keyring: Keyring) -> None:
    assert stored_keys.store("openai", KEY) == stored_keys.KEYRING
    assert json.loads(file().read_text()) == {"openai": None}
    assert keyring.kept == {("chatstream", "openai"): KEY}
    assert (stored_keys.names(), stored_keys.key_of("openai")) == (["openai"], KEY)
    stored_keys.remove("openai")
    assert (keyring.kept, stored_keys.names()) == ({}, [])


def test_without_a_keyring_of_the_system_the_file_has_the_key(keyring: Keyring) -> None:
    keyring.fails = keyring.errors.NoKeyringError()
    assert stored_keys.store("openai", KEY) == str(file())
    assert stored_keys.key_of("openai") == KEY


def test_a_keyring_that_keeps_nothing_is_none(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "set_password", lambda *_: None)
    assert stored_keys.store("openai", KEY) == stored_keys.place_of("openai") == str(file())
    assert stored_keys.key_of("openai") == KEY


@pytest.mark.parametrize("kind", ["KeyringError", "of a backend"])
def test_a_keyring_that_refuses_is_reported(keyring: Keyring, kind: str) -> None:
    stored_keys.store("openai", KEY)
    assert stored_keys.place_of("openai") == stored_keys.KEYRING
    of_package = getattr(keyring.errors, kind, OSError)
    keyring.fails = of_package("it is locked")
    actions: list[Callable[[], object]] = [
        lambda: stored_keys.store("openai", KEY),
        lambda: stored_keys.key_of("openai"),
        lambda: stored_keys.remove("openai"),
    ]
    for action in actions:
        with pytest.raises(ConfigError, match="cannot be used: it is locked"):
            action()


def test_a_key_that_the_keyring_has_lost(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_keys.store("openai", KEY)
    keyring.kept.clear()
    with pytest.raises(ConfigError, match="no longer in the system's keyring"):
        stored_keys.key_of("openai")
    monkeypatch.setitem(sys.modules, "keyring.errors", None)
    with pytest.raises(ConfigError, match="the package keyring is not installed"):
        stored_keys.key_of("openai")
    stored_keys.remove("openai")
    assert stored_keys.names() == []
