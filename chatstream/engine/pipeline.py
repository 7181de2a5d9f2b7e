"""The one place that joins the rooms: settings and messages in, the events of a run out.

    within( fallback( for each model: retry( unstreamed( watchdog( degrade( provider.open ))))))
        |  thinking  |  seal  |  journal  |  buffer  |  coalesce

Everything that can fail happens inside the pipeline, so every run, whatever becomes of it, has
its events and exactly one terminal one.

The rooms are imported in `run`, after the connection to the server has begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.endpoints import address
from chatstream.engine.services import (
    Tell,
    begin_ahead,
    candidates,
    labels,
    model_hint,
    model_of,
    named,
    nobody,
    provider_of,
)
from chatstream.engine.settings import OnDrop, Resolved, Settings, learn_secrets, resolve
from chatstream.errors import Cancelled, ChatstreamError, ConfigError, ModelNotFound
from chatstream.events import Metadata
from chatstream.flow import Arrival, Open, Stage, pipe
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Service, find
from chatstream.redact import mask_address, redact, without_secrets
from chatstream.store.place import NoHome, runs_folder

if TYPE_CHECKING:
    from chatstream.store.journal import Journal, RequestRecord
    from chatstream.store.reading import Record
    from chatstream.transport.ahead import Ahead

FIRST_TOKEN = 300.0
FIRST_TOKEN_LOCAL = 900.0  # a local server may have to load tens of gigabytes first


def start(
    prompt: str | Sequence[Message],
    flags: Mapping[str, Any],
    token: CancelToken,
    *,
    streaming: bool | None = None,
    resettable: bool = True,
) -> Iterator[Arrival]:
    """The events of one run, pulses included. `flags` are settings, and `profile`."""
    settings = {name: value for name, value in flags.items() if name != "profile"}
    try:
        resolved = resolve({**settings, "stream": streaming}, profile=flags.get("profile"))
        return run(resolved, prompt, token, resettable=resettable)
    except ChatstreamError as error:
        return failed(error, token)


def run(
    resolved: Resolved,
    prompt: str | Sequence[Message],
    token: CancelToken,
    *,
    resettable: bool = True,
    on_screen: bool = False,
    keeps_images: bool = False,
    record: Record | None = None,
    tell: Tell = nobody,
) -> Iterator[Arrival]:
    """The events of one run with these settings. Raises `ConfigError`, `UsageError`.

    `resettable`: what was shown can be taken back. `on_screen`: it is, and nothing else reads
    it. `keeps_images`: those of the answer are saved. `record` is the run whose answer is to be
    continued. `tell` is told whom it asks, where the settings name nobody.
    """
    settings = resolved.settings
    check_sendable(settings.options)
    models = candidates(settings)
    ahead = begin_ahead(models[0])

    # While it is being made; and the time that imports take is no part of the run's.
    import chatstream.recovery.retry
    import chatstream.transport.exchange  # noqa: F401
    from chatstream.events import new_run
    from chatstream.stages.buffer import Pressure, buffer
    from chatstream.stages.coalesce import coalesce
    from chatstream.stages.journal import journal
    from chatstream.stages.seal import seal
    from chatstream.stages.thinking import thinking

    caller, token = token, CancelToken()  # who stops reading ends this run, and nothing else
    opening = replace(
        new_run(),
        provider=models[0].provider,
        model=models[0].model,
        continues=record.run if record else None,
    )
    messages = _messages(prompt, settings.system)
    earlier = record.message if record and record.message.content.strip() else None
    kept_as = record.asked.stream_id if record and record.asked else opening.run
    request = ChatRequest(
        model="",
        messages=messages,
        stream=settings.stream,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        options=settings.options,
        partial=earlier.content if earlier else "",
        stream_id=kept_as,
    )
    pressure = Pressure()
    writer = _journal(_asked(resolved, models[0], request)) if settings.journal else None
    stages: list[Stage] = [
        partial(thinking, begun=request.partial),
        seal(
            opening,
            token,
            earlier=earlier,
            warnings=resolved.warnings,
            resume=lambda: f"chatstream resume {opening.run}" if writer and writer.ok else None,
            pressure=pressure,
            keeps_images=keeps_images,
            redact=redact,
        ),
    ]
    if writer is not None:
        stages.append(journal(writer, partial(token.cancel, Cancelled("the reader has gone"))))
    strategy = settings.buffer if on_screen or settings.buffer != "sliding" else "dynamic"
    if strategy != "none":
        stages.append(buffer(strategy, pressure, most_bytes=settings.buffer_bytes))
    if settings.coalesce:
        stages.append(coalesce())
    thought = bool(earlier and earlier.reasoning)
    on_drop = settings.on_drop
    if not resettable and on_drop in {"restart", "fallback"}:
        on_drop = "stop"
    after_text = resettable and on_drop != "stop"
    events = _answer(
        models,
        on_drop,
        request,
        token,
        after_text=after_text,
        thought=thought,
        tell=tell,
        ahead=ahead,
    )
    return _tied(caller, token, pipe(events, *stages), ahead)


def _tied(
    caller: CancelToken, token: CancelToken, events: Iterator[Arrival], ahead: Ahead | None
) -> Iterator[Arrival]:
    """The events of a run with its own token, which the caller's one cancels while it is read.

    At their end the connection that was begun ahead is closed, if nothing has used it.
    """
    untie = caller.tie(token)
    try:
        yield from events
    finally:
        untie()
        if ahead is not None:
            ahead.close()


def failed(error: Exception, token: CancelToken) -> Iterator[Arrival]:
    """The events of a run that ended before it began."""

    def events() -> Iterator[Arrival]:
        yield Arrival()
        raise error

    from chatstream.events import new_run
    from chatstream.stages.seal import seal

    learn_secrets()
    return seal(new_run(), token, redact=redact)(events())


def _answer(
    models: Sequence[Settings],
    on_drop: OnDrop,
    request: ChatRequest,
    token: CancelToken,
    *,
    after_text: bool,
    thought: bool,
    tell: Tell,
    ahead: Ahead | None,
) -> Iterator[Arrival]:
    """Every model that may be asked, in turn, until one has answered; the first over `ahead`."""
    from chatstream.recovery.attempts import Attempts
    from chatstream.recovery.degrade import degrade, unstreamed
    from chatstream.recovery.fallback import fallback
    from chatstream.recovery.retry import Plan, retry
    from chatstream.recovery.watchdog import Limits, watchdog, within

    attempts = Attempts(models[0].retries, models[0].retry_delay)

    def asked(its: Settings, last: bool) -> Open:
        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            provider = yield from provider_of(its, token, tell, ahead if its is models[0] else None)
            try:
                if not named(its):  # the journal tells whom it was before anything is asked
                    place = provider.endpoint
                    address = mask_address(place.base_url)
                    yield Arrival([Metadata(provider=place.name, base_url=address)])
                service = find(provider.endpoint.name)
                model = its.model or (yield from model_of(provider, service, its, token))
                method = provider.continuation_method(model)
                if thought and method == "stripped_prefill":
                    method = None  # Anthropic goes on with no answer that it thought about
                limits = Limits(
                    connect=its.connect_timeout or None,
                    first_token=first_token(its, service),
                    between_tokens=its.idle_timeout or None,
                )
                plan = Plan(on_drop, method, in_words=bool(request.partial), first=last)
                source = watchdog(degrade(provider.open), limits)
                if its.fallback_on_error:
                    source = unstreamed(source)
                source = retry(source, attempts, plan)
                how = (method or "user_turn") if request.partial else None
                try:
                    yield from source(replace(request, model=model, method=how), token)
                except ModelNotFound as error:
                    if last and (near := (yield from model_hint(provider, model, token))):
                        error.hint = near
                    raise
            finally:
                provider.close()

        return opened

    names = labels(models)
    source = fallback(
        [(name, asked(its, its is models[-1])) for name, its in zip(names, models, strict=True)],
        attempts,
        after_text=after_text,
    )
    yield from within(source, models[0].timeout or None)(request, token)


def _journal(asked: RequestRecord) -> Journal:
    from chatstream.store.journal import Journal

    try:
        folder = runs_folder()
    except NoHome:
        return Journal(None, asked)
    return Journal(folder, asked)


def _asked(resolved: Resolved, first: Settings, request: ChatRequest) -> RequestRecord:
    """What the journal keeps of the settings: all that asks again, and no secret.

    `first` are those of the model that is asked first. Raises `ConfigError`, `UsageError`.
    """
    from chatstream.store.journal import RequestRecord

    settings = resolved.settings
    provider = named(first)
    place = address(find(provider), first) if provider else ""
    return RequestRecord(
        messages=request.messages,
        provider=provider,
        model=first.model,
        base_url=mask_address(place) or None,
        named=first.base_url is not None
        and resolved.origins.get("base_url") in {"--base-url", "--model"},
        profile=resolved.profile,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        options=without_secrets(settings.options),
        stream_id=request.stream_id,
    )


def _messages(prompt: str | Sequence[Message], system: str | None) -> tuple[Message, ...]:
    begin = (Message("system", system),) if system else ()
    return (*begin, *((Message("user", prompt),) if isinstance(prompt, str) else prompt))


def check_sendable(options: Mapping[str, Any]) -> None:
    """Raises `ConfigError` for options that are no JSON, and names the first."""
    import json

    for name, value in options.items():
        try:
            json.dumps(value, allow_nan=False)
            msgspec.json.encode({name: value})
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(
                f"the option {name!r} cannot be sent: its value is not JSON",
                hint="JSON allows strings, numbers, true, false, null, lists and objects",
            ) from error


def first_token(settings: Settings, service: Service) -> float | None:
    """The limit on the time until the first token, in seconds; None is no limit."""
    if settings.first_token_timeout is not None:
        return settings.first_token_timeout or None
    return FIRST_TOKEN_LOCAL if service.local else FIRST_TOKEN
