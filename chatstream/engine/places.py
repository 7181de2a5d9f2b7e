"""Places: the part of a model's name after `@`, and addresses as vendors print them.

1. `MODEL@PLACE` is a model at a place, and `@PLACE` is the default model there. The place is a
   profile, a provider or a URL; it follows the last `@`. If a profile and a provider have the same
   name, the profile is meant, because the user created it.
2. `MODEL@PROVIDER` means `-p PROVIDER -m MODEL`, and `MODEL@URL` means `--base-url URL -m MODEL`.
   `MODEL@PROFILE` takes the profile's server and key, and none of its other settings.
3. If the provider is given too, the model's name is not split: `-p x -m @cf/m`.
4. A URL may be that of a whole API call, as vendors print it; the call is removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from chatstream.addresses import looks_like_one, same_server, whole
from chatstream.errors import ConfigError, UsageError
from chatstream.nearest import did_you_mean
from chatstream.providers import (
    ANTHROPIC,
    LLAMACPP,
    OLLAMA,
    OPENAI,
    PROVIDERS,
    RESPONSES,
    Service,
    is_known,
)
from chatstream.redact import mask_address

PLACE = ("provider", "base_url", "api_key", "key_variable", "key_command")
"""The settings that make up a place: a server, and the key that belongs to it."""

_WAY = ("proxy", "ca_file")
"""The settings of a profile for the connection to its server."""

ROOT = "/."
"""The path of an address whose calls have no prefix; no default path replaces it."""

_OLLAMA_PORT = 11434

# The calls that may follow the base of an address, the longest first.
_OPENAI_CALLS = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")
_CALLS = {
    OLLAMA: (
        *("/api/chat", "/api/generate", "/api/tags", "/api/show", "/api"),
        *(f"/v1{call}" for call in _OPENAI_CALLS),
        "/v1",
    ),
    OPENAI: _OPENAI_CALLS,
    RESPONSES: _OPENAI_CALLS,
    LLAMACPP: (*_OPENAI_CALLS, "/completion"),
    ANTHROPIC: ("/v1/messages", "/v1/models", "/messages", "/v1"),
}

# The provider that a call belongs to, if none is named.
_WHOSE_CALL = {
    "ollama": ("/api/chat", "/api/generate", "/api/tags"),
    "anthropic": ("/v1/messages",),
    "openai": _OPENAI_CALLS,
}


def base_address(text: str, service: Service) -> str:
    """The base address of a service, from an address as people write it. Raises `ConfigError`."""
    parts = urlsplit(whole(text, port=_OLLAMA_PORT if service.dialect == OLLAMA else None))
    call = next((it for it in _CALLS.get(service.dialect, ()) if parts.path.endswith(it)), "")
    path = parts.path.removesuffix(call).rstrip("/")
    if not path and service.dialect in {OPENAI, RESPONSES, LLAMACPP}:
        if same_server(text, service.base_url):
            path = urlsplit(service.base_url).path
        else:
            path = ROOT if call else "/v1"
    return parts._replace(path=path).geturl()


def provider_at(address: str) -> str:
    """The provider of an address that is given without one. Raises `ConfigError`.

    It is recognised by the call at the end, by the server of a hosted service, or by Ollama's port.
    Every other server is assumed to be compatible with OpenAI.
    """
    url = whole(address)
    parts = urlsplit(url)
    for name, calls in _WHOSE_CALL.items():
        if parts.path.endswith(calls):
            return name if name != "openai" else _service(url) or name
    return _service(url) or (
        "ollama" if parts.port == _OLLAMA_PORT and not parts.path else "openai"
    )


def _service(url: str) -> str | None:
    """The hosted service at this address, if any."""
    hosted = (name for name, service in PROVIDERS.items() if not service.local)
    return next((name for name in hosted if same_server(url, PROVIDERS[name].base_url)), None)


def split(name: str) -> tuple[str, str | None]:
    """The MODEL and the PLACE of a model's name; the place is None if the name has no `@`."""
    url = re.search(r"@(?=[a-z][a-z0-9+.-]*://)", name, re.IGNORECASE)  # a URL may contain an @
    at = url.start() if url else name.rfind("@")
    return (name, None) if at < 0 else (name[:at], name[at + 1 :].strip())


def settings_of(
    place: str, origin: str, profiles: Iterable[str], profile: Callable[[str], Any]
) -> dict[str, Any]:
    """The settings of a place. The model is None, unless a profile sets one.

    For a profile these are all settings of `PLACE`, None where it has none, and its headers, so
    that no key of another place is sent there. `profile` returns the `Settings` of a profile;
    `origin` is how messages refer to the setting that contains the place. Raises `UsageError` or
    `ConfigError` for an unknown place.
    """
    if place in profiles:
        its = profile(place)
        found = {name: getattr(its, name) for name in (*PLACE, "headers")}
        if its.provider is None and its.base_url is not None:
            found["provider"] = provider_at(its.base_url)
        found |= {name: it for name in _WAY if (it := getattr(its, name)) is not None}
        whole_name = its.provider is not None or "@" not in (its.model or "")
        return {**found, "model": its.model if whole_name else None}
    if place in PROVIDERS:
        return {"provider": place, "model": None}
    if looks_like_one(place):
        return {"provider": provider_at(place), "base_url": place, "model": None}
    if place and is_known(place):
        return {"provider": place, "model": None}
    raise _unknown(place, origin, profiles)


def _unknown(place: str, origin: str, profiles: Iterable[str]) -> ConfigError | UsageError:
    near = did_you_mean(place, [*profiles, *PROVIDERS])
    meant = f"{near} " if near else ""
    unknown = f"unknown provider or profile {mask_address(place)!r} after the @"
    named = unknown if place else "nothing follows the @"
    kind = UsageError if origin.startswith("--") else ConfigError
    return kind(
        f"{origin}: {named}",
        hint=f"{meant}providers: {', '.join(PROVIDERS)}; "
        f"profiles: {', '.join(profiles) or 'none'}; or an address such as http://localhost:8000\n"
        "if the @ is part of the model's name, give the provider too: -p PROVIDER -m NAME",
    )
