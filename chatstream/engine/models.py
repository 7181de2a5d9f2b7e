"""The models of a server: the list, the details of one, and a download.

Each function yields heartbeats while the server is asked, and raises a `ChatstreamError`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.services import (
    MODEL_LIST_SECONDS,
    Tell,
    how_to_pull,
    ignore_choice,
    limited,
    make_provider,
    provider_of,
    with_key,
)
from chatstream.engine.settings import Settings
from chatstream.errors import ModelNotFound, UsageError
from chatstream.flow import Arrival
from chatstream.providers import PROVIDERS, dialect
from chatstream.providers.details import ModelDetails as ModelDetails


def details(
    settings: Settings, token: CancelToken, tell: Tell = ignore_choice
) -> Generator[Arrival, None, ModelDetails]:
    """The server's details of the model of these settings."""
    model = _model(settings)
    provider = yield from provider_of(settings, token, tell)
    try:
        return (yield from limited(provider.details(model, token), MODEL_LIST_SECONDS))
    except ModelNotFound as error:
        if provider.can_pull:
            error.hint = how_to_pull(provider, model)
        raise
    finally:
        provider.close()


def can_pull(name: str | None) -> bool:
    """Whether servers of this provider can be asked to download models."""
    row = PROVIDERS.get(name or "")
    return row is not None and dialect(row).can_pull


def pull(settings: Settings, token: CancelToken) -> Iterator[Arrival]:
    """Have the server download the model of these settings; yields its `Progress`.

    If the settings name no provider, this is Ollama, whatever its address is and even if it has no
    model yet.
    """
    model = _model(settings)
    name = settings.provider or "ollama"
    provider = make_provider(name, with_key(replace(settings, provider=name), token))
    try:
        yield from provider.pull(model, token)
    finally:
        provider.close()


def _model(settings: Settings) -> str:
    if not settings.model:
        raise UsageError("no model is named", hint="give its name, such as qwen3:4b")
    return settings.model
