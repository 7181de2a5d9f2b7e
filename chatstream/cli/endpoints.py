"""From settings to a place to ask: the address and the key that belongs to it.

A key goes only to the server that it was given for. Whatever names a key and an address names a
pair: where a stronger origin gives another address, this key is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from chatstream.addresses import same_server
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
from chatstream.redact import mask_address, redact
from chatstream.sinks.notes import standard_error

_OLLAMA_PORT = 11434
_KEY_COMMAND_SECONDS = 30

# What may follow the base of an address, the longest first.
_CALLS = {
    OLLAMA: ("/api/chat", "/api/generate", "/api/tags", "/api"),
    OPENAI: ("/chat/completions", "/models"),
    LLAMACPP: ("/chat/completions", "/models"),
    ANTHROPIC: ("/v1/messages", "/v1/models", "/messages", "/v1"),
}


def endpoint(
    name: str, row: Row, settings: Settings, environ: Mapping[str, str] = os.environ
) -> Endpoint:
    """Where to ask. Raises `ConfigError` for an address or a key that cannot be used."""
    url = address(row, settings, environ)
    key = api_key(row, settings, environ)
    redact.learn(key)
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the API key for {name} holds characters that no key has")
    return Endpoint(name, url, key, row.continues, row.prefix_path, settings.headers)


def address(row: Row, settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The address of the server: of the settings, the provider's variable, or the table.

    Raises `ConfigError` for an address that cannot be used.
    """
    given = settings.base_url or environ.get(row.url_variable or "")
    redact.learn_address(given)
    return _address(given, row) if given else row.base_url


def api_key(row: Row, settings: Settings, environ: Mapping[str, str] = os.environ) -> str | None:
    """The key: from the settings, a command, or a variable; None without one."""
    if settings.api_key:
        return settings.api_key.strip()
    if settings.key_command:
        return _ask_command(settings.key_command)
    if settings.key_variable:
        if key := environ.get(settings.key_variable, "").strip():
            return key
        raise ConfigError(f"the key variable {settings.key_variable} is not set")
    return _usual_key(row, settings, environ)


def has_key(row: Row, settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a key would be sent; no command is run to find out."""
    own = settings.api_key or settings.key_command or settings.key_variable
    return bool(own or _usual_key(row, settings, environ))


def _usual_key(row: Row, settings: Settings, environ: Mapping[str, str]) -> str | None:
    """That of the provider's own variable, unless its other variable names another server."""
    theirs = environ.get(row.url_variable or "")
    if theirs and settings.base_url and not _one_server(theirs, settings.base_url, row):
        return None
    return environ.get(row.key_variable or "", "").strip() or None


def _one_server(theirs: str, own: str, row: Row) -> bool:
    try:
        return same_server(_address(theirs, row), _address(own, row))
    except ConfigError:  # an address that is not used need not be a good one
        return False


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
        why = "" if "@" in text else f": {error}"  # it may quote the password
        raise ConfigError(f"{mask_address(text)!r} is not an address{why}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"{mask_address(text)!r} is not an http or https address")
    if parts.fragment:
        raise ConfigError(f"{mask_address(text)!r} has a fragment, which no server gets to see")
    parts = parts._replace(path=_without_call(parts.path.rstrip("/"), row))
    if row.dialect == OLLAMA:
        if host in {"0.0.0.0", "::"}:  # what a server listens on, not what a client reaches
            parts = parts._replace(netloc=f"127.0.0.1:{port or _OLLAMA_PORT}")
        elif port is None and "://" not in text:
            parts = parts._replace(netloc=f"{parts.netloc}:{_OLLAMA_PORT}")
    elif row.dialect in {OPENAI, LLAMACPP} and not parts.path:
        parts = parts._replace(path="/v1")
    return parts.geturl()


def _without_call(path: str, row: Row) -> str:
    """The path without the call at its end: vendors print the address of the whole call."""
    for call in _CALLS.get(row.dialect, ()):
        if path.endswith(call):
            return path.removesuffix(call).rstrip("/")
    return path


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
