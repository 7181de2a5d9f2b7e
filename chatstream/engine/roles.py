"""Roles: a system prompt and settings under a name, in `roles/NAME.md` beside the configuration.

    +++
    model = "qwen3:4b@ollama"
    temperature = 0.2
    +++
    You translate into {{language}}, and add nothing.

1. Between lines of `+++` at the top there may be settings, in TOML and by the names of the
   configuration. The rest is the system prompt.
2. `{{name}}` stands for a value that `--var NAME=VALUE` gives; a backslash in front of it keeps it
   as it is. `{{input}}` stands for the question: a text that contains it is sent as the question,
   and is not a system prompt.
3. Roles are passed on to others, so a role decides what is asked and how, and nothing else. It
   grants no rights, runs no code of others, names no server and holds no key. `REFUSED` has the
   settings that it may not contain.
4. Its settings are weaker than the options of the command line, and stronger than variables and
   the configuration. A schema's file is looked for beside the role.
5. The name of a role has no slashes, and no link may lead out of the folder of the roles.
6. A journal keeps the role's name, and those of its settings that it does not keep anyway (`kept`):
   a run that follows has them even if the file has changed since.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream.addresses import looks_like_one
from chatstream.engine.config_file import ConfigFile, text_of, with_content
from chatstream.engine.kinds import ADDRESSES, FOR_ONE_PROVIDER, FOR_ONE_SERVER
from chatstream.engine.layers import TOP_LEVEL, Layer
from chatstream.engine.places import split
from chatstream.engine.resolve import mistakes_in
from chatstream.engine.settings import FIELDS
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.files import named, read_whole
from chatstream.nearest import did_you_mean
from chatstream.store.place import config_folder
from chatstream.text import argument

SUFFIX = ".md"
INPUT = "input"
"""The variable that stands for the question."""

MAX_BYTES = 1024 * 1024
"""Bytes of a role's file."""

_EDGE = "+++"
_NAME = re.compile(r"\w[\w.+-]*")
_VARIABLE = re.compile(r"\\?\{\{[ \t]*([^\W\d]\w*)[ \t]*\}\}")

_RIGHTS = "it cannot grant rights", "use the option, or the configuration"
_PROGRAMS = "it cannot start programs", "use the option, or the configuration"
_PACKAGES = "it cannot run the code of other packages", "use the option, or the configuration"
_SERVERS = (
    "it cannot name a server or hold a key",
    'put them into a profile, and write model = "MODEL@PROFILE" here',
)
_NOT_ITS_OWN = "that belongs in the configuration file", "`chatstream config edit` opens it"

REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("allow", "ask", "deny", "root", "sandbox", "http_hosts"), _RIGHTS),
    "context_files": _RIGHTS,
    **dict.fromkeys(("tools_file", "tool_exec", "mcp", "mcp_servers", "mcp_config"), _PROGRAMS),
    **dict.fromkeys(("filters", "renderer"), _PACKAGES),
    **dict.fromkeys(sorted(FOR_ONE_SERVER | ADDRESSES | {"ca_file"}), _SERVERS),
    **dict.fromkeys(("strategies", "keep_complete", "keep_incomplete", *TOP_LEVEL), _NOT_ITS_OWN),
}
"""The settings that a role may not contain: why, and what to do instead."""

_KEPT_OTHERWISE = (
    FOR_ONE_PROVIDER
    | {"provider", "strategy", "temperature", "max_tokens", "effort", "options", "labels"}
    | {"system", "schema", "schema_multi"}
)
"""The settings that a journal keeps of every question, or that belong to one question alone."""


class Role(msgspec.Struct, frozen=True):
    """A role: its settings, and `template`, the text for each question, None without one.

    `values` are those of its variables. `file` is where the settings are, None for a role that a
    journal has kept; `text` is all of that file.
    """

    name: str
    settings: dict[str, Any] = {}
    template: str | None = None
    values: dict[str, str] = {}
    file: ConfigFile | None = None
    text: str = ""

    @property
    def layer(self) -> Layer:
        """The settings as a layer of `resolve`."""
        origin = self.place()
        return Layer(
            self.settings, lambda _: origin, lambda *it: f"{self.place(*it)}: {'.'.join(it)}"
        )

    def place(self, *keys: str) -> str:
        """Where these keys are, for a person."""
        if self.file is None:
            return f"role {self.name}"
        return f"role {self.name} in {self.file.place(*keys) if keys else self.file.path}"

    @property
    def has_place(self) -> bool:
        """Whether the role says where its model runs."""
        model = self.settings.get("model")
        placed = isinstance(model, str) and split(model)[1] is not None
        return placed or "provider" in self.settings

    @property
    def prompt(self) -> str:
        """The text of the role; "" without one."""
        return self.template or str(self.settings.get("system") or "")

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that have no value yet, in order of appearance."""
        texts = (self.settings.get("system"), self.template)
        found = (it for text in texts for it in _variables(text))
        return tuple(dict.fromkeys(it for it in found if it != INPUT))

    def without_system(self) -> Role:
        """The role for a conversation that has its own system prompt."""
        return replace(self, settings=_without(self.settings, {"system"}))

    def kept(self) -> dict[str, Any]:
        """The settings that only the role has given, for the journal of a run."""
        return _without(self.settings, _KEPT_OTHERWISE)

    def asked(self, question: str) -> str:
        """The question as it is sent."""
        if self.template is None:
            return question
        return _filled(self.template, {**self.values, INPUT: question})


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the roles; it need not exist. Raises `NoHome`."""
    return config_folder(environ) / "roles"


def path_of(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the role of this name is, or would be.

    Raises `UsageError` for an invalid name, `ConfigError` for anything there but a file.
    """
    name = argument(name, "the name of the role")
    if not name.strip():
        raise UsageError("the name of the role is empty", hint="give it a value, or leave it out")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a role",
            hint="a name has letters, digits and the characters _ . + -",
        )
    path = folder(environ) / f"{name}{SUFFIX}"
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(path.parent)):
        raise ConfigError(
            f"role {name}: {path} is a link that leads out of the folder, to {real}",
            hint="copy that file into the folder of the roles",
        )
    mode = stat.S_IFREG
    with contextlib.suppress(OSError):  # opening it reports the error
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # reading a pipe might never end
        what = "a folder" if stat.S_ISDIR(mode) else "not a file"
        raise ConfigError(f"role {name}: {path} is {what}")
    return path


def names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names of all roles, sorted; some may be broken. Raises `ConfigError`."""
    place = folder(environ)
    try:
        found = [it.name.removesuffix(SUFFIX) for it in place.iterdir() if it.suffix == SUFFIX]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror}") from error
    return sorted(it for it in found if _NAME.fullmatch(it))


def find(name: str, environ: Mapping[str, str] = os.environ) -> Role:
    """The role of this name, with its variables. Raises `ConfigError`, `UsageError`."""
    path = path_of(name, environ)
    try:
        data = read_whole(path, MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"unknown role {name!r}", hint=_others(name, environ)) from None
    except OSError as error:
        raise ConfigError(f"role {name}: {path} cannot be read: {error.strerror}") from error
    return parsed(name, path, data)


def mistakes(name: str) -> list[ChatstreamError]:
    """Everything that is wrong with a role."""
    try:
        return [*mistakes_in(find(name).layer)]
    except ChatstreamError as error:
        return [error]


def _others(name: str, environ: Mapping[str, str]) -> str | None:
    known = names(environ)
    there = f"known roles: {', '.join(known)}" if known else "there are no roles yet"
    return did_you_mean(name, known, f"{there}; `chatstream roles edit {name}` creates this one")


def parsed(name: str, path: Path, data: bytes) -> Role:
    """The role that these bytes describe. Raises `ConfigError`."""
    text = text_of(path, data).replace("\r\n", "\n")
    lines = text.split("\n")
    front: list[str] = []
    if lines[0].rstrip() == _EDGE:
        ends = (at for at, line in enumerate(lines) if at and line.rstrip() == _EDGE)
        end = next(ends, None)
        if end is None:
            raise ConfigError(
                f"{path}, line 1: the settings are not closed",
                hint=f"put a line with {_EDGE} below them",
            )
        front, lines = ["", *lines[1:end]], lines[end + 1 :]  # each line keeps its number
    file = _settings(path, front)
    settings = dict(file.content)
    _check(name, file)
    for its in ("schema", "schema_multi"):
        if isinstance(settings.get(its), str):
            settings[its] = _beside(path, settings[its])
    body = "\n".join(lines).strip()
    if INPUT in _variables(settings.get("system")):
        raise ConfigError(
            f"role {name} in {file.place('system')}: the system prompt cannot contain the question",
            hint="write the text with {{input}} below the settings",
        )
    if INPUT in _variables(body):
        return Role(name, settings, body, file=file, text=text)
    if body:
        if "system" in settings:
            raise ConfigError(
                f"role {name} in {file.place('system')}: "
                "there are two system prompts, here and below the settings",
                hint="leave one of them out",
            )
        settings["system"] = body
    return Role(name, settings, file=file, text=text)


def _settings(path: Path, front: Sequence[str]) -> ConfigFile:
    try:
        return with_content(path, "".join(f"{line}\n" for line in front))
    except ConfigError as error:
        where = f"at line {len(front) + 1}, where the settings end"
        message = error.message.replace("at end of document", where)
        raise ConfigError(message, hint=error.hint) from error


def _check(name: str, file: ConfigFile) -> None:
    """Raise `ConfigError` for a setting that a role may not contain."""
    for setting, value in file.content.items():
        refused = REFUSED.get(setting)
        if refused is None and setting in {"model", "fallback"}:
            models = value if isinstance(value, list) else [value]
            places = [split(it)[1] for it in models if isinstance(it, str)]
            if any(place is not None and looks_like_one(place) for place in places):
                refused = _SERVERS
        if refused is not None:
            why, hint = refused
            where = f"role {name} in {file.place(setting)}"
            raise ConfigError(f"{where}: a role cannot set {setting}: {why}", hint=hint)


def _beside(path: Path, schema: str) -> str:
    """The schema; a file is looked for beside the role."""
    from chatstream.engine.answer_schema import names_file

    return str(path.parent / named(schema)) if names_file(schema) else schema


def of_options(
    name: str | None, pairs: Iterable[str] | None, environ: Mapping[str, str] = os.environ
) -> Role | None:
    """The role that `--role` and `--var` ask for; None without one.

    Raises `ConfigError`, and `UsageError` for a variable that is missing or unknown.
    """
    if name is None:
        if pairs:
            raise UsageError("--var needs a role", hint="add --role NAME")
        return None
    return filled(name, pairs or (), environ)


def filled(
    name: str,
    pairs: Iterable[str],
    environ: Mapping[str, str] = os.environ,
    *,
    option: str = "--var ",
) -> Role:
    """The role of this name, with the values of these NAME=VALUE. `option` stands before each pair.

    Raises `ConfigError`, and `UsageError` for a variable that is missing or unknown.
    """
    role = find(name, environ)
    return with_values(role, dict(_values(role, pairs, option)), option)


def _values(role: Role, pairs: Iterable[str], option: str) -> Iterator[tuple[str, str]]:
    given: set[str] = set()
    for pair in pairs:
        name, equals, value = argument(pair, option.strip() or "a value").partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(
                f"{option}{pair!r} is not NAME=VALUE", hint=f"for example: {option}language=French"
            )
        if name == INPUT:
            raise UsageError(f"{option}{INPUT}: this variable is the question itself")
        if name not in role.variables:
            there = f"its variables are: {', '.join(role.variables) or 'none'}"
            raise UsageError(
                f"role {role.name} has no variable {name!r}",
                hint=did_you_mean(name, role.variables, there),
            )
        if name in given:
            raise UsageError(f"{option}{name} is given twice", hint="leave one of them out")
        given.add(name)
        yield name, value


def with_values(role: Role, values: Mapping[str, str], option: str = "--var ") -> Role:
    """The role with these values. Raises `UsageError` for variables that have no value."""
    missing = [it for it in role.variables if it not in values]
    if missing:
        raise UsageError(
            f"role {role.name} needs a value for {', '.join(missing)}",
            hint=" ".join(f"{option}{it}=VALUE" for it in missing),
        )
    settings = dict(role.settings)
    if isinstance(text := settings.get("system"), str):
        settings["system"] = _filled(text, values)
    return replace(role, settings=settings, values=dict(values))


def again(name: str | None, settings: Mapping[str, Any]) -> Role | None:
    """The role that a journal has kept; None without one."""
    if name is None:
        return None
    known = {it: value for it, value in settings.items() if it in FIELDS}
    return Role(name, _without(known, REFUSED))  # a journal may be forged


def _without(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def _variables(text: Any) -> list[str]:
    """The names of the variables in a text; a value of another type has none."""
    found = _VARIABLE.finditer(text) if isinstance(text, str) else ()
    return [it[1] for it in found if not it[0].startswith("\\")]


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with these values. Nothing in a value is a variable."""
    return _VARIABLE.sub(lambda it: it[0][1:] if it[0].startswith("\\") else values[it[1]], text)
