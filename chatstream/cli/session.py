"""The one place that joins the rooms: settings and messages in, the events of a run out.

    choose a provider, choose a model, ask
    within( retry( watchdog( degrade( provider.open ))))  |  thinking  |  seal

Everything that can fail happens inside the pipeline, so every run, whatever becomes of it, has
its events and exactly one terminal one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from msgspec.structs import replace

from chatstream import errors
from chatstream.accumulate import Accumulator
from chatstream.cancel import CancelToken
from chatstream.cli.config import Resolved, Settings, resolve
from chatstream.cli.endpoints import Redactor, endpoint, with_keys
from chatstream.clock import Deadline
from chatstream.errors import ChatstreamError, ConnectError, TimedOut, UsageError
from chatstream.events import Error, Event
from chatstream.flow import Pulse, pipe
from chatstream.messages import ChatRequest, Message
from chatstream.providers import PROVIDERS, Row, dialect, find
from chatstream.recovery.degrade import degrade
from chatstream.recovery.retry import retry
from chatstream.recovery.watchdog import Limits, watchdog, within
from chatstream.stages.seal import new_run, seal
from chatstream.stages.thinking import thinking

if TYPE_CHECKING:
    from chatstream.providers.base import Provider

FIRST_TOKEN = 300.0
FIRST_TOKEN_LOCAL = 900.0  # a local server may have to load tens of gigabytes first
_LOOK_FOR_OLLAMA = 1.0  # seconds; a local server answers within milliseconds or not at all
_MODEL_LIST = 30.0  # seconds for a server to list its models

HOW_TO_START = """\
try it without a server:  chatstream ask -p demo "hello"
use a local model:        start Ollama (`ollama serve`, `ollama pull llama3.2`)
use a hosted model:       set OPENAI_API_KEY or ANTHROPIC_API_KEY"""


class Options(TypedDict, total=False):
    """What `stream` and `ask` take; the names and defaults are those of the settings."""

    provider: str
    model: str
    base_url: str
    api_key: str
    key_variable: str
    key_command: str
    system: str
    temperature: float
    max_tokens: int
    retries: int
    connect_timeout: float
    first_token_timeout: float
    idle_timeout: float
    timeout: float
    proxy: str
    ca_file: str
    options: dict[str, Any]
    profile: str


def stream(
    prompt: str | Sequence[Message],
    *,
    token: CancelToken | None = None,
    streaming: bool = True,
    **options: Unpack[Options],
) -> Iterator[Event]:
    """The events of one answer, as they arrive; the last is `Done` or `Error`.

    `prompt` is a question or a whole conversation. Settings that are not given come from the
    environment and the configuration file. `token.cancel()`, from any thread, ends the answer;
    so does closing the iterator. Never raises for what happens to the answer: that is the
    `Error` event.
    """
    token = token or CancelToken()
    for event in start(prompt, dict(options), token, streaming=streaming):
        if type(event) is not Pulse:
            yield event


def ask(
    prompt: str | Sequence[Message],
    *,
    token: CancelToken | None = None,
    streaming: bool = True,
    **options: Unpack[Options],
) -> Message:
    """The whole answer. Takes what `stream` takes.

    Raises the `ChatstreamError` of the failure when the answer is not whole; its `partial` is
    the message as far as it came.
    """
    answer = Accumulator()
    for event in stream(prompt, token=token, streaming=streaming, **options):
        answer.add(event)
    if isinstance(answer.terminal, Error):
        raise _exception(answer.terminal, answer.message)
    return answer.message


def _exception(event: Error, partial: Message) -> ChatstreamError:
    kind = errors.class_of(event.code)
    error = ChatstreamError.__new__(kind)
    ChatstreamError.__init__(
        error, event.message, hint=event.hint, status=event.status, request_id=event.request_id
    )
    error.partial = partial
    return error


def start(
    prompt: str | Sequence[Message],
    flags: Mapping[str, Any],
    token: CancelToken,
    *,
    streaming: bool = True,
) -> Iterator[Event]:
    """The events of one run, pulses included. `flags` are settings, and `profile`."""
    settings = {name: value for name, value in flags.items() if name != "profile"}
    try:
        resolved = resolve(settings, profile=flags.get("profile"))
    except ChatstreamError as error:
        return failed(error, token)
    return run(resolved, prompt, token, streaming=streaming)


def run(
    resolved: Resolved,
    prompt: str | Sequence[Message],
    token: CancelToken,
    *,
    streaming: bool = True,
) -> Iterator[Event]:
    """The events of one run with these settings."""
    import chatstream.transport  # noqa: F401 - requests: its import is no part of the run's time

    settings = resolved.settings
    opening = replace(new_run(), provider=settings.provider, model=settings.model)
    redact = Redactor(settings.api_key, *_keys(os.environ), _password(settings.proxy))
    messages = _messages(prompt, settings.system)
    events = _answer(settings, messages, token, redact, streaming=streaming)
    return pipe(events, thinking, seal(opening, token, redact=redact))


def failed(error: ChatstreamError, token: CancelToken) -> Iterator[Event]:
    """The events of a run that ended before it began."""

    def events() -> Iterator[Event]:
        yield Pulse()
        raise error

    return seal(new_run(), token, redact=Redactor(*_keys(os.environ)))(events())


def model_names(settings: Settings, token: CancelToken) -> Generator[Event, None, list[str]]:
    """Pulses while the server is asked, then the names of its models. Raises."""
    provider = yield from _provider(settings, token, Redactor())
    try:
        return (yield from _names(provider, token, _MODEL_LIST))
    finally:
        provider.close()


def _answer(
    settings: Settings,
    messages: tuple[Message, ...],
    token: CancelToken,
    redact: Redactor,
    *,
    streaming: bool,
) -> Iterator[Event]:
    provider = yield from _provider(settings, token, redact)
    try:
        name = provider.endpoint.name
        row = find(name)
        request = ChatRequest(
            model=settings.model or (yield from _model(provider, row, settings, token)),
            messages=messages,
            stream=streaming,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            options=settings.options,
        )
        limits = Limits(
            connect=settings.connect_timeout or None,
            first_token=_first_token(settings, row),
            between_tokens=settings.idle_timeout or None,
        )
        source = retry(watchdog(degrade(provider.open), limits), settings.retries)
        yield from within(source, settings.timeout or None)(request, token)
    finally:
        provider.close()


def _messages(prompt: str | Sequence[Message], system: str | None) -> tuple[Message, ...]:
    begin = (Message("system", system),) if system else ()
    return (*begin, *((Message("user", prompt),) if isinstance(prompt, str) else prompt))


def _first_token(settings: Settings, row: Row) -> float | None:
    if settings.first_token_timeout is not None:
        return settings.first_token_timeout or None
    return FIRST_TOKEN_LOCAL if row.local else FIRST_TOKEN


def _provider(
    settings: Settings, token: CancelToken, redact: Redactor
) -> Generator[Event, None, Provider]:
    """The provider that the settings name, or the first that there is."""
    if settings.provider or settings.base_url:
        return _made(settings.provider or "openai", settings, redact)
    ollama = _made("ollama", settings, redact)
    try:
        yield from _names(ollama, token, _LOOK_FOR_OLLAMA)
        return ollama
    except (ConnectError, TimedOut):
        ollama.close()
    for name in with_keys():
        return _made(name, settings, redact)
    raise UsageError(
        f"no model server: no settings, and no Ollama at {ollama.endpoint.base_url}",
        hint=HOW_TO_START,
    )


def _made(name: str, settings: Settings, redact: Redactor) -> Provider:
    from chatstream.transport import Transport  # requests: more than half of a start

    row = find(name)
    place = endpoint(name, row, settings)
    redact.learn(place.key)
    redact.learn(_password(place.base_url))
    if place.key is None and row.key_variable and not row.local and not settings.base_url:
        raise errors.AuthError(
            f"there is no API key for {name}",
            hint=f"set {row.key_variable}, or key_command in the configuration file",
        )
    transport = Transport(
        connect=settings.connect_timeout or None,
        proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else None,
        ca_file=settings.ca_file,
    )
    return dialect(row)(place, transport)


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


def _model(
    provider: Provider, row: Row, settings: Settings, token: CancelToken
) -> Generator[Event, None, str]:
    """The model to ask when none is named: the provider's usual one, or the server's first."""
    name = provider.endpoint.name
    own_address = provider.endpoint.base_url == row.base_url
    if row.model and (own_address or not row.base_url):
        return row.model
    if own_address and not row.local:
        raise UsageError(
            f"no model is named for {name}",
            hint=f"choose one with -m; `chatstream models -p {name}` lists them",
        )
    names = yield from _names(provider, token, _MODEL_LIST)
    if not names:
        hint = "`ollama pull llama3.2` fetches one" if name == "ollama" else "name one with -m"
        raise UsageError(f"{provider.endpoint.base_url} has no model", hint=hint)
    return names[0]


def _keys(environ: Mapping[str, str]) -> list[str]:
    """Every key of a known provider in the environment, to be masked."""
    variables = [row.key_variable for row in PROVIDERS.values() if row.key_variable]
    return [environ[name] for name in variables if name in environ]


def _password(url: str | None) -> str | None:
    from urllib.parse import urlsplit

    return urlsplit(url).password if url else None
