"""MCP servers: which ones a run has, and how each is reached.

1. `--mcp` takes the name of a table `[mcp.NAME]` in the configuration, an address, or a command.
   `--mcp-config` takes a file of other clients, and brings all servers in that file. Only
   there `${VARIABLE}` and `${VARIABLE:-OTHERWISE}` are replaced.
2. A table has a `command`, with or without `args` and `env`, or a `url`, with or without `headers`.
   Without `args` the command is a whole command line. `trusted` says that what the server returns
   does not count as text from outside; only a table may say so. Nothing in it gives a server any
   right.
3. A server on this machine may ask for the folders of `--root`, if there are any. A server
   somewhere else does not see them, nor does a server of a run that is resumed, or that follows
   another and does not name them again.
4. The values of `env` and `headers` are never shown.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec

from chatstream.engine.shapes import Misfit, fitted
from chatstream.errors import ConfigError, UsageError
from chatstream.files import named, read_whole
from chatstream.nearest import did_you_mean
from chatstream.redact import MASK, mask_address, mask_headers, masked, redact, show_url
from chatstream.store.place import NoHome, state_folder

if TYPE_CHECKING:
    from chatstream.cancel import CancelToken
    from chatstream.engine.settings import Settings
    from chatstream.tools.mcp.http import Begun, Post
    from chatstream.tools.mcp.server import Server
    from chatstream.tools.mcp.tool import Fleet
    from chatstream.tools.spawning import Keeper
    from chatstream.transport import Transport

Starting = Callable[[Sequence[str]], None]
"""Told which servers are still starting, several times a second, and at the end that none are."""

_KINDS: dict[str, Any] = {
    "command": str,
    "args": list[str],
    "env": dict[str, str],
    "url": str,
    "headers": dict[str, str],
}
"""The keys of an entry in a file of other clients that chatstream knows."""

_OF_TABLE: dict[str, Any] = {**_KINDS, "trusted": bool}
"""The keys that a table of the configuration may have."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,32}")
"""The name of a server."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def ignore_starting(_names: Sequence[str]) -> None:
    """A `Starting` that does nothing."""


class MCPServer(msgspec.Struct, frozen=True):
    """How a server is reached: by the program and its arguments in `command`, or at `url`."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str | None = None
    headers: dict[str, str] = {}
    trusted: bool = False

    @property
    def reached(self) -> str:
        """Its command line or address. It may contain secrets."""
        return self.url or shlex.join(self.command)


def checked(tables: Any, origin: str) -> dict[str, Any]:
    """The tables of the configuration, as they are. Raises `ConfigError`."""
    for name, table in tables.items():
        _of_table(name, table, f"{origin}.{name}")
    return dict(tables)


def shown(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The tables, fit to be printed."""
    return {name: {key: _shown(key, it) for key, it in its.items()} for name, its in tables.items()}


def _shown(key: str, value: Any) -> Any:
    match key:
        case "env":
            return dict.fromkeys(value, MASK)
        case "headers":
            return mask_headers(value)
        case "url":
            return mask_address(value)
    return masked(value)


def fleet_of(
    settings: Settings, roots: Sequence[Path], keeper: Callable[[], Keeper], token: CancelToken
) -> Fleet | None:
    """The servers of a run, which begin to start at once; None if it has none.

    `keeper` returns the keeper, and is called only if a server is a program. Close the keeper after
    the fleet. Raises `UsageError`, `ConfigError`.
    """
    if not (settings.mcp_servers or settings.mcp_config):
        return None
    named = _named(settings)
    if not all(it.url for it in named.values()):
        keeper()  # which begins while the rest is imported
    from chatstream.tools.mcp.approved import Approved, key_of
    from chatstream.tools.mcp.tool import Fleet

    servers = [
        (_server(name, it, roots, keeper, settings), key_of(name, it.reached))
        for name, it in named.items()
    ]
    path: Path | None = None
    with suppress(NoHome):
        path = state_folder() / "mcp-approved.json"
    trusted = [name for name, it in named.items() if it.trusted]
    return Fleet(servers, Approved(path), token, trusted=trusted)


def _server(
    name: str,
    its: MCPServer,
    roots: Sequence[Path],
    keeper: Callable[[], Keeper],
    settings: Settings,
) -> Server:
    from chatstream.tools.mcp.server import Server

    redact.learn_options(its.env)
    redact.learn_headers(its.headers)
    redact.learn_address(its.url)
    if (url := its.url) is not None:
        from chatstream.tools.mcp.http import Http

        return Server(
            name,
            lambda answer: Http(url, answer, HttpExchange(settings), its.headers),
            hint=f"check that a server runs at {show_url(url)}",
        )
    from chatstream.tools.mcp.stdio import Stdio

    started_by = keeper()
    return Server(
        name,
        lambda answer: Stdio(started_by, its.command, answer, its.env),
        hint=f"run it by itself to see what it says: {redact(its.reached)}",
        roots=[{"uri": it.as_uri(), "name": it.name} for it in roots],
    )


# ---- which servers


def _named(settings: Settings) -> dict[str, MCPServer]:
    """All servers by their names. Raises `UsageError`, `ConfigError`."""
    found: dict[str, MCPServer] = {}
    if settings.mcp_config is not None:
        found |= from_file(named(settings.mcp_config))
    of_file = set(found)
    for given in dict.fromkeys(settings.mcp_servers):
        if given in settings.mcp:
            name, server = given, _of_table(given, settings.mcp[given], f"mcp.{given}")
        elif given in of_file:
            continue
        else:
            name, server = _of_argument(given, [*settings.mcp, *of_file])
        if name in found:
            raise UsageError(
                f"two MCP servers are called {name}",
                hint="give them names in the configuration file: [mcp.NAME]",
            )
        found[name] = server
    return found


def _of_argument(given: str, known: Sequence[str]) -> tuple[str, MCPServer]:
    """The server that an argument of `--mcp` stands for, and its name. Raises `UsageError`."""
    import shutil

    from chatstream.tools.mcp.names import of_address, of_command

    if given.startswith(("http://", "https://")):
        return of_address(given), MCPServer(url=given)
    command = _words(given, "--mcp")
    if shutil.which(command[0]) is None:
        there = f"known servers: {', '.join(known)}" if known else None
        raise UsageError(
            f"there is no MCP server and no program {command[0]!r}",
            hint=did_you_mean(given, known, there)
            or "give a command, an address, or the name of a table [mcp.NAME] in the configuration",
        )
    return of_command(command), MCPServer(command=command)


def _words(command: str, origin: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"{origin}: {command} is not a command: {error}") from error
    if not words:
        raise UsageError(f"{origin} is empty", hint="give it a value, or leave it out")
    return words


def _of_table(name: str, table: Any, origin: str) -> MCPServer:
    """The server of a table of the configuration. Raises `ConfigError`."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{origin}: a server cannot be called {name!r}",
            hint="a name has 1 to 32 letters, digits, underscores and hyphens",
        )
    for key, value in table.items():
        if key not in _OF_TABLE:
            there = f"a server has: {', '.join(_OF_TABLE)}"
            raise ConfigError(
                f"{origin}: unknown key {key!r}", hint=did_you_mean(key, _OF_TABLE, there)
            )
        if key == "args" and isinstance(value, str):
            raise ConfigError(f'{origin}.args takes a list of strings, such as ["one", "two"]')
        try:
            fitted(_OF_TABLE[key], value)
        except Misfit as misfit:
            raise ConfigError(f"{'.'.join([origin, key, *misfit.keys])} {misfit}") from None
    try:
        return _made(table, splits="args" not in table)
    except UsageError as error:
        raise ConfigError(f"{origin} {error.message}", hint=error.hint) from None


def _made(table: Mapping[str, Any], *, splits: bool = False) -> MCPServer:
    """The server of a table whose values fit. Raises `UsageError`."""
    command, url = table.get("command"), table.get("url")
    if bool(command) == bool(url):
        both = "both a command and a url" if url else "neither a command nor a url"
        raise UsageError(f"has {both}", hint="a server is started by a command, or is at a url")
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError("has a url that does not begin with http:// or https://")
    words = _words(command, "command") if command and splits else (command,) if command else ()
    return MCPServer(
        (*words, *table.get("args", [])),
        table.get("env", {}),
        url,
        table.get("headers", {}),
        trusted=table.get("trusted", False),
    )


def from_file(path: Path, environ: Mapping[str, str] = os.environ) -> dict[str, MCPServer]:
    """The servers in a file of other clients. Raises `UsageError`."""
    try:
        content = msgspec.json.decode(read_whole(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from error
    servers = content.get("mcpServers") if isinstance(content, dict) else None
    if not isinstance(servers, dict):
        raise UsageError(
            f"{path} has no mcpServers",
            hint='it looks like this: {"mcpServers": {"NAME": {"command": "…", "args": []}}}',
        )
    from chatstream.tools.mcp.names import spelled

    found = {}
    for name, entry in servers.items():
        if server := _of_entry(f"{path}: mcpServers.{name}", entry, environ):
            found[spelled(name) or "mcp"] = server
    return found


def _of_entry(origin: str, entry: Any, environ: Mapping[str, str]) -> MCPServer | None:
    """The server of an entry; None if it is disabled. Keys that are not known here are ignored."""
    if not isinstance(entry, dict):
        raise UsageError(f"{origin} is not an object")
    if entry.get("disabled") is True:
        return None
    if entry.get("type") == "sse":
        raise UsageError(
            f"{origin} uses the old SSE transport, which chatstream does not support",
            hint="use its address for streamable HTTP",
        )
    known = {key: value for key, value in entry.items() if key in _KINDS}
    try:
        known = msgspec.convert(known, dict[str, Any])
        for key, value in known.items():
            msgspec.convert(value, _KINDS[key])
    except msgspec.ValidationError as error:
        raise UsageError(f"{origin}.{key} is wrong: {error}") from None
    try:
        return _made(_filled(known, environ))
    except UsageError as error:
        raise UsageError(f"{origin} {error.message}", hint=error.hint) from None


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    """JSON-like data with its variables replaced. Raises `UsageError` for one that is not set."""
    if isinstance(value, dict):
        return {key: _filled(it, environ) for key, it in value.items()}
    if isinstance(value, list):
        return [_filled(it, environ) for it in value]

    def filled(found: re.Match[str]) -> str:
        name, otherwise = found[1], found[2]
        text = environ.get(name)
        if not text and otherwise is not None:  # as in a shell, also for one that is empty
            return otherwise
        if text is None:
            raise UsageError(f"needs the variable {name}, which is not set")
        return text

    return _VARIABLE.sub(filled, value)


# ---- HTTP


class HttpExchange:
    """Requests to one server over HTTP, with the settings for connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[Transport] = []
        self._lock = Lock()
        self._closed = False

    def __call__(self, post: Post) -> Generator[Begun | bytes | None, None, None]:
        """One exchange, over an idle transport or a new one."""
        from chatstream.cancel import CancelToken
        from chatstream.tools.mcp.http import Begun
        from chatstream.transport import Call, Head, Tick

        transport = self._take()
        call = Call(post.url, post.headers, post.body, post.deletes)
        try:
            with closing(transport.exchange(call, CancelToken())) as items:
                for item in items:
                    match item:
                        case Tick():
                            yield None
                        case Head(status, headers):
                            yield Begun(status, headers)
                        case _:
                            yield item
        finally:
            self._give(transport)

    def close(self) -> None:
        """Close all connections, now or as soon as they are given back. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for it in idle:
            it.close()

    def _take(self) -> Transport:
        from chatstream.engine.services import connections
        from chatstream.transport import Transport

        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Transport(**connections(self._settings))

    def _give(self, transport: Transport) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(transport)
                return
        transport.close()
