"""Help pages: options in groups, names that are never cut, and short enough to read.

1. `GROUPS` gives every option its place. A setting declares its group itself: `...` stands for
   those that are not named, in their order. Only `--help-all` shows the `RARE` options; a setting
   declares that, too. `EXAMPLES` has the examples of each command.
2. A page without the rare options has at most `MOST_LINES` lines on a terminal of 80 columns.
   A test checks this for every command.
3. A default is shown as "[default: 10]". It is the setting's own if the option is a setting, or
   the value of `show_default`.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from types import EllipsisType
from typing import Any

import typer

from chatstream.cli.commands import HELP_ALL
from chatstream.cli.examples import EXAMPLES
from chatstream.engine.settings import DECLARED, FIELDS
from chatstream.escape import clean

MOST_LINES = 60
NARROW, WIDE = 40, 100  # the least and the most columns of a page
_NAME_COLUMNS = 27  # a longer name has a line of its own
_UNGROUPED = 8  # so few options need no groups
_BOUND = "\N{NO-BREAK SPACE}"  # never the end of a line; printed as a space

GROUPS: dict[str, tuple[str | EllipsisType, ...]] = {
    "Job": (
        *("--sections", "--outline", "--template", "--out", "--jobs", "--unordered"),
        *("--retry-failed", "--fail-fast", "--rpm", "--tpm", "--again"),
    ),
    "Question": (
        *("QUESTION", "TOPIC", "--continue", "--name", "--at", "--edit", "--role", "--var"),
        *("--file", "--image", ..., "--no-stdin", "--encoding"),
    ),
    "Model and server": (
        *("--provider", "--model", "--quick", "--base-url", "--profile", ..., "--header"),
    ),
    "Request": (
        *("--prompt", "--prompt-tokens", "--temperature", "--max-tokens", "--option"),
        ...,
    ),
    "Tools": (
        *("--tool", "--tools-file", "--allow", "--ask", "--deny", "--root"),
        *("--dry-run", "--tools-from", "--interrupted", ...),
    ),
    "Comparison": ("--times", "--layout", "--diff", "--judge", "--pick"),
    "Failures and delays": ("--on-drop", ...),
    "Runs": (
        *("--runs", "--time", "--precision", "--concurrency", "--rate", "--arrivals", "--conn"),
        *("--cache", "--vs-blocking"),
    ),
    "Results": ("--save", "--baseline", "--fail-if", "--strict"),
    "Selection": ("--number", "--older-than", "--since", "--by"),
    "Restoring": ("--force",),
    "Playback": ("--speed", "--instant"),
    "Output": (
        *("--json", "--csv", "--html", "--text", "--format", "--plain", "--reasoning", "--stats"),
        *("--accessible", "--vi", "--render", ...),
    ),
    "Copying and saving": ("--copy", "--copy-code", "--copy-to", "--save-code", "--save-images"),
    "Other": (
        *("--self-test", "--explain", "--debug", "--log", "--version"),
        *("--show-completion", "--install-completion", "--help", "--help-all"),
    ),
}

RARE = frozenset(
    {
        *("--role", "--var", "--at", "--edit", "--encoding", "--log", "--copy-to", "--save-code"),
        *("--save-images", "--image", "--no-stdin", "--dry-run", "--tools-from"),
        *("--prompt-tokens", "--arrivals", "--conn", "--strict", "--quick"),
        *(it.option for it in DECLARED.values() if getattr(it.about, "rare", False)),
    }
)


def command_help(command: Any, context: typer.Context, *, everything: bool = False) -> str:
    """The page of a command, with its rare options if `everything` is wanted."""
    parameters = command.get_params(context)
    rows = {key(it): (_names(it, context), _text(it)) for it in parameters if not it.hidden}
    del rows[HELP_ALL]  # the last line names it
    rare = set() if everything else RARE & rows.keys()
    shown = [it for it in in_order(rows) if it not in rare]
    lines = [*_head(command, context, parameters)]
    for title, names in _grouped(shown).items():
        lines += ["", f"{title}:", *_rows([rows[it] for it in names])]
    lines += _examples(context)
    if rare:
        lines += ["", f"Rare options: {context.command_path} {HELP_ALL}"]
    return "\n".join(lines)


def group_help(command: Any, context: typer.Context, rows: Sequence[tuple[str, str]]) -> str:
    """The page of a group; `rows` are its commands, each with what it does."""
    parameters = command.get_params(context)
    options = [(_names(it, context), _text(it)) for it in parameters if not it.hidden]
    commands = [(name, about.partition("\n")[0]) for name, about in rows]
    return "\n".join(
        [
            *_head(command, context, parameters),
            *("", "Commands:", *_rows(commands)),
            *("", "Options:", *_rows(options)),
            *_examples(context),
            *("", f"More about a command: {context.command_path} COMMAND --help"),
        ]
    )


def greeting() -> str | None:
    """How to begin, for a user who has configured a model; None for anybody else."""
    from chatstream.engine.resolve import resolve
    from chatstream.errors import ChatstreamError

    try:
        model = resolve({}).settings.model
    except ChatstreamError:  # the first question reports it
        return None
    if model is None:
        return None
    return "\n".join(
        _rows(
            [
                ("chatstream chat", f"holds a conversation with {clean(model)}"),
                ('chatstream "Why is the sky blue?"', "asks one question"),
                ("chatstream --help", "lists all commands"),
            ]
        )
    )


def titles() -> dict[str, str]:
    """The heading of every option, in the order of a page."""
    settings = {it.option: it.about.group for it in DECLARED.values() if it.flags}
    found: dict[str, str] = {}
    for title, names in GROUPS.items():
        others = [name for name, group in settings.items() if group == title and name not in names]
        for name in names:
            found |= dict.fromkeys(others if isinstance(name, EllipsisType) else [name], title)
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """These options and arguments in the order of the groups; those without a group come last."""
    places = list(titles())
    return sorted(names, key=lambda it: places.index(it) if it in places else len(places))


def _grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """The names under their titles. A few options need no groups."""
    few = sum(it.startswith("-") for it in names) <= _UNGROUPED
    grouped = {} if few else titles()
    groups: dict[str, list[str]] = {}
    for name in names:
        title = grouped.get(name, "Options" if name.startswith("-") else "Arguments")
        groups.setdefault(title, []).append(name)
    return dict(sorted(groups.items(), key=lambda it: it[0] != "Arguments"))


def _columns() -> int:
    return max(NARROW, min(shutil.get_terminal_size().columns, WIDE))


def _head(command: Any, context: typer.Context, parameters: Iterable[Any]) -> Iterator[str]:
    shown = (it for it in parameters if not (_is_option(it) or it.hidden))
    pieces = ["[OPTIONS]", *map(_argument, shown)]
    if hasattr(command, "commands"):
        pieces.append("COMMAND" if command.no_args_is_help else "[COMMAND]")
    yield from _wrapped(f"Usage: {' '.join([context.command_path, *pieces])}")
    for paragraph in (command.help or "").split("\n\n"):
        bound = re.sub(r"(?<=\b\d) ", _BOUND, " ".join(paragraph.split()))
        yield from ("", *_wrapped(bound))


def _examples(context: typer.Context) -> list[str]:
    path = context.command_path.partition(" ")[2]
    lines = EXAMPLES.get(path, ())
    return ["", "Examples:", *(f"  {line}" for line in lines)] if lines else []


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A line for each name and its meaning; all meanings begin in the same column."""
    fitting = [len(name) for name, _ in rows if len(name) <= _NAME_COLUMNS]
    start = max(fitting, default=_NAME_COLUMNS) + 4
    for name, text in rows:
        first, *others = _wrapped(text, start) or [" " * start]
        if len(name) + 4 > start:
            yield f"  {name}"
        else:
            first = f"  {name}".ljust(start) + first[start:]
        if first.strip():
            yield first.rstrip()
        yield from others


def _wrapped(text: str, indent: int = 0) -> list[str]:
    lines = textwrap.wrap(
        text,
        _columns(),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_BOUND, " ") for line in lines]


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def key(parameter: Any) -> str:
    """The name in the tables above: the first long name of an option, an argument's metavar."""
    if not _is_option(parameter):
        return str(parameter.metavar or parameter.name.upper())
    return next((it for it in parameter.opts if it.startswith("--")), str(parameter.opts[0]))


def _names(option: Any, context: typer.Context) -> str:
    """All names of an option, the short ones first, and what it takes."""
    if not _is_option(option):
        return _argument(option)
    names = sorted(option.opts, key=lambda it: it.startswith("--"))
    text = ", ".join((*names, *option.secondary_opts))
    return text if option.is_flag else f"{text} {option.make_metavar(context).strip('<>')}"


def _argument(argument: Any) -> str:
    name = key(argument)
    if argument.nargs == -1:
        name += "..."
    return name if argument.required else f"[{name}]"


def _text(parameter: Any) -> str:
    text, default = parameter.help or "", _default(parameter)
    return f"{text} {f'[default: {default}]'.replace(' ', _BOUND)}" if default else text


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if value is None and parameter.name in FIELDS and _is_option(parameter):
        value = FIELDS[parameter.name].default
    if isinstance(value, bool) or value is None or not isinstance(value, str | int | float):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "value", value))
