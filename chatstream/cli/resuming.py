"""Going on with an answer that broke off: which one, and how it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.cli.config import BOUND, Resolved, resolve
from chatstream.cli.endpoints import without_userinfo
from chatstream.cli.session import Options, failed, run
from chatstream.errors import ChatstreamError, JournalError, UsageError
from chatstream.events import Event
from chatstream.flow import without_signals
from chatstream.store.journal import Asked
from chatstream.store.place import runs_folder
from chatstream.store.reading import Record, find, last_unfinished, read


def resume(
    run: str | None = None, *, token: CancelToken | None = None, **options: Unpack[Options]
) -> Iterator[Event]:
    """The events of an answer that is gone on with; the last is `Done` or `Error`.

    `run` is the id of a run that did not finish, or the beginning of it; None is the last one.
    What is there already comes first, so the `content` deltas are the whole answer. Options are
    those of `stream`, and stronger than what was asked before. Never raises, as `stream`.
    """
    token = token or CancelToken()
    try:
        events = go_on(unfinished(run), dict(options), token)
    except ChatstreamError as error:
        events = failed(error, token)
    yield from without_signals(events)


def unfinished(run: str | None) -> Record:
    """The record of the run to go on with. Raises `UsageError`, `JournalError`."""
    folder = runs_folder()
    record = read(last_unfinished(folder) if run is None else find(folder, run))
    if record.damage is not None:
        raise JournalError(
            f"the journal of run {record.run} is {record.damage}",
            hint=f"`chatstream history show {record.run} --text` prints what is sound",
        )
    if record.finished:
        raise UsageError(f"run {record.run} is complete: there is nothing to go on with")
    if record.outcome == "running":
        raise UsageError(f"run {record.run} has not ended yet")
    if record.tools:
        raise UsageError(
            f"the answer of run {record.run} had begun to call tools: it cannot be gone on with",
            hint="ask the question again",
        )
    return record


def go_on(
    record: Record,
    flags: Mapping[str, Any],
    token: CancelToken,
    *,
    resettable: bool = True,
    on_screen: bool = False,
) -> Iterator[Event]:
    """The events of the run that goes on with `record`. Raises `ConfigError`."""
    return run(
        settings_of(record, flags),
        _asked(record).messages,
        token,
        resettable=resettable,
        on_screen=on_screen,
        record=record,
    )


def settings_of(record: Record, flags: Mapping[str, Any]) -> Resolved:
    """The settings that hold now: what is said now, then what was asked, then the usual ones.

    Raises `ConfigError`.
    """
    asked = _asked(record)
    given = {name: value for name, value in flags.items() if value is not None}
    profile = given.pop("profile", asked.profile)
    before: dict[str, Any] = {
        "provider": record.provider,
        "model": record.model,
        "base_url": asked.base_url,
        "temperature": asked.temperature,
        "max_tokens": asked.max_tokens,
        "options": asked.options or None,
    }
    elsewhere = profile != asked.profile and not given.keys() & {"provider", "base_url"}
    if elsewhere or given.get("provider") not in {None, record.provider}:
        before = {name: value for name, value in before.items() if name not in BOUND}
    if elsewhere:
        del before["provider"]
    first = asked.provider or ("openai" if asked.base_url else None)
    if first not in {None, record.provider} and record.provider:  # another one had taken over
        before.pop("base_url", None)
    usual = resolve({**before, **given, "base_url": given.get("base_url")}, profile=profile)
    if without_userinfo(usual.settings.base_url) != before.get("base_url"):
        usual = resolve({**before, **given}, profile=profile)
    settings = replace(usual.settings, system=None)  # it is one of the messages
    if "model" in before and record.model and "strategy" not in given:
        settings = replace(settings, strategy=None)  # the model that had its turn goes on
    return replace(usual, settings=settings)


def _asked(record: Record) -> Asked:
    if record.asked is None:
        raise JournalError(f"the journal of run {record.run} does not tell what was asked")
    return record.asked
