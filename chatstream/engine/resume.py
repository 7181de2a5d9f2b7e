"""Continuing an answer that broke off: which one, and how it was asked for.

1. The same server and model are asked, unless others are named now, with the settings of then.
2. A run with tools goes on where its loop was: what it has settled is sent again, what it has
   started is not started again (`tools.settled`), and it keeps the tools that it began with.
3. So that no call runs twice, such a run is continued once: who names it continues the newest run
   that continues it. Two processes cannot do so at the same time, and none without a journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatstream import providers
from chatstream.engine.endpoints import address, has_key
from chatstream.engine.kinds import FOR_ONE_PROVIDER, KEYS
from chatstream.engine.labels import kept
from chatstream.engine.places import split
from chatstream.engine.resolve import Resolved, meant, resolve
from chatstream.engine.resume_tools import loop_of
from chatstream.engine.run import Question
from chatstream.engine.settings import FIELDS, Settings
from chatstream.errors import JournalError, UsageError, class_of
from chatstream.messages import Message
from chatstream.redact import bare_address, show_url
from chatstream.store.journal import RequestRecord
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import (
    Record,
    find,
    has_begun,
    read,
)
from chatstream.store.unfinished import last_unfinished, newest_attempt

if TYPE_CHECKING:
    from chatstream.engine.roles import Role


def unfinished(run: str | None) -> Record:
    """The record of the run to continue. Raises `UsageError`, `JournalError`."""
    folder = runs_folder()
    named = None if run is None else _with_all_it_began_with(folder, read(find(folder, run)))
    record = named or read(last_unfinished(folder))
    if named is not None and _has_tools(named):
        record = read(find(folder, newest_attempt(folder, named.run)))
    if record.damage is not None:
        raise JournalError(
            f"the journal of run {record.run} is {record.damage}",
            hint=f"`chatstream history show {record.run} --text` prints the undamaged part",
        )
    which = f"run {record.run}"
    if named is not None and named.run != record.run:
        which = f"run {named.run} was continued by run {record.run}, which"
    if record.finished:
        raise UsageError(f"{which} is complete: there is nothing to continue")
    if class_of(record.outcome).over:
        raise UsageError(
            f"{which} has a whole answer: there is nothing to continue", hint="ask again"
        )
    if record.outcome == "running":
        raise UsageError(f"{which} has not ended yet")
    if record.tools and not _has_tools(record):
        raise UsageError(
            f"run {record.run} cannot be continued: its answer contains tool calls",
            hint="ask the question again",
        )
    return record


def _with_all_it_began_with(folder: Path, record: Record) -> Record:
    """The run, or the one that it continues, if it was killed before it had written that down."""
    while record.continues is not None and not has_begun(find(folder, record.run)):
        record = read(find(folder, record.continues))
    return record


def _has_tools(record: Record) -> bool:
    """Whether its calls were run here, so that what became of them is in its journal."""
    return record.asked is not None and bool(record.asked.tools)


def continuation(record: Record, flags: Mapping[str, Any]) -> tuple[Resolved, Question]:
    """The settings, and the question, of the run that continues this one.

    Raises `ConfigError`, and `JournalError` where the conversation before it cannot be read.
    """
    if (named := flags.get("tools")) is not None:  # beside those that it began with
        began_with = _asked(record).tool_settings.get("tools", [])
        flags = {**flags, "tools": _joined(began_with, named)}
    resolved = settings_of(record, flags)
    if _has_tools(record):
        if not resolved.settings.journal:
            raise UsageError(
                f"run {record.run} has tools, and is only continued with a journal",
                hint="leave out --no-journal",
            )
        record = replace(record, messages=[loop_of(record).partial])
    question = Question(
        messages=_asked(record).messages,
        earlier=_before(record),
        parent=record.parent,
        record=record,
    )
    return resolved, question


def _before(record: Record) -> tuple[Message, ...]:
    """The messages of the conversation before the question of this run."""
    if record.parent is None:
        return ()
    from chatstream.store.conversation import Conversations

    return tuple(Conversations(state_folder()).path(record.parent))


def settings_of(record: Record, flags: Mapping[str, Any]) -> Resolved:
    """The settings that hold now: what is said now, then what was asked, then the usual ones.

    The server is the one that gave the text, unless another is named now. Raises `ConfigError`,
    and `UsageError` where the server, or what it needs, is not known any more.
    """
    asked = _asked(record)
    began_with = {name: it for name, it in asked.tool_settings.items() if name in FIELDS}
    rules = {name: began_with.pop(name, []) for name in ("ask", "deny")}
    given = {name: value for name, value in flags.items() if value is not None}
    profile = given.pop("profile", asked.profile)
    provider = record.provider or asked.provider or ("openai" if asked.base_url else None)
    before: dict[str, Any] = {
        **began_with,
        "provider": provider,
        "model": record.model,
        "temperature": asked.temperature,
        "max_tokens": asked.max_tokens,
        "effort": asked.effort,
        "stop_when": asked.stop_when,
        "options": asked.options or None,
    }
    role: Role | None = given.get("role")
    chosen = profile != asked.profile
    if role is None and asked.role is not None:
        from chatstream.engine.roles import again

        given["role"] = again(asked.role, asked.role_settings)
    elif role is not None and role.name != asked.role:  # its settings are given now
        said = {*role.settings, *({"model"} if "strategy" in role.settings else ())}
        before = {name: value for name, value in before.items() if name not in said}
        chosen = chosen or role.has_place
    if "model" in given:
        given["model"] = meant(given["model"], profile)
    placed = "provider" not in given and split(given.get("model", ""))[1] is not None
    elsewhere = placed or (chosen and not given.keys() & {"provider", "base_url"})
    another = given.get("provider") not in {None, provider}
    if elsewhere or another:
        before = {name: value for name, value in before.items() if name not in FOR_ONE_PROVIDER}
    if elsewhere:
        before.pop("provider", None)
    now = {**before, **given, "labels": kept(record.labels, given.get("labels"))}
    if elsewhere or another or "base_url" in given:
        resolved = resolve(now, profile=profile)
    else:
        resolved = _at_its_server(record, now, profile, confirmed="provider" in given)
    settings = replace(resolved.settings, system=None)  # it is one of the messages
    if "model" in before and record.model and "strategy" not in given:
        settings = replace(settings, strategy=None)  # the model that had its turn goes on
    for name, kept_rules in rules.items():  # what was forbidden stays so, whatever is added
        joined = _joined(kept_rules, getattr(settings, name))
        settings = replace(settings, **{name: joined})
    recorded = frozenset(began_with.keys() - given.keys())
    return replace(resolved, settings=settings, recorded=recorded)


def _joined(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [*one, *(it for it in other if it not in one)]


def _at_its_server(
    record: Record, given: Mapping[str, Any], profile: str | None, *, confirmed: bool
) -> Resolved:
    """The settings that lead to the server that gave the text.

    Where today's settings lead there, all of them hold, its password and key too. Where they do
    not, the journal's address holds, and no key that is meant for another server goes there.
    `confirmed`: the provider is named now, which decides where the journal does not tell.
    """
    asked = _asked(record)
    resolved = resolve(given, profile=profile)
    name = given["provider"]
    service = providers.find(name) if name else None
    if service is not None and not service.base_url:  # the demo brings its server
        return resolved
    first = asked.provider or ("openai" if asked.base_url else None)
    kept = record.base_url or (asked.base_url if name == first else None)
    if kept is None and service is not None and confirmed:
        return resolved
    if service is None or kept is None:
        raise UsageError(
            f"the journal of run {record.run} does not say which server was asked",
            hint="name it with --base-url or --provider",
        )
    then = address(service, Settings(base_url=kept))
    now = address(service, resolved.settings)
    if bare_address(then) == bare_address(now):
        return resolved
    if bare_address(then) != then:
        raise UsageError(
            f"run {record.run} was asked at {then}, and the journal stores no passwords or keys",
            hint="give the full address with --base-url",
        )
    there = resolve({**given, "base_url": then}, profile=profile)
    if not (asked.named and kept == asked.base_url):
        key = has_key(service, there.settings, name=name) and not given.keys() & KEYS
        if key or (there.settings.headers and "headers" not in given):
            what = "key is" if key else "headers are"
            raise UsageError(
                f"run {record.run} was asked at {then}; the settings now name "
                f"{show_url(now)}, and its {what} not sent to another server",
                hint=f"to send the {what.partition(' ')[0]} there too, add --base-url {then}",
            )
        there.origins["base_url"] = f"run {record.run}"
    return there


def _asked(record: Record) -> RequestRecord:
    if record.asked is None:
        raise JournalError(f"the journal of run {record.run} does not say what was asked")
    return record.asked
