"""The one place that joins the rooms: settings and messages in, the events of a run out.

    within( loop( start over( fallback( for each model:
            retry( gate( watchdog( degrade( provider.open ))))))))
        |  thinking  |  stopping  |  analyze  |  fitting  |  seal  |  journal
        |  filters of other packages  |  buffer  |  coalesce

Everything that can fail happens inside the pipeline, so every run, whatever becomes of it, has
its events and exactly one terminal one.

The rooms are imported in `run`, after the connection to the server has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.endpoints import address
from chatstream.engine.labels import labels_of
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved, learn_secrets
from chatstream.engine.run import Question, Run
from chatstream.engine.services import (
    Tell,
    begin_ahead,
    candidates,
    ignore_choice,
    import_ahead,
    labels,
    model_hint,
    model_of,
    provider_name,
    provider_of,
)
from chatstream.engine.settings import OnDrop, Settings
from chatstream.errors import Cancelled, ConfigError, ModelNotFound, Unrecorded
from chatstream.events import Content, Event, Metadata, Reasoning, Warn, new_run
from chatstream.flow import Arrival, Open, Stage, pipe
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Service, find
from chatstream.redact import mask_address, redact, without_secrets
from chatstream.store.place import NoHome, runs_folder, state_folder

if TYPE_CHECKING:
    from chatstream.engine.context import Fitting
    from chatstream.engine.spending import Spending
    from chatstream.store.journal import Journal, RequestRecord
    from chatstream.store.reading import Record
    from chatstream.transport.ahead import Ahead

Follow = Callable[[str], Sequence[str]]
"""Called with the id of a run before anything is asked; returns warnings."""

FIRST_TOKEN_SECONDS = 300.0
LOCAL_FIRST_TOKEN_SECONDS = 900.0  # a local server may have to load tens of gigabytes first


def not_followed(_run: str) -> Sequence[str]:
    """The run follows no other."""
    return ()


def run(
    resolved: Resolved,
    question: Question,
    pool: Pool,
    caller: CancelToken,
    *,
    tell: Tell = ignore_choice,
    follow: Follow = not_followed,
) -> Run:
    """One run with these settings; nothing is asked before it is read.

    Raises `ConfigError`, `UsageError`. While the run is read, `caller` cancels it; its own token
    cancels nothing else. `tell` learns who is asked, where the settings name nobody. `follow` is
    called with the run's id before anything is asked; what it returns are warnings.
    """
    settings, record, tooling = resolved.settings, question.record, question.tooling
    check_sendable(settings.options)
    schema = _schema(settings, record, caller)
    token = CancelToken()  # who stops reading ends this run, and nothing else
    filters = _filters(settings, token)
    models = candidates(settings)
    ahead = None if pool.has(models[0]) else begin_ahead(models[0])

    # While it is being made; and the time that imports take is no part of the run's.
    import_ahead()
    from chatstream.engine.spending import Spending
    from chatstream.stages.journal import journal
    from chatstream.stages.seal import seal
    from chatstream.stages.thinking import thinking

    opening = replace(
        tooling.opening if tooling else new_run(),
        provider=models[0].provider,
        model=models[0].model,
        continues=record.run if record else None,
        parent=question.parent,
        labels=labels_of(settings.labels),
    )
    earlier = record.message if record and record.message.content.strip() else None
    kept_as = record.asked.stream_id if record and record.asked else opening.run
    request = ChatRequest(
        model="",
        messages=question.conversation,
        stream=settings.stream,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        effort=settings.effort,
        options=settings.options,
        partial=earlier.content if earlier else "",
        stream_id=kept_as,
        load_image=_stored_image,
        tools=tooling.definitions if tooling else (),
        schema=schema,
        logprobs=settings.analyze,
    )
    pressure: Pressure | None = None
    strategy = settings.buffer if question.on_screen or settings.buffer != "sliding" else "dynamic"
    if strategy != "none":
        from chatstream.readahead import Pressure
        from chatstream.stages.buffer import buffer

        pressure = Pressure()
    writer: Journal | None = None
    if settings.journal:
        writer = _journal(_asked(resolved, models[0], question, kept_as, schema))
    made: list[Run] = []
    spending = Spending(settings, question)
    before = [*(tooling.replayed if tooling else ()), *_said(earlier)]
    stages: list[Stage] = [
        partial(thinking, begun=request.partial),
        *_extras(settings, before),
        *_fitting(schema, request.partial),
        seal(
            opening,
            token,
            earlier=before,
            resume=lambda: f"chatstream resume {opening.run}" if writer and writer.ok else None,
            pressure=pressure,
            keeps_images=question.keeps_images,
            calls_resume=tooling is not None,
            cost=spending.cost,
            redact=redact,
            ended=lambda terminal: made[0].note_end(terminal),
        ),
    ]
    if writer is not None:
        gone = partial(token.cancel, Cancelled("the reader has gone"))
        words = "a tool was not started: that it starts cannot be written to the journal"
        stages.append(journal(writer, gone, partial(token.cancel, Unrecorded(words))))
    stages += filters
    if strategy != "none" and pressure is not None:
        stages.append(buffer(strategy, pressure, most_bytes=settings.buffer_bytes))
    if settings.coalesce:
        from chatstream.stages.coalesce import coalesce

        stages.append(coalesce())
    thought = bool(earlier and earlier.reasoning)
    on_drop = settings.on_drop
    if not question.resettable and on_drop in {"restart", "fallback"}:
        on_drop = "stop"
    events = _answer(
        models,
        on_drop,
        request,
        token,
        question,
        spending,
        thought=thought,
        tell=tell,
        ahead=ahead,
        pool=pool,
    )
    warnings = [*resolved.warnings, *(tooling.warnings if tooling else ())]
    warned = _warned(warnings, partial(follow, str(opening.run)), events)
    untie = caller.tie(token)

    def ended() -> None:
        untie()
        if ahead is not None:
            ahead.close()  # if nothing has used it
        if tooling is not None:
            tooling.close()  # if nothing was read

    made.append(Run(question, opening, token, pipe(warned, *stages), ended=ended))
    return made[0]


def _schema(settings: Settings, record: Record | None, token: CancelToken) -> dict[str, Any] | None:
    """The schema that the answer was asked for with, and has to fit. Raises `UsageError`."""
    kept = record.asked.schema if record and record.asked else None
    if kept is None and (record or settings.schema is settings.schema_multi is None):
        return None
    from chatstream.engine.answer_schema import again, schema_of

    return again(kept) if record else schema_of(settings, token)


def _fitting(schema: dict[str, Any] | None, begun: str) -> list[Stage]:
    if schema is None:
        return []
    from chatstream.stages.fitting import fitting

    return [fitting(schema, begun)]


def _extras(settings: Settings, before: Sequence[Event]) -> list[Stage]:
    if settings.stop_when is None and not settings.analyze:
        return []
    from chatstream.engine.extras import analysis, stopping

    return [*stopping(settings, before), *analysis(settings, before)]


def _filters(settings: Settings, token: CancelToken) -> list[Stage]:
    """Those of other packages. Raises `UsageError`."""
    if not settings.filters:
        return []
    from chatstream.engine.extras import filters

    return filters(settings, token)


def _said(earlier: Message | None) -> list[Event]:
    """What an answer that broke off had said, as events."""
    if earlier is None:
        return []
    thought = [Reasoning(earlier.reasoning)] if earlier.reasoning else []
    return [*thought, Content(earlier.content)]


def _warned(
    warnings: Sequence[str], follow: Callable[[], Sequence[str]], arrivals: Iterator[Arrival]
) -> Iterator[Arrival]:
    """The warnings, and then the answer.

    `seal` has passed on the event that opens the run before it comes to this, and the journal has
    written it: no conversation names a run that has no journal.
    """
    told: list[Event] = [Warn("settings", warning) for warning in (*warnings, *follow())]
    if told:
        yield Arrival(told, connected=False)
    yield from arrivals


def failed(error: Exception, token: CancelToken | None = None) -> Run:
    """A run that ended before it began."""

    def arrivals() -> Iterator[Arrival]:
        yield from ()
        raise error

    from chatstream.stages.seal import seal

    learn_secrets()
    opening, token = new_run(), token or CancelToken()
    return Run(
        Question(messages=()), opening, token, seal(opening, token, redact=redact)(arrivals())
    )


def _answer(
    models: Sequence[Settings],
    on_drop: OnDrop,
    request: ChatRequest,
    token: CancelToken,
    question: Question,
    spending: Spending,
    *,
    thought: bool,
    tell: Tell,
    ahead: Ahead | None,
    pool: Pool,
) -> Iterator[Arrival]:
    """The answer, its calls seen to; the first model is asked over `ahead`."""
    from chatstream.recovery.attempts import Attempts
    from chatstream.recovery.degrade import degrade, unstreamed
    from chatstream.recovery.fallback import fallback
    from chatstream.recovery.retry import Plan, retry
    from chatstream.recovery.watchdog import Limits, watchdog, within

    answerer = models[0]  # who has answered last is asked first for the next response
    tooling = question.tooling
    after_text = question.resettable and on_drop != "stop"
    fitting: Fitting | None = None

    def asked(its: Settings, last: bool, attempts: Attempts) -> Open:
        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            nonlocal answerer, ahead, fitting
            answerer, first = its, None
            if its is models[0]:
                first, ahead = ahead, None
            provider = pool.take(its) or (yield from provider_of(its, token, tell, first))
            try:
                if not provider_name(its):  # the journal tells whom it was before anything is asked
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
                plan = Plan(
                    on_drop,
                    method,
                    in_words=bool(request.partial),
                    first=last,
                    after_calls=tooling is not None,
                    resettable=question.resettable,
                )
                asking = replace(request, model=model)
                source = spending.around(provider, service, provider.open)
                if fitting is None and (question.earlier or (service.local and asking.is_large)):
                    from chatstream.engine.context import Fitting

                    fitting = Fitting(question, trim=models[0].trim)
                if fitting is not None:
                    asking = yield from fitting.fit(provider, service, asking, token)
                    source = fitting.around(provider, service, source)
                source = watchdog(degrade(source, pool.refused(its, model)), limits)
                if its.fallback_on_error:
                    source = unstreamed(source)
                source = retry(pool.guarded(provider, source), attempts, plan)
                how = (method or "user_turn") if request.partial else None
                try:
                    yield from source(replace(asking, method=how), token)
                except ModelNotFound as error:
                    if last and (near := (yield from model_hint(provider, model, token))):
                        error.hint = near
                    raise
            except Exception:
                provider.close()
                raise
            except GeneratorExit:  # the end of the answer is known, or nobody reads on
                pool.give(its, provider)
                raise
            pool.give(its, provider)

        return opened

    def response(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        """One response: every model that may be asked, in turn, until one has answered."""
        attempts = Attempts(models[0].retries, models[0].retry_delay)
        turn = models[models.index(answerer) :]
        candidates = [
            (name, asked(its, its is turn[-1], attempts))
            for name, its in zip(labels(turn), turn, strict=True)
        ]
        source = fallback(candidates, attempts, after_text=after_text)
        if question.starts_over:
            from chatstream.recovery.startover import starting_over

            source = starting_over(source)
        return source(request, token)

    source = tooling.around(response) if tooling is not None else response
    yield from within(source, models[0].timeout or None)(request, token)


def _journal(asked: RequestRecord) -> Journal:
    from chatstream.store.journal import Journal

    try:
        folder = runs_folder()
    except NoHome:
        return Journal(None, asked)
    return Journal(folder, asked)


def _stored_image(name: str) -> bytes:
    """The image with this SHA-256. Raises `JournalError`, `NoHome`."""
    from chatstream.store.blobs import Blobs

    return Blobs(state_folder()).get(name)


def _asked(
    resolved: Resolved,
    first: Settings,
    question: Question,
    stream_id: str | None,
    schema: dict[str, Any] | None,
) -> RequestRecord:
    """What the journal keeps of the settings: all that asks again, and no secret.

    `first` are those of the model that is asked first. Raises `ConfigError`, `UsageError`.
    """
    from chatstream.store.journal import RequestRecord

    settings, tooling = resolved.settings, question.tooling
    provider = provider_name(first)
    place = address(find(provider), first) if provider else ""
    return RequestRecord(
        messages=question.messages,
        provider=provider,
        model=first.model,
        base_url=mask_address(place) or None,
        named=first.base_url is not None
        and resolved.origins.get("base_url") in {"--base-url", "--model"},
        profile=resolved.profile,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        effort=settings.effort,
        stop_when=settings.stop_when,
        options=without_secrets(settings.options),
        stream_id=stream_id,
        tools=tooling.definitions if tooling else (),
        tool_settings=tooling.kept if tooling else {},
        schema=schema,
        role=resolved.role.name if resolved.role else None,
        role_settings=resolved.role.kept() if resolved.role else {},
    )


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
    return LOCAL_FIRST_TOKEN_SECONDS if service.local else FIRST_TOKEN_SECONDS
