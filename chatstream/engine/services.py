"""Which server to ask: the provider and the model of the settings, or the first available one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import msgspec
from msgspec.structs import replace

from chatstream import errors
from chatstream.addresses import PROXY_SCHEMES, is_loopback, origin, same_server, whole
from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.engine import config_file, stored_keys
from chatstream.engine.api_keys import run_key_command
from chatstream.engine.endpoints import endpoint, providers_in_environment
from chatstream.engine.headers import contain_a_key
from chatstream.engine.kinds import FOR_ONE_SERVER
from chatstream.engine.layers import profiles_in
from chatstream.engine.places import provider_at, settings_of, split
from chatstream.engine.resolve import profile_in
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, ConfigError, ConnectError, TimedOut, UsageError
from chatstream.flow import Arrival
from chatstream.nearest import did_you_mean
from chatstream.providers import PROVIDERS, Endpoint, Service, dialect, find
from chatstream.redact import mask_address, show_url

if TYPE_CHECKING:
    from chatstream.providers.base import Provider
    from chatstream.transport import Transport
    from chatstream.transport.ahead import Ahead

T = TypeVar("T")


class Choice(msgspec.Struct, frozen=True):
    """The provider that was chosen because the settings name none: `who` in words, and why."""

    provider: str
    who: str
    why: str

    def __str__(self) -> str:
        return f"asking {self.who} ({self.why})"


Tell = Callable[[Choice], None]

OLLAMA_PROBE_SECONDS = 1.0  # a local server answers within milliseconds or not at all
MODEL_LIST_SECONDS = 30.0
"""Seconds for a server to list its models."""

_DEFAULTS = Settings()

HOW_TO_START = """\
try it without a server:  chatstream ask -p demo "hello"
use a local model:        `ollama serve`, then `chatstream models pull llama3.2`
use a hosted model:       set OPENAI_API_KEY or ANTHROPIC_API_KEY"""


def ignore_choice(_: Choice) -> None:
    """The choice is not shown."""


def candidates(settings: Settings) -> list[Settings]:
    """The settings of each model that may be asked, in order.

    A strategy replaces the model; the fallbacks follow. Raises `ConfigError` for an unknown
    strategy, and `UsageError` for an unknown provider or if a fallback is required and missing.
    """
    names = [*_strategy(settings), *settings.fallback]
    models = [with_model(settings, name) for name in names]
    if settings.strategy is None:
        models.insert(0, settings)
    if settings.on_drop == "fallback" and len(models) == 1:
        raise UsageError("no fallback model is set", hint="name one with --fallback MODEL[@PLACE]")
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
        hint = f"define it under [strategies] in the configuration file; known strategies: {known}"
        raise ConfigError(
            f"unknown strategy {settings.strategy!r}",
            hint=did_you_mean(settings.strategy, settings.strategies, hint),
        )
    return names


def labels(models: Sequence[Settings]) -> list[str]:
    """The candidates in the user's words; with the address if a provider is at more than one."""
    addresses: dict[str, set[str | None]] = {}
    for its in models:
        addresses.setdefault(_label(its), set()).add(its.base_url)
    return [
        f"{its.model or ''}@{show_url(whole(its.base_url))}"
        if its.base_url and len(addresses[_label(its)]) > 1
        else _label(its)
        for its in models
    ]


def _label(settings: Settings) -> str:
    model = settings.model or ""
    return f"{model}@{settings.provider}" if settings.provider else model or "the first model"


def with_model(settings: Settings, name: str) -> Settings:
    """These settings with another model: an alias, MODEL, MODEL@PLACE or @PLACE, see `places`.

    Another place has another address and key; those of the first one are dropped. Raises
    `ConfigError` for an unknown place.
    """
    name = settings.aliases.get(name, name)
    model, place = split(name)
    if place is None:
        return replace(settings, model=name)
    file = config_file.find()
    found = settings_of(place, repr(name), profiles_in(file), partial(profile_in, file))
    return _at(settings, {**found, "model": model or found["model"]})


def at_provider(settings: Settings, provider: str) -> Settings:
    """These settings with a known provider and its default model."""
    return _at(settings, {"provider": provider, "model": None})


def _at(settings: Settings, place: dict[str, Any]) -> Settings:
    address = place.get("base_url")
    if place["provider"] != provider_name(settings):
        dropped = FOR_ONE_SERVER | {"base_url"}
    elif address and not (settings.base_url and same_server(address, settings.base_url)):
        dropped = FOR_ONE_SERVER
    else:
        dropped = frozenset()
    return replace(settings, **{**{it: getattr(_DEFAULTS, it) for it in dropped}, **place})


def awaited(waiting: Generator[Arrival, None, T]) -> T:
    """The result of a generator of heartbeats, for a caller that shows nothing while it waits."""
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            found: T = end.value
            return found


def server_of(
    settings: Settings, token: CancelToken, tell: Tell = ignore_choice
) -> Generator[Arrival, None, Server]:
    """Heartbeats while the server is looked for; returns the one to ask. Raises."""
    provider = yield from provider_of(settings, token, tell)
    try:
        endpoint = provider.endpoint
        service = find(endpoint.name)
        model = settings.model or (yield from model_of(provider, service, settings, token))
        address = service.base_url and endpoint.base_url  # the demo has its own server
        return Server(replace(settings, provider=endpoint.name, model=model), address)
    finally:
        provider.close()


class Server(msgspec.Struct, frozen=True):
    """A server to ask: settings with a provider and a model, and its address, if it has one."""

    settings: Settings
    address: str


def model_names(
    settings: Settings, token: CancelToken, tell: Tell = ignore_choice
) -> Generator[Arrival, None, list[str]]:
    """Heartbeats while the server is asked; returns the names of its models. Raises."""
    provider = yield from provider_of(settings, token, tell)
    try:
        return (yield from limited(provider.models(token), MODEL_LIST_SECONDS))
    finally:
        provider.close()


def provider_name(settings: Settings) -> str | None:
    """The provider that the settings name; None if one has to be looked for.

    Raises `ConfigError` for an invalid address.
    """
    return settings.provider or (provider_at(settings.base_url) if settings.base_url else None)


def is_local(settings: Settings) -> bool:
    """Whether the server is on this machine, as far as the settings tell. Raises `UsageError`."""
    name = provider_name(settings)
    if settings.base_url:
        return is_loopback(origin(whole(settings.base_url))[1] or "")
    return name is None or find(name).local


def provider_of(
    settings: Settings, token: CancelToken, tell: Tell = ignore_choice, ahead: Ahead | None = None
) -> Generator[Arrival, None, Provider]:
    """The provider that the settings name, or the first that there is; `tell` is told which.

    `ahead` is a connection to the one that is named.

    A local Ollama comes first if it answers and has a model that can chat. The next is the first
    provider that the environment has a key or an address for. A server at Ollama's address that
    does not list its models as Ollama does (another server, or the error page of a proxy) is not
    taken for Ollama.
    """
    settings = with_key(settings, token)
    if name := provider_name(settings):
        return make_provider(name, settings, ahead=ahead)
    ollama = make_provider("ollama", settings)
    where = mask_address(ollama.endpoint.base_url)
    try:
        model = yield from limited(ollama.chat_model(token), OLLAMA_PROBE_SECONDS)
        if model is not None:
            who = f"{settings.model or model} on Ollama at {where}"
            tell(Choice("ollama", who, "no provider is set"))
            return ollama
        missing = f"Ollama at {where} has no chat model"
    except ChatstreamError as error:
        token.check()
        if isinstance(error, ConfigError):
            raise
        known = isinstance(error, ConnectError | TimedOut)
        missing = f"Ollama does not answer at {where}" + ("" if known else f" ({error.message})")
    ollama.close()
    if found := provider_from_environment(settings):
        name, why = found
        provider = make_provider(name, settings)
        who = _model_and_place(settings, provider)
        tell(Choice(name, who, f"{why}; {missing}"))
        return provider
    raise UsageError(f"no model server is set up, and {missing}", hint=HOW_TO_START)


def with_key(settings: Settings, token: CancelToken) -> Settings:
    """These settings with the key that their key command prints, so that it runs once. Raises."""
    if settings.api_key or settings.key_command is None:
        return settings
    key = run_key_command(settings.key_command, token)
    return replace(settings, api_key=key, key_command=None, key_variable=None)


def provider_from_environment(settings: Settings) -> tuple[str, str] | None:
    """The first provider with a key or an address, and the reason for the choice, in words.

    Those of the environment come first, then those with a stored key. But a provider that can be
    asked at once comes before one that still needs a model. Ollama does not count: it has been
    looked for already.
    """
    found = {name: f"{it} is set" for name, it in providers_in_environment().items()}
    stored = stored_keys.names()
    for other in (it for it in PROVIDERS if it in stored):
        found.setdefault(other, "its key is stored")
    found.pop("ollama", None)
    ready = (it for it in found if settings.model or PROVIDERS[it].model or PROVIDERS[it].local)
    name = next(ready, next(iter(found), None))
    return (name, found[name]) if name else None


def _model_and_place(settings: Settings, provider: Provider) -> str:
    name, address = provider.endpoint.name, provider.endpoint.base_url
    usual = default_model(find(name), address)
    model = settings.model or usual or "the first model"
    return f"{model} on {name}" if usual else f"{model} on {name} at {mask_address(address)}"


def make_provider(
    name: str,
    settings: Settings,
    transport: Transport | None = None,
    clock: Clock = monotonic,
    ahead: Ahead | None = None,
) -> Provider:
    """The provider of this name, over this transport or a new one. Raises."""
    from chatstream.transport import Transport  # requests: more than half of a start

    service = find(name)
    place = endpoint(name, service, settings)
    if _lacks_key(service, place):
        raise errors.AuthError(
            f"no API key is set for {name}",
            hint=how_to_give_a_key(name, service),
        )
    transport = transport or Transport(**transport_options(service, settings), ahead=ahead)
    return dialect(service)(place, transport, clock)


def how_to_give_a_key(name: str, service: Service) -> str:
    """What to do if a service has no key."""
    return f"store it with `chatstream keys set {name}`, or set {service.key_variable}"


def import_ahead() -> None:
    """Import what every first request needs, while something else takes its time."""
    import chatstream.recovery.retry
    import chatstream.transport.exchange  # noqa: F401 - only so that it is there


def begin_ahead(settings: Settings) -> Ahead | None:
    """A connection to the server that these settings ask, opened now; None to open it later.

    It is opened now only if this server is certain to be asked: not if a server has to be looked
    for, and not if the key or the model is missing.
    """
    try:
        name = provider_name(settings)
        if name is None or settings.key_command:
            return None
        service = find(name)
        place = endpoint(name, service, settings)
    except ChatstreamError:  # reported when the server is asked
        return None
    lacks_model = settings.model is None and _needs_model(service, place)
    if not place.base_url or lacks_model or _lacks_key(service, place):
        return None
    from chatstream.transport.ahead import Ahead  # ssl

    options = transport_options(service, settings)
    return Ahead(
        place.base_url,
        limit=options["connect"],
        setting=options["proxies"],
        ca_file=options["ca_file"],
    )


def _lacks_key(service: Service, place: Endpoint) -> bool:
    """Whether the service needs a key and has none."""
    hosted = (
        service.key_variable and not service.local and same_server(place.base_url, service.base_url)
    )
    return bool(hosted) and place.key is None and not contain_a_key(place.headers)


def _needs_model(service: Service, place: Endpoint) -> bool:
    """Whether the user has to name the model, because the service has no default."""
    return service.model is None and not service.local and place.base_url == service.base_url


class TransportOptions(TypedDict):
    """What a `Transport` takes."""

    connect: float | None
    proxies: dict[str, str] | None
    ca_file: str | None


def transport_options(service: Service, settings: Settings) -> TransportOptions:
    """The settings for connections. Raises `ConfigError`.

    A server in this process is asked without a proxy: the demo's, or any if `proxy` is "".
    """
    options = connections(settings)
    return options if service.base_url else {**options, "proxies": {}}


def connections(settings: Settings) -> TransportOptions:
    """The settings for connections to any server. Raises `ConfigError`."""
    proxy = whole(settings.proxy, schemes=PROXY_SCHEMES) if settings.proxy else None
    proxies = dict.fromkeys(("http", "https"), proxy) if proxy else None
    return {
        "connect": settings.connect_timeout or None,
        "proxies": {} if settings.proxy == "" else proxies,
        "ca_file": settings.ca_file,
    }


def limited(waiting: Generator[Arrival, None, T], seconds: float) -> Generator[Arrival, None, T]:
    """The same heartbeats and the same result. Raises `TimedOut` after this time."""
    deadline = Deadline(seconds)
    while True:
        try:
            heartbeat = next(waiting)
        except StopIteration as end:
            found: T = end.value
            return found
        if deadline.passed:
            waiting.close()
            raise TimedOut(f"the server did not list its models within {seconds:g} s")
        yield heartbeat


def default_model(service: Service, address: str) -> str | None:
    """The model for this address if none is named, as far as the table knows."""
    return service.model if address == service.base_url or not service.base_url else None


def model_of(
    provider: Provider, service: Service, settings: Settings, token: CancelToken
) -> Generator[Arrival, None, str]:
    """The model to ask if none is named: the provider's default, or the first that can chat."""
    name, address = provider.endpoint.name, provider.endpoint.base_url
    if usual := default_model(service, address):
        return usual
    if _needs_model(service, provider.endpoint):
        raise UsageError(
            f"no model is set for {name}",
            hint=f"choose one with -m; `chatstream models -p {name}` lists them",
        )
    model = yield from limited(provider.chat_model(token), MODEL_LIST_SECONDS)
    if model is None:
        hint = how_to_pull(provider, "llama3.2") if provider.can_pull else "name one with -m"
        raise UsageError(f"{mask_address(address)} has no chat model", hint=hint)
    return model


def model_hint(
    provider: Provider, model: str, token: CancelToken
) -> Generator[Arrival, None, str | None]:
    """Heartbeats while the server is asked for its models; returns what to do without this one."""
    pulls = how_to_pull(provider, model) if provider.can_pull else None
    try:
        names = yield from limited(provider.models(token), OLLAMA_PROBE_SECONDS)
    except ChatstreamError:
        token.check()
        return pulls
    return "\n".join(filter(None, [did_you_mean(model, names), pulls])) or None


def how_to_pull(provider: Provider, model: str) -> str:
    """The command that has a server download a model."""
    import shlex

    place = provider.endpoint
    usual = place.base_url == PROVIDERS["ollama"].base_url
    where = "" if usual else f" -p {place.name} --base-url {mask_address(place.base_url)}"
    return f"`chatstream models pull {shlex.quote(model)}{where}` downloads it"
