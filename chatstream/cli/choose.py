"""Whom to ask: the provider and the model that the settings name, or the first that there are."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypedDict, TypeVar

import msgspec
from msgspec.structs import replace

from chatstream import errors
from chatstream.cancel import CancelToken
from chatstream.cli.config import Settings
from chatstream.cli.endpoints import endpoint, with_keys
from chatstream.cli.headers import bring_a_key
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError, ConfigError, ConnectError, TimedOut, UsageError
from chatstream.events import Event
from chatstream.nearest import did_you_mean
from chatstream.providers import Endpoint, Row, dialect, find, is_known

if TYPE_CHECKING:
    from chatstream.providers.base import Provider
    from chatstream.transport import Transport
    from chatstream.transport.ahead import Ahead

T = TypeVar("T")

_LOOK_FOR_OLLAMA = 1.0  # seconds; a local server answers within milliseconds or not at all
_MODEL_LIST = 30.0  # seconds for a server to list its models

HOW_TO_START = """\
try it without a server:  chatstream ask -p demo "hello"
use a local model:        start Ollama (`ollama serve`, `ollama pull llama3.2`)
use a hosted model:       set OPENAI_API_KEY or ANTHROPIC_API_KEY"""


def candidates(settings: Settings) -> list[Settings]:
    """The settings of each model that may be asked, in order.

    A strategy stands in the place of the model; the fallbacks come after it. Raises
    `ConfigError` for an unknown strategy, `UsageError` where there has to be a fallback, and
    for an unknown provider.
    """
    names = [*_strategy(settings), *settings.fallback]
    models = [with_model(settings, name) for name in names]
    if settings.strategy is None:
        models.insert(0, settings)
    if settings.on_drop == "fallback" and len(models) == 1:
        raise UsageError(
            "there is no model to fall back on", hint="name one with --fallback MODEL[@PROVIDER]"
        )
    for its in models:
        if its.provider:
            find(its.provider)
    return models


def _strategy(settings: Settings) -> list[str]:
    if settings.strategy is None:
        return []
    names = settings.strategies.get(settings.strategy)
    if names is None:
        known = ", ".join(settings.strategies) or "none yet"
        hint = f"a list of models under [strategies] in the configuration file; there: {known}"
        raise ConfigError(
            f"there is no strategy {settings.strategy!r}",
            hint=did_you_mean(settings.strategy, settings.strategies, hint),
        )
    return names


def label(settings: Settings) -> str:
    """A candidate in the words of the user."""
    model = settings.model or ""
    return f"{model}@{settings.provider}" if settings.provider else model or "the first model"


def with_model(settings: Settings, name: str) -> Settings:
    """These settings with another model: MODEL, MODEL@PROVIDER or @PROVIDER.

    Another provider has another address and key; what belongs to the first one is dropped.
    """
    model, at, provider = name.rpartition("@")
    if not at or not is_known(provider):
        return replace(settings, model=name)
    if provider == settings.provider:
        return replace(settings, model=model or None)
    return replace(
        settings,
        provider=provider,
        model=model or None,
        base_url=None,
        api_key=None,
        key_variable=None,
        key_command=None,
        headers={},
    )


def awaited(waiting: Generator[Event, None, T]) -> T:
    """What a generator of pulses returns, for who shows nothing while it waits."""
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            found: T = end.value
            return found


def server_of(settings: Settings, token: CancelToken) -> Generator[Event, None, Server]:
    """Pulses while it is found out, then whom these settings ask. Raises."""
    provider = yield from provider_of(settings, token)
    try:
        endpoint = provider.endpoint
        row = find(endpoint.name)
        model = settings.model or (yield from model_of(provider, row, settings, token))
        address = row.base_url and endpoint.base_url  # the demo is its own server
        return Server(replace(settings, provider=endpoint.name, model=model), address)
    finally:
        provider.close()


class Server(msgspec.Struct, frozen=True):
    """Whom to ask: settings that name a provider and a model, and its address, if it has one."""

    settings: Settings
    address: str


def model_names(settings: Settings, token: CancelToken) -> Generator[Event, None, list[str]]:
    """Pulses while the server is asked, then the names of its models. Raises."""
    provider = yield from provider_of(settings, token)
    try:
        return (yield from _names(provider, token, _MODEL_LIST))
    finally:
        provider.close()


def named(settings: Settings) -> str | None:
    """The provider that the settings name; None where one has to be looked for."""
    return settings.provider or ("openai" if settings.base_url else None)


def provider_of(
    settings: Settings, token: CancelToken, ahead: Ahead | None = None
) -> Generator[Event, None, Provider]:
    """The provider that the settings name, or the first that there is.

    `ahead` is a connection to the one that is named.

    Whatever is at Ollama's address and does not list its models as Ollama does (another server,
    or a proxy's page of error) is no Ollama.
    """
    if name := named(settings):
        return made(name, settings, ahead=ahead)
    ollama = made("ollama", settings)
    try:
        yield from _names(ollama, token, _LOOK_FOR_OLLAMA)
        return ollama
    except ChatstreamError as error:
        ollama.close()
        token.check()
        if isinstance(error, ConfigError):
            raise
        known = isinstance(error, ConnectError | TimedOut)
        why = "" if known else f" ({error.message})"
    for name in with_keys():
        return made(name, settings)
    raise UsageError(
        f"no model server: no settings, and no Ollama at {ollama.endpoint.base_url}{why}",
        hint=HOW_TO_START,
    )


def made(
    name: str,
    settings: Settings,
    transport: Transport | None = None,
    clock: Clock = monotonic,
    ahead: Ahead | None = None,
) -> Provider:
    """The provider of that name, over that transport or a new one. Raises."""
    from chatstream.transport import Transport  # requests: more than half of a start

    row = find(name)
    place = endpoint(name, row, settings)
    if _lacks_key(row, place, settings):
        raise errors.AuthError(
            f"there is no API key for {name}",
            hint=f"set {row.key_variable}, or key_command in the configuration file",
        )
    transport = transport or Transport(**transport_options(row, settings), ahead=ahead)
    return dialect(row)(place, transport, clock)


def begin_ahead(settings: Settings) -> Ahead | None:
    """A connection to the server that these settings ask, begun now; None: not before it is asked.

    It is begun only where it is sure that this server will be asked, and not where one has to be
    looked for, or where the key or the model turns out to be missing.
    """
    name = named(settings)
    if name is None or settings.key_command:
        return None
    try:
        row = find(name)
        place = endpoint(name, row, settings)
    except ChatstreamError:  # told when the server is to be asked
        return None
    lacks_model = settings.model is None and _needs_model(row, place)
    if not place.base_url or lacks_model or _lacks_key(row, place, settings):
        return None
    from chatstream.transport.ahead import Ahead  # ssl

    options = transport_options(row, settings)
    return Ahead(
        place.base_url,
        limit=options["connect"],
        setting=options["proxies"],
        ca_file=options["ca_file"],
    )


def _lacks_key(row: Row, place: Endpoint, settings: Settings) -> bool:
    """Whether the service wants a key, and there is none."""
    hosted = row.key_variable and not row.local and not settings.base_url
    return bool(hosted) and place.key is None and not bring_a_key(place.headers)


def _needs_model(row: Row, place: Endpoint) -> bool:
    """Whether the user has to name the model: the service has no usual one."""
    return row.model is None and not row.local and place.base_url == row.base_url


class TransportOptions(TypedDict):
    """What a `Transport` takes."""

    connect: float | None
    proxies: dict[str, str] | None
    ca_file: str | None


def transport_options(row: Row, settings: Settings) -> TransportOptions:
    """What the settings say about connections.

    No proxy leads to a server in this process: that of the demo, or any where `proxy` is "".
    """
    proxies = dict.fromkeys(("http", "https"), settings.proxy) if settings.proxy else None
    here = settings.proxy == "" or not row.base_url
    return {
        "connect": settings.connect_timeout or None,
        "proxies": {} if here else proxies,
        "ca_file": settings.ca_file,
    }


def _names(
    provider: Provider, token: CancelToken, seconds: float
) -> Generator[Event, None, list[str]]:
    deadline = Deadline(seconds)
    for item in provider.models(token):
        if isinstance(item, list):
            return item
        if deadline.passed:
            raise TimedOut(f"the server did not list its models within {seconds:g} s")
        yield item
    return []


def model_of(
    provider: Provider, row: Row, settings: Settings, token: CancelToken
) -> Generator[Event, None, str]:
    """The model to ask when none is named: the provider's usual one, or the server's first."""
    name = provider.endpoint.name
    own_address = provider.endpoint.base_url == row.base_url
    if row.model and (own_address or not row.base_url):
        return row.model
    if _needs_model(row, provider.endpoint):
        raise UsageError(
            f"no model is named for {name}",
            hint=f"choose one with -m; `chatstream models -p {name}` lists them",
        )
    names = yield from _names(provider, token, _MODEL_LIST)
    if not names:
        hint = "`ollama pull llama3.2` fetches one" if name == "ollama" else "name one with -m"
        raise UsageError(f"{provider.endpoint.base_url} has no model", hint=hint)
    return names[0]


def model_hint(
    provider: Provider, model: str, token: CancelToken
) -> Generator[Event, None, str | None]:
    """Pulses while the server that does not have this model is asked what is near; or None."""
    try:
        names = yield from _names(provider, token, _LOOK_FOR_OLLAMA)
    except ChatstreamError:
        token.check()
        return None
    return did_you_mean(model, names)
