"""From settings to a place to ask: the address, the key, the secrets to keep out of sight."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from chatstream.cli.config import Settings
from chatstream.errors import ConfigError
from chatstream.providers import (
    ANTHROPIC,
    LLAMACPP,
    OLLAMA,
    OPENAI,
    PROVIDERS,
    Endpoint,
    Row,
)
from chatstream.sinks.notes import standard_error

_OLLAMA_PORT = 11434
_KEY_COMMAND_SECONDS = 30
_USERINFO = re.compile(r"//[^/?#]*@")  # a password may have an @ of its own
_LOOKS_LIKE_A_KEY = re.compile(r"\b(sk|pk|gsk|xai)-[A-Za-z0-9_*-]{6,}")


def endpoint(
    name: str, row: Row, settings: Settings, environ: Mapping[str, str] = os.environ
) -> Endpoint:
    """Where to ask. Raises `ConfigError` for an address or a key that cannot be used."""
    given = settings.base_url or environ.get(row.url_variable or "")
    url = _address(given, row) if given else row.base_url
    key = api_key(row, settings, environ)
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the API key for {name} holds characters that no key has")
    return Endpoint(name, url, key, row.continues, row.prefix_path)


def api_key(row: Row, settings: Settings, environ: Mapping[str, str] = os.environ) -> str | None:
    """The key: from the settings, a command, or a variable; None where there is none."""
    if settings.api_key:
        return settings.api_key.strip()
    if settings.key_command:
        return _ask_command(settings.key_command)
    variable = settings.key_variable or row.key_variable
    key = environ.get(variable or "", "").strip()
    if settings.key_variable and not key:
        raise ConfigError(f"the key variable {settings.key_variable} is not set")
    return key or None


def with_keys(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The providers that the environment has a key for, in the order of the table."""
    return [n for n, row in PROVIDERS.items() if row.key_variable and environ.get(row.key_variable)]


def _address(text: str, row: Row) -> str:
    """A base address as people write it, made whole."""
    url = text.strip()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{text!r} is not an address: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"{text!r} is not an http or https address")
    parts = parts._replace(path=parts.path.rstrip("/"))
    if row.dialect == OLLAMA:
        if host in {"0.0.0.0", "::"}:  # what a server listens on, not what a client reaches
            parts = parts._replace(netloc=f"127.0.0.1:{port or _OLLAMA_PORT}")
        elif port is None and "://" not in text:
            parts = parts._replace(netloc=f"{parts.netloc}:{_OLLAMA_PORT}")
        parts = parts._replace(path=parts.path.removesuffix("/api"))
    elif row.dialect in {OPENAI, LLAMACPP} and not parts.path:
        parts = parts._replace(path="/v1")
    elif row.dialect == ANTHROPIC:
        parts = parts._replace(path=parts.path.removesuffix("/v1"))
    return parts.geturl()


def _ask_command(command: str) -> str:
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if standard_error().is_read else subprocess.DEVNULL,
            text=True,
            timeout=_KEY_COMMAND_SECONDS,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"the key command failed: {type(error).__name__}", hint=f"it is: {command}"
        ) from error
    key = done.stdout.strip()
    if not key:
        raise ConfigError("the key command printed no key", hint=f"it is: {command}")
    return key


class Redactor:
    """Masks the secrets that it knows, and whatever looks like a key, in a text."""

    def __init__(self, *secrets: str | None) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str | None) -> None:
        """Mask this one too from now on."""
        if secret and len(secret) >= 4:  # a shorter one would mask words
            self._secrets.append(secret)
            self._secrets.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _LOOKS_LIKE_A_KEY.sub("***", text)


def password_in(address: str | None) -> str | None:
    """The password in an address, if there is one."""
    return urlsplit(address).password if address else None


def without_userinfo(address: str | None) -> str | None:
    """An address without the user and password in it: fit to be kept."""
    return _USERINFO.sub("//", address) if address else None


def mask_userinfo(address: str) -> str:
    """An address without the user and password in it: fit to be printed."""
    return _USERINFO.sub("//***@", address)
