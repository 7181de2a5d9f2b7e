"""What may come next on the command line, for a shell that completes it.

1. The shell sets `_CHATSTREAM_COMPLETE` to how it wants the answer, and `COMP_WORDS` to the line up
   to the cursor. `complete_bash` is a value a line, `described` a value, a tab and a description.
2. The exit status is 0 when these are all there are, and 1 where the shell may complete a file
   name: also for whatever fails here. Nothing else reaches the prompt, no error and no warning.
3. `VALUES` says what each parameter takes, by its name; a setting that has just a few values
   needs no entry. Nothing waits longer for a server than `modellist.PATIENCE`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from typer._click.shell_completion import (
    _resolve_context,
    _resolve_incomplete,
    split_arg_string,
)

from chatstream.cli.app import COMMANDS
from chatstream.engine.config_file import find
from chatstream.engine.resolve import resolve
from chatstream.engine.settings import FIELDS, Settings, choices
from chatstream.engine.shapes import is_switch
from chatstream.providers import PROVIDERS
from chatstream.sinks.escape import clean
from chatstream.sinks.output import Output

Item = tuple[str, str]
"""A value, and what it is."""

WANTED = {"complete_bash": "{0}\n", "described": "{0}\t{1}\n"}

FILES = 1
_RUNS = 100  # the newest; who wants an older one knows its id
_DESCRIPTION = 60  # characters
_PATHS = {"FILE", "DIR", "FILE|RUN|-", "NAME|FILE"}


def answer(root: Any, wanted: str) -> int:
    """Print what may come next; returns the exit status."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            found = completions(root, os.environ["COMP_WORDS"])
        if found is None or wanted not in WANTED:
            return FILES
        lines = (WANTED[wanted].format(value, _line(about)) for value, about in found)
        Output(1).write("".join(lines).encode("utf-8", "replace"))
    except Exception:  # whatever it is, it must not be written into the prompt
        return FILES
    return 0


def completions(root: Any, line: str) -> list[Item] | None:
    """What the last word of this line may become; None: a file name. Raises anything."""
    words = split_arg_string(line)
    begun = words.pop() if words and not line[-1].isspace() else ""
    context = _resolve_context(root, {}, "chatstream", words[1:])
    what, value = _resolve_incomplete(context, words[1:], begun)
    prefix = begun.removesuffix(value)  # `--model=` stays in front of what it takes
    found = _items(context, what, value)
    if found is None:
        return None
    own = [(name, about) for name, about in found if name.startswith(value) and name.isprintable()]
    if not own and getattr(what, "metavar", None) in _PATHS:
        return None
    return [(prefix + name, about) for name, about in own]


def _items(context: Any, what: Any, begun: str) -> Iterable[Item] | None:
    if what is context.command:
        if begun.startswith("-"):
            return _options(context, short=begun == "-")
        return _commands(context)
    if maker := VALUES.get(what.name):
        return maker(context, begun)
    if allowed := getattr(what.type, "choices", None) or _choices(what.name):
        return [(str(getattr(it, "value", it)), "") for it in allowed]
    return None if what.metavar in _PATHS else []


def _commands(context: Any) -> Iterable[Item]:
    if context._protected_args or context.args:  # a word that is no command
        return []
    if context.parent is None:
        return [(name, about) for name, (_, about) in COMMANDS.items()]
    commands = getattr(context.command, "commands", {})
    return [(name, command.get_short_help_str()) for name, command in commands.items()]


def _options(context: Any, *, short: bool) -> Iterator[Item]:
    """Those that may still be given; short ones only where nothing but "-" is there."""
    for option in context.command.get_params(context):
        given = context.get_parameter_source(option.name) if option.name else None
        once = getattr(given, "name", "") == "COMMANDLINE" and not option.multiple
        if option.param_type_name == "option" and not once and not option.hidden:
            for name in (*option.opts, *option.secondary_opts):
                if name.startswith("--") or short:
                    yield name, option.help or ""


def _providers(_context: Any, _begun: str) -> Iterator[Item]:
    from importlib.metadata import entry_points

    for name, row in PROVIDERS.items():
        yield name, row.base_url or "built in"
    for entry in entry_points(group="chatstream.providers"):
        yield entry.name, entry.value


def _models(context: Any, begun: str) -> Iterator[Item]:
    """The models of the server; after an "@" the places that may be asked for it."""
    from chatstream.engine.model_list import known

    if "@" in begun:
        model = begun.rpartition("@")[0]
        for name, about in (*_providers(context, ""), *_profiles(context, "")):
            yield f"{model}@{name}", about
        return
    for name in known(_settings(context)):
        yield name, ""


def _settings(context: Any) -> Settings:
    """What holds with the options that stand on the line so far."""
    given = {it: context.params.get(it) for it in ("provider", "base_url")}
    return resolve(given, profile=context.params.get("profile")).settings


def _profiles(_context: Any, _begun: str) -> Iterator[Item]:
    for name, profile in _table("profiles").items():
        places = (profile.get("model"), profile.get("provider") or profile.get("base_url"))
        yield name, " at ".join(filter(None, places))


def _strategies(_context: Any, _begun: str) -> Iterator[Item]:
    for name, models in _table("strategies").items():
        yield name, ", ".join(models)


def _table(name: str) -> dict[str, Any]:
    file = find()
    table = file.content.get(name) if file else None
    return table if isinstance(table, dict) else {}


def _runs(context: Any, begun: str) -> Iterator[Item]:
    from chatstream.store.place import runs_folder
    from chatstream.store.reading import glimpse, journals

    resuming = context.info_name == "resume"
    there = [path for path in journals(runs_folder()) if path.name.startswith(begun)]
    for path in there[:_RUNS]:
        found = glimpse(path)
        if found is not None and (found[1] or not resuming):
            yield path.stem, found[0]


def _setting_names(context: Any, _begun: str) -> Iterator[Item]:
    if context.parent.info_name != "config":  # the name of something else
        return
    for name, setting in FIELDS.items():
        default = "" if setting.default in (None, [], {}) else str(setting.default)
        yield name, ", ".join(choices(name)) or default
    yield "profile", "the profile that is used by default"


def _setting_values(context: Any, begun: str) -> Iterable[Item] | None:
    name = context.params.get("name") or ""
    if maker := VALUES.get(name):
        return maker(context, begun)
    return [(it, "") for it in _choices(name)]


def _choices(name: str | None) -> list[str]:
    """The values of a setting that has just a few."""
    if name not in FIELDS:
        return []
    return ["true", "false"] if is_switch(FIELDS[name].type) else choices(name)


def _code_themes(_context: Any, _begun: str) -> Iterator[Item]:
    from chatstream.terminal.present import code_themes

    return ((name, "") for name in code_themes())


def _baselines(_context: Any, _begun: str) -> Iterator[Item]:
    from chatstream.bench.saved import names
    from chatstream.bench.session import results_folder

    return ((name, "") for name in names(results_folder()))


def _shells(_context: Any, _begun: str) -> Iterator[Item]:
    from chatstream.cli.shells import SCRIPTS

    return ((name, "") for name in SCRIPTS)


VALUES: dict[str, Callable[[Any, str], Iterable[Item] | None]] = {
    "provider": _providers,
    "model": _models,
    "fallback": _models,
    "profile": _profiles,
    "strategy": _strategies,
    "run": _runs,
    "runs": _runs,
    "source": _runs,
    "name": _setting_names,
    "value": _setting_values,
    "code_theme": _code_themes,
    "baseline": _baselines,
    "save": _baselines,
    "show_completion": _shells,
    "install_completion": _shells,
}


def _line(text: str) -> str:
    """A description on one line, short, with nothing that drives a terminal."""
    line = " ".join(clean(text[: 4 * _DESCRIPTION]).split())
    return line if len(line) <= _DESCRIPTION else line[: _DESCRIPTION - 3] + "..."
