"""What may come next on the command line, for a shell that completes it.

1. The shell sets `_CHATSTREAM_COMPLETE` to the form of the answer that it wants, and `COMP_WORDS`
   to the line up to the cursor. `complete_bash` is one value per line; `described` is a value, a
   tab and a description.
2. The exit status is 0 when the answer is everything, and 1 where the shell may complete a file
   name, and for any failure. Nothing else reaches the prompt, no error and no warning.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from typer._click.shell_completion import (
    _resolve_context,
    _resolve_incomplete,
    split_arg_string,
)

from chatstream.cli.commands import COMMANDS
from chatstream.cli.helping import in_order, key
from chatstream.completion.values import Item, Line, candidates, description
from chatstream.sinks.output import Output

FORMS = {"complete_bash": "{0}\n", "described": "{0}\t{1}\n"}

FILES = 1
"""The exit status where the shell may complete a file name."""

_PATHS = frozenset({"FILE", "DIR"})


def answer(root: Any, form: str) -> int:
    """Print what may come next; returns the exit status."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            found = completions(root, os.environ["COMP_WORDS"])
        if found is None or form not in FORMS:
            return FILES
        lines = (FORMS[form].format(value, description(about)) for value, about in found)
        Output(1).write("".join(lines).encode("utf-8", "replace"))
    except Exception:  # whatever it is, it must not be written into the prompt
        return FILES
    return 0


def completions(root: Any, line: str) -> list[Item] | None:
    """What the last word of this line may become; None for a file name. Raises anything."""
    words = split_arg_string(line)
    begun = words.pop() if words and not line[-1].isspace() else ""
    context = _resolve_context(root, {}, "chatstream", words[1:])
    what, value = _resolve_incomplete(context, words[1:], begun)
    prefix = begun.removesuffix(value)  # `--model=` stays in front of what it takes
    found = _items(context, what, value)
    if found is None:
        return None
    own = [(name, about) for name, about in found if name.startswith(value) and name.isprintable()]
    if not own and _takes_path(what):
        return None
    return [(prefix + name, about) for name, about in own]


def _items(context: Any, what: Any, begun: str) -> Iterable[Item] | None:
    """What may stand in the place of `what`: the command itself, or one of its parameters."""
    if what is context.command:
        if begun.startswith("-"):
            return _options(context, short=begun == "-")
        return _commands(context)
    if (found := candidates(what.name, Line(context.info_name, context.params, begun))) is not None:
        return found
    if allowed := getattr(what.type, "choices", None):
        return [(str(getattr(it, "value", it)), "") for it in allowed]
    return None if _takes_path(what) else []


def _takes_path(parameter: Any) -> bool:
    """Whether the value may be the name of a file or a folder, by its metavar."""
    return not _PATHS.isdisjoint(str(getattr(parameter, "metavar", "")).split("|"))


def _commands(context: Any) -> Iterable[Item]:
    if context._protected_args or context.args:  # a word that is no command
        return []
    if context.parent is None:
        return [(name, about) for name, (_, about) in COMMANDS.items()]
    commands = getattr(context.command, "commands", {})
    return [(name, command.get_short_help_str()) for name, command in commands.items()]


def _options(context: Any, *, short: bool) -> Iterator[Item]:
    """The options that may still be given, in the order of the help page.

    Short names are offered only after a single "-".
    """
    found: dict[str, Any] = {}
    for option in context.command.get_params(context):
        given = context.get_parameter_source(option.name) if option.name else None
        once = getattr(given, "name", "") == "COMMANDLINE" and not option.multiple
        if option.param_type_name == "option" and not once and not option.hidden:
            found[key(option)] = option
    for option in (found[it] for it in in_order(found)):
        for name in (*option.opts, *option.secondary_opts):
            if name.startswith("--") or short:
                yield name, option.help or ""


def running_shell() -> str:
    """The shell that runs chatstream, or "" where it is not known."""
    from typer._completion_shared import _get_shell_name

    with contextlib.suppress(Exception):  # it reads the process table in many ways
        if name := _get_shell_name():
            return name
    return Path(os.environ.get("SHELL", "")).name
