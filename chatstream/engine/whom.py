"""Who would be asked now, and why: for `config show`; and whether anybody could be: `check`.

No server is contacted but one on this machine, no key command is run, and no key is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from chatstream.addresses import is_loopback
from chatstream.cancel import CancelToken
from chatstream.engine.endpoints import address, has_key, has_stored_key
from chatstream.engine.resolve import Resolved, meant
from chatstream.engine.services import (
    OLLAMA_PROBE_SECONDS,
    Choice,
    awaited,
    candidates,
    default_model,
    how_to_give_a_key,
    limited,
    make_provider,
    provider_from_environment,
    provider_name,
    provider_of,
)
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError
from chatstream.providers import Service, find
from chatstream.redact import mask_address

Line = tuple[str, str, str]
"""What is told, its value, and where that comes from."""

NOTHING = "-"


def check(settings: Settings) -> None:
    """Raise `ConfigError` or `UsageError` for settings with which no server can be asked."""
    for its in candidates(settings):
        if (name := provider_name(its)) is not None:
            address(find(name), its)


def whom(resolved: Resolved, token: CancelToken) -> Iterator[Line]:
    """The server, the model and the key of the next question, a service each.

    Raises a `ChatstreamError` where a question would fail with it before anything is asked.
    """
    settings = candidates(resolved.settings)[0]
    origins = resolved.origins
    name = provider_name(settings)
    if name is not None:
        why = _of_settings(settings, find(name), origins)
    else:
        name, why = _looked_for(settings, token)
    service = find(name)
    place = address(service, settings)
    yield "asked now: server", f"{name} at {mask_address(place)}" if place else name, why
    model, why = _model(settings, name, service, place, token)
    if settings.model:
        why = f"strategy {settings.strategy}" if settings.strategy else origins.get("model", why)
    yield "asked now: model", model, why
    yield "asked now: key", *_key(name, settings, service, place, origins)


def _of_settings(settings: Settings, service: Service, origins: dict[str, str]) -> str:
    given = [origins[it] for it in ("provider", "base_url") if it in origins]
    if (
        not settings.base_url
        and service.url_variable
        and address(service, settings) != service.base_url
    ):
        given.append(service.url_variable)
    return ", ".join(dict.fromkeys(given)) or f"strategy {settings.strategy}"


def _looked_for(settings: Settings, token: CancelToken) -> tuple[str, str]:
    """The provider that is found, where the settings name none."""
    ollama = address(find("ollama"), settings)
    if _may_be_contacted(ollama, settings):
        found: list[Choice] = []
        awaited(provider_of(settings, token, found.append)).close()
        return found[0].provider, found[0].why
    next_one = provider_from_environment(settings)
    other = f"{next_one[0]}, because {next_one[1]}" if next_one else "nobody"
    return "ollama", f"not contacted, because it is on another machine; otherwise: {other}"


def _model(
    settings: Settings, name: str, service: Service, place: str, token: CancelToken
) -> tuple[str, str]:
    if settings.model:
        return settings.model, ""
    if usual := default_model(service, place):
        return usual, f"the default model of {name}"
    if place == service.base_url and not service.local:
        return NOTHING, f"{name} has no default model: choose one with -m"
    first = "the server's first chat model"
    if not _may_be_contacted(place, settings):
        return NOTHING, f"{first}; it was not contacted"
    provider = make_provider(name, settings)
    try:
        model = awaited(limited(provider.chat_model(token), OLLAMA_PROBE_SECONDS))
    except ChatstreamError as error:
        token.check()
        return NOTHING, f"{first}: {error.message}"
    finally:
        provider.close()
    return (model, first) if model else (NOTHING, "the server has no chat model")


def _key(
    name: str, settings: Settings, service: Service, place: str, origins: dict[str, str]
) -> tuple[str, str]:
    for setting in ("api_key", "key_command", "key_variable"):
        if getattr(settings, setting):
            return "yes", origins.get(setting, setting)
    if has_stored_key(service, settings, name=name):
        return "yes", "stored with `chatstream keys`"
    if has_key(service, replace(settings, key_command=None)):
        return "yes", str(service.key_variable)
    if service.key_variable and not service.local and place == service.base_url:
        return "missing", how_to_give_a_key(name, service)
    if not service.key_variable:
        return "none", "it takes none"
    return "none", "none is set, and this server may need none"


def _may_be_contacted(place: str, settings: Settings) -> bool:
    host = urlsplit(place).hostname
    return host is not None and is_loopback(host) and not settings.key_command


def local_server(settings: Settings) -> str | None:
    """The address of the server if it runs locally: it may serve one request at a time.

    None for any other, and if it is only found when it is asked.
    """
    name = provider_name(settings)
    if name is None or not (service := find(name)).local:
        return None
    return mask_address(address(service, settings))


def with_model(flags: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The flags with this model, whose place, if it names one, overrides theirs."""
    name = meant(name, flags.get("profile"))
    placed = {"provider", "base_url", "profile"} if "@" in name else set()
    replaced = {"strategy", *placed}
    return {**{it: value for it, value in flags.items() if it not in replaced}, "model": name}
