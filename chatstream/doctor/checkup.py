"""`chatstream doctor` without a server: whether this installation is ready to ask a model.

1. No model is asked anything. A server is asked for its list of models, which shows that it can be
   reached and takes the key: all servers at once, for `LIMIT_SECONDS` at most.
2. A "problem" keeps `chatstream ask` from working as things are. Whatever else could be better is
   a "note".
3. A key is never shown, only where it comes from.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Deadline
from chatstream.doctor.diagnosis import Finding
from chatstream.doctor.terminal_checks import terminal
from chatstream.engine import config_file, stored_keys
from chatstream.engine.endpoints import address, providers_in_environment
from chatstream.engine.kinds import KEYS
from chatstream.engine.resolve import Resolved, mistakes, resolve
from chatstream.engine.services import (
    Server,
    at_provider,
    awaited,
    model_names,
    provider_name,
    server_of,
    with_key,
)
from chatstream.engine.settings import Settings
from chatstream.errors import (
    AuthError,
    ChatstreamError,
    ConfigError,
    ConnectError,
    InternalError,
    TimedOut,
)
from chatstream.nearest import nearest
from chatstream.providers import PROVIDERS, find
from chatstream.redact import mask_address
from chatstream.wording import counted

LIMIT_SECONDS = 5.0
"""For all servers together; one that works lists its models well within it."""

T = TypeVar("T")


def checkup(flags: Mapping[str, Any], profile: str | None, token: CancelToken) -> Iterator[Finding]:
    """Each finding as soon as it is known. Raises the token's reason."""
    resolved = yield from configuration(flags, profile)
    yield from keys(resolved)
    settings = None
    if resolved is not None:
        settings = yield from _with_key(resolved.settings, token)
    yield from servers(settings, token)
    yield from terminal()


# ---- configuration and keys


def configuration(
    flags: Mapping[str, Any], profile: str | None
) -> Generator[Finding, None, Resolved | None]:
    """The file and all its profiles. Returns what holds, None where nothing can be used."""
    try:
        file = config_file.find()
        where = file.path if file else config_file.config_path()
        resolved = resolve(flags, profile=profile)
    except ChatstreamError as error:
        yield _problem("configuration", f"configuration: {error.message}", error.hint)
        return None
    chosen = resolved.profile or (file and file.content.get("profile"))
    which = f", profile {chosen}" if chosen else ""
    what = f"{where}{which}" if file else f"no file at {where}; the defaults apply"
    yield _ok("configuration", f"configuration: {what}")
    for mistake in mistakes(file) if file else ():
        yield _note("setting", f"configuration: {mistake.message}", mistake.hint)
    for warning in resolved.warnings:
        yield _note("setting", f"configuration: {warning}", None)
    return resolved


def keys(resolved: Resolved | None) -> Iterator[Finding]:
    """The keys that exist, and where each comes from."""
    origins = resolved.origins if resolved is not None else {}
    found = [f"{name} from {origins[name]}" for name in sorted(KEYS & origins.keys())]
    try:
        stored = [(name, stored_keys.place_of(name)) for name in stored_keys.names()]
    except ConfigError as error:
        yield _problem("key", f"key: {error.message}", error.hint)
        stored = []
    found += [f"{name} is stored with `chatstream keys`, in {where}" for name, where in stored]
    found += [f"{PROVIDERS[name].key_variable} is set ({name})" for name in _with_keys()]
    yield from (_ok("key", f"key: {it}") for it in found)
    if not found:
        todo = "to use a hosted model, store its key, for example with `chatstream keys set openai`"
        yield _note("key", "key: none is set, so only local servers can be used", todo)


def _with_key(settings: Settings, token: CancelToken) -> Generator[Finding, None, Settings | None]:
    """The settings with what `key_command` prints, so that it runs once; None where it fails."""
    if _own(settings) is None:
        return settings
    try:
        return with_key(settings, token)
    except ChatstreamError as error:
        token.check()
        yield _problem("key", f"key: {error.message}", error.hint)
        return None


def _with_keys() -> list[str]:
    """The providers whose key variable is set."""
    rows = PROVIDERS.items()
    return [
        name for name, service in rows if os.environ.get(service.key_variable or "", "").strip()
    ]


# ---- servers


def servers(settings: Settings | None, token: CancelToken) -> Iterator[Finding]:
    """A finding for each server, and one for what `chatstream ask` would ask.

    `settings` is None where the configuration cannot be used: then nothing would be asked.
    """
    deadline = Deadline(LIMIT_SECONDS)
    child, untie = token.child()
    try:
        choice = _Job(lambda: awaited(server_of(settings, child))) if settings else None
        jobs = {name: _listing(its, child) for name, its in _targets(settings).items()}
        chosen = choice.outcome(deadline, token) if choice is not None else None
        asked = chosen.settings.provider if isinstance(chosen, Server) else _own(settings)
        idle = []
        for name, (where, job) in jobs.items():
            found = job.outcome(deadline, token)
            if name != asked and find(name).local and isinstance(found, ConnectError | TimedOut):
                idle.append(where)
            else:
                yield _server(where, found, is_asked=name == asked)
        if idle:
            yield _note("not-running", f"not running: {', '.join(idle)}", None)
        if isinstance(chosen, Server):
            yield _asked(chosen, jobs[str(asked)][1].outcome(deadline, token))
        elif chosen is not None:
            yield _problem("ask", f"`chatstream ask` would fail: {chosen.message}", chosen.hint)
    finally:
        child.cancel()
        untie()


def _own(settings: Settings | None) -> str | None:
    """The provider that the settings name, if they name one that there is."""
    try:
        name = provider_name(settings) if settings is not None else None
        return name if name is not None and find(name) else None
    except ChatstreamError:
        return None


def _targets(settings: Settings | None) -> dict[str, Settings]:
    """The settings to ask each server with, by its provider: the configured one comes first."""
    own = _own(settings)
    local = [name for name, service in PROVIDERS.items() if service.local and service.base_url]
    its = settings or Settings()
    stored: list[str] = []
    with contextlib.suppress(ConfigError):  # it is reported where a key is needed
        stored = [name for name in stored_keys.names() if name in PROVIDERS]
    return {
        name: replace(its, provider=own) if name == own else at_provider(its, name)
        for name in dict.fromkeys(
            [*([own] if own else []), *local, *providers_in_environment(), *stored]
        )
    }


class _Job(Generic[T]):
    """Work on a thread of its own, which is left behind when it takes too long."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._ended: queue.SimpleQueue[T | ChatstreamError] = queue.SimpleQueue()
        self._outcome: T | ChatstreamError | None = None
        self._work = work
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._ended.put(self._work())
        except ChatstreamError as error:
            self._ended.put(error)
        except Exception as error:
            self._ended.put(InternalError(f"{type(error).__name__}: {error}"))

    def outcome(self, deadline: Deadline, token: CancelToken) -> T | ChatstreamError:
        """What it returned or raised; a `TimedOut` from then on. Raises the token's reason."""
        while self._outcome is None:
            token.check()
            left = deadline.left()
            try:
                self._outcome = self._ended.get(timeout=min(left, POLL_SECONDS) if left else 0.001)
            except queue.Empty:
                if not left:
                    self._outcome = TimedOut(f"no answer within {LIMIT_SECONDS:g} s")
        return self._outcome


def _listing(settings: Settings, token: CancelToken) -> tuple[str, _Job[list[str]]]:
    """The server in words, and the question for its models."""
    name = str(settings.provider)
    try:
        where = mask_address(address(find(name), settings))
    except ChatstreamError:
        where = ""  # the job fails in the same way, and says why
    shown = f"{name} at {where}" if where else name
    return shown, _Job(lambda: awaited(model_names(settings, token)))


def _server(where: str, found: list[str] | ChatstreamError, *, is_asked: bool) -> Finding:
    """The result of asking a server for its models."""
    if isinstance(found, list):
        return _ok("server", f"{where}: {counted(len(found), 'model')}")
    bad = _problem if is_asked and not _lists_nothing(found) else _note
    if isinstance(found, AuthError):
        return bad("key-refused", f"{where}: {found.message}", found.hint)
    if isinstance(found, ConnectError | TimedOut):
        return bad("unreachable", f"{where}: {found.message}", found.hint)
    return bad("server", f"{where} does not list its models: {found.message}", None)


def _lists_nothing(error: ChatstreamError) -> bool:
    """Whether a server may work although it does not list its models."""
    return error.status in {404, 405, 501}


def _asked(server: Server, models: list[str] | ChatstreamError) -> Finding:
    """Whether the server has the model that would be asked."""
    model, place = str(server.settings.model), mask_address(server.address)
    where = f"{server.settings.provider} at {place}" if place else str(server.settings.provider)
    what = f"`chatstream ask` would ask {model} ({where})"
    if isinstance(models, ChatstreamError):
        if not _lists_nothing(models):
            return _problem("ask", f"{what}, but that does not work: see above", None)
        return _note("ask", f"{what}; the server does not say whether it has that model", None)
    if not models or any(_is_same(model, it) for it in models):
        return _ok("ask", what)
    near = nearest(model, models) or models[:5]
    return _problem("ask", f"{what}, but it has no such model", f"it has: {', '.join(near)}")


def _is_same(model: str, listed: str) -> bool:
    """Whether a list means this model: Ollama adds a tag to names, Gemini a folder."""
    return listed in {model, f"{model}:latest"} or listed.endswith(f"/{model}")


# ---- words


def _ok(code: str, what: str) -> Finding:
    return Finding(code=code, severity="ok", what=what)


def _note(code: str, what: str, todo: str | None) -> Finding:
    return Finding(code=code, severity="note", what=what, todo=todo)


def _problem(code: str, what: str, todo: str | None) -> Finding:
    return Finding(code=code, severity="problem", what=what, todo=todo)
