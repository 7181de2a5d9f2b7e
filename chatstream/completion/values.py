"""What an option or an argument takes, for a shell that completes it.

`VALUES` has a function for each parameter, by its name. A setting that has only a few values needs
no entry. Nothing waits longer for a server than `model_list.PATIENCE_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from chatstream import plugins
from chatstream.engine.config_file import find
from chatstream.engine.configuration import USUAL_PROFILE
from chatstream.engine.kinds import choices
from chatstream.engine.resolve import resolve
from chatstream.engine.settings import FIELDS, Settings
from chatstream.engine.shapes import is_switch
from chatstream.escape import clean
from chatstream.providers import PROVIDERS
from chatstream.redact import mask_address, masked

Item = tuple[str, str]
"""A value, and what it is."""

_RUNS = 100  # the newest; the id of an older one is known to whoever wants it
_MAX_CHARACTERS = 60  # characters


class Line(NamedTuple):
    """The command line so far: the command, the values that were given, and the word begun.

    The values stand under the names of their parameters.
    """

    command: str
    given: Mapping[str, Any]
    begun: str


def candidates(name: str, line: Line) -> Iterable[Item] | None:
    """The values of this parameter; None if nothing is known about it."""
    if maker := VALUES.get(name):
        return maker(line)
    few = _few(name)
    return [(it, "") for it in few] if few else None


def description(text: str) -> str:
    """A description on one line, short, with nothing that drives a terminal."""
    line = " ".join(clean(text[: 4 * _MAX_CHARACTERS]).split())
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 3] + "..."


def _few(name: str) -> list[str]:
    """The values of a setting that has only a few."""
    if name not in FIELDS:
        return []
    return ["true", "false"] if is_switch(FIELDS[name].type) else choices(name)


def _providers(line: Line) -> Iterator[Item]:
    for name, service in PROVIDERS.items():
        yield name, service.base_url or "built in"
    yield from _of_packages(plugins.PROVIDERS, line)


def _of_packages(group: str, _line: Line) -> Iterator[Item]:
    """What other packages add."""
    for entry in plugins.points(group):
        yield entry.name, entry.value


def _models(line: Line) -> Iterator[Item]:
    """The models of the server; after an "@" the places that may be asked for the model."""
    from chatstream.engine.model_list import known

    if "@" in line.begun:
        model = line.begun.rpartition("@")[0]
        for name, about in (*_providers(line), *_profiles(line)):
            yield f"{model}@{name}", about
        return
    settings = _settings(line)
    yield from settings.aliases.items()
    for name in known(settings):
        yield name, ""


def _settings(line: Line) -> Settings:
    """The settings that hold with the options that stand on the line so far."""
    given = {it: line.given.get(it) for it in ("provider", "base_url")}
    return resolve(given, profile=line.given.get("profile")).settings


def _profiles(_line: Line) -> Iterator[Item]:
    for name, profile in _table("profiles").items():
        places = (profile.get("model"), profile.get("provider") or profile.get("base_url"))
        yield name, " at ".join(filter(None, places))


def _strategies(_line: Line) -> Iterator[Item]:
    for name, models in _table("strategies").items():
        yield name, ", ".join(models)


def _table(name: str) -> dict[str, Any]:
    file = find()
    table = file.content.get(name) if file else None
    return table if isinstance(table, dict) else {}


def _runs(line: Line) -> Iterator[Item]:
    from chatstream.store.place import runs_folder
    from chatstream.store.reading import glimpse, journals

    resuming = line.command == "resume"
    there = [path for path in journals(runs_folder()) if path.name.startswith(line.begun)]
    for path in there[:_RUNS]:
        found = glimpse(path)
        if found is not None and (found[1] or not resuming):
            yield path.stem, found[0]


def _tools(line: Line) -> Iterator[Item]:
    """The built-in tools, also behind a comma."""
    from chatstream.engine.tooling import built_in_names

    before, comma, _ = line.begun.rpartition(",")
    for name in built_in_names():
        yield f"{before}{comma}{name}", ""


def _mcp_servers(_line: Line) -> Iterator[Item]:
    for name, server in _table("mcp").items():
        its = server if isinstance(server, dict) else {}
        yield name, mask_address(str(its.get("url") or "")) or masked(str(its.get("command") or ""))


def _conversations(_line: Line) -> Iterator[Item]:
    """The names of conversations, each with its first question, the newest first."""
    from chatstream.store.heads import Heads
    from chatstream.store.journal import SUFFIX
    from chatstream.store.place import runs_folder, state_folder
    from chatstream.store.reading import glimpse

    heads = Heads(state_folder())
    for root in sorted(heads.sizes(), reverse=True):
        if name := heads.of(root).name:
            found = glimpse(runs_folder() / (root + SUFFIX))
            yield name, found[0] if found else ""


def _roles(_line: Line) -> Iterator[Item]:
    """The roles that can be used, each with how its prompt begins."""
    from chatstream.engine.roles import find, names
    from chatstream.errors import ChatstreamError

    for name in names():
        with suppress(ChatstreamError):
            yield name, find(name).prompt


def _variables(line: Line) -> Iterator[Item]:
    """The variables of the role on the line that have no value there yet."""
    from chatstream.engine.roles import find

    if role := line.given.get("role"):
        given = {it.partition("=")[0].strip() for it in line.given.get("var") or ()}
        yield from ((f"{it}=", "") for it in find(role).variables if it not in given)


def _setting_names(_line: Line) -> Iterator[Item]:
    for name in FIELDS:
        default = FIELDS[name].default
        yield name, ", ".join(choices(name)) or ("" if default in (None, [], {}) else str(default))
    yield USUAL_PROFILE, "the profile that is used by default"


def _setting_values(line: Line) -> Iterable[Item]:
    """The values of the setting that `config set` has been given."""
    return candidates(line.given.get("setting") or "", line) or ()


def _code_themes(_line: Line) -> Iterator[Item]:
    from chatstream.terminal.look import code_themes

    return ((name, "") for name in code_themes())


def _baselines(_line: Line) -> Iterator[Item]:
    from chatstream.bench.saved import names
    from chatstream.bench.session import results_folder

    return ((name, "") for name in names(results_folder()))


def _shells(_line: Line) -> Iterator[Item]:
    from chatstream.completion.shells import SCRIPTS

    return ((name, "") for name in SCRIPTS)


VALUES: dict[str, Callable[[Line], Iterable[Item]]] = {
    "provider": _providers,
    "model": _models,
    "fallback": _models,
    "judge": _models,
    "quick": _models,
    "profile": _profiles,
    "strategy": _strategies,
    "run": _runs,
    "runs": _runs,
    "source": _runs,
    "tools": _tools,
    "mcp_servers": _mcp_servers,
    "tool": _tools,
    "allow": _tools,
    "ask": _tools,
    "deny": _tools,
    "tools_from": _runs,
    "at": _runs,
    "edit": _runs,
    "name": _conversations,
    "role": _roles,
    "var": _variables,
    "setting": _setting_names,
    "value": _setting_values,
    "code_theme": _code_themes,
    "filters": partial(_of_packages, plugins.STAGES),
    "renderer": partial(_of_packages, plugins.SINKS),
    "baseline": _baselines,
    "save": _baselines,
    "show_completion": _shells,
    "install_completion": _shells,
}
