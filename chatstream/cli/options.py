"""The options of settings, made from their declaration, and others that commands share.

    @takes("provider", "model")
    def command(…, provider: str | None, **flags: Any) -> int:

`takes` gives a command the options of these settings. Their values arrive under the names of the
settings: as a parameter where the function has one of that name, else among its `**flags`. None
means that an option was not given.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from typer.core import TyperOption

from chatstream.cli.numbers import reader
from chatstream.engine.declaration import Option, Setting
from chatstream.engine.settings import DECLARED
from chatstream.engine.shapes import is_list, is_number, is_switch, is_table
from chatstream.errors import UsageError
from chatstream.text import items_of
from chatstream.wording import encodable

if TYPE_CHECKING:
    from chatstream.engine.roles import Role
    from chatstream.terminal.copying import Copying

Function = TypeVar("Function", bound=Callable[..., int])

ALL = tuple(name for name, setting in DECLARED.items() if setting.flags)
"""The settings that have an option."""

LOOK = tuple(name for name in ALL if DECLARED[name].about.group == "Output")
"""Those that decide how an answer is shown."""


def takes(*names: str) -> Callable[[Function], Function]:
    """Give a command the options of these settings."""

    def decorated(function: Function) -> Function:
        command: Any = function
        command.options = [option_of(DECLARED[name]) for name in names]
        signature = inspect.signature(command, eval_str=True)
        command.__signature__ = signature.replace(  # typer makes the other options from it
            parameters=[
                it
                for it in signature.parameters.values()
                if it.kind is not it.VAR_KEYWORD and it.name not in names
            ]
        )
        return function

    return decorated


def option_of(setting: Setting) -> TyperOption:
    """The option of a setting that has one."""
    about, kind = setting.about, setting.type
    assert isinstance(about, Option), setting.name
    repeats = is_list(kind) or is_table(kind)
    only_off = setting.flags[0].startswith("--no-")
    return TyperOption(
        param_decls=[setting.name, *setting.flags],
        is_flag=is_switch(kind),
        multiple=repeats,
        type=reader(kind) if is_number(kind) else None,
        callback=_items if about.commas else _values if repeats else _off if only_off else None,
        metavar=about.value or None,
        help=about.option_help or about.help,
        show_default=about.shown_default or True,
    )


def _values(_context: Any, _option: Any, values: Sequence[str]) -> list[str] | None:
    return list(values) or None


def _items(_context: Any, _option: Any, values: Sequence[str]) -> list[str] | None:
    return [item for value in values for item in items_of(value)] or None


def _off(_context: Any, _option: Any, given: bool | None) -> bool | None:
    return False if given else None


Last = Annotated[
    bool,
    typer.Option("--continue", "-c", help="Continue the last conversation."),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="RUN", help="Continue after the answer of this run, as a branch."),
]
Edit = Annotated[
    str | None,
    typer.Option(
        "--edit", metavar="RUN", help="Ask this in the place of that run's question, as a branch."
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Continue or start this conversation. With -c: name it.",
    ),
]
RoleName = Annotated[
    str | None,
    typer.Option("--role", metavar="NAME", help="Ask in this role: a system prompt and settings."),
]
Var = Annotated[
    list[str] | None,
    typer.Option(
        "--var", metavar="NAME=VALUE", help="Give a variable of the role a value. Repeatable."
    ),
]


def _model(text: str) -> str:
    shown = encodable(text)
    if shown == text and not any(map(str.isspace, text)):
        return text
    raise typer.BadParameter(f"{shown[:40]!r} is not the name of a model")


Quick = Annotated[
    str | None,
    typer.Option(
        "--quick",
        parser=_model,
        metavar="[MODEL]",
        help="Also ask MODEL, and show its quick answer first; in a pipe, on standard error. "
        "Without MODEL, the strategies speed-priority and quality-first choose the models.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON Lines.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Log what goes over the wire to standard error.")
]


def _log_rule(text: str) -> str:
    from chatstream.terminal.logs import parse

    try:
        parse(text)
    except UsageError as error:
        raise typer.BadParameter(f"{error.message}; {error.hint}") from error
    return text


Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        parser=_log_rule,
        metavar="LEVEL[:PART]",
        help="Log to standard error: debug, info, warning or error; debug:transport logs one "
        "part only. Repeatable.",
    ),
]
Plain = Annotated[
    bool, typer.Option("--plain", help="Print the answer as plain text, even on a terminal.")
]

Copy = Annotated[bool, typer.Option("--copy", help="Copy the answer to the clipboard.")]


def _number(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text)) >= 0:
            return number
    raise typer.BadParameter(
        f"{text[:40]!r}: N is the number of a code block, 1 for the first; "
        "where it is left out, an option or -- has to follow"
    )


CopyCode = Annotated[
    int | None,
    typer.Option(
        "--copy-code",
        parser=_number,
        metavar="[N]",
        show_default="the last",
        help="Copy code block N.",
    ),
]


def file_path(text: str) -> Path:
    """The path that an option names; an empty text would mean the current folder."""
    if not text.strip():
        raise typer.BadParameter("it is empty")
    if "\0" in text:
        raise typer.BadParameter(
            f"{text[:40]!r} contains a NUL character, which no file name may contain"
        )
    return Path(text)


def output_file(text: str) -> Path:
    """The file that `--out` names; `./-` is one of that name."""
    if text == "-":
        raise typer.BadParameter("leave it out for standard output")
    return file_path(text)


def input_file(text: str) -> str:
    """The values of `--file`: `-` is standard input, and `./-` a file of that name."""
    file_path(text)
    return text


File = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        parser=input_file,
        metavar="FILE|URL",
        help="Add a text file, PDF, web page, or -. Repeatable.",
    ),
]
ImageFile = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="FILE|URL",
        help="Add an image: PNG, JPEG, GIF or WebP. Repeatable.",
    ),
]
NoStdin = Annotated[bool, typer.Option("--no-stdin", help="Do not read standard input.")]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        show_default="UTF-8",
        help="The encoding of standard input and of files.",
    ),
]

CopyTo = Annotated[
    Path | None,
    typer.Option(
        "--copy-to",
        parser=file_path,
        metavar="FILE",
        help="Copy to this file, not to the clipboard.",
    ),
]
SaveCode = Annotated[
    Path | None,
    typer.Option(
        "--save-code",
        parser=file_path,
        metavar="DIR",
        help="Save each code block as a file in DIR.",
    ),
]
SaveImages = Annotated[
    Path | None,
    typer.Option("--save-images", metavar="DIR", help="Save each image as a file in DIR."),
]

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the calls of tools that would be made, and make none."),
]
ToolsFrom = Annotated[
    str | None,
    typer.Option(
        "--tools-from",
        metavar="RUN",
        help="Take the results of tools from this run; start no tool.",
    ),
]
Interrupted = Annotated[
    Literal["tell", "run", "stop"] | None,
    typer.Option(
        "--interrupted",
        show_default="tell",
        help="What to do about a tool that was running: tell the model, run it again, or stop.",
    ),
]

_COPYING = ("copy", "copy_code", "copy_to", "save_code", "save_images")


def start_log(arguments: Mapping[str, Any]) -> None:
    """Log what `--debug` and `--log` ask for, if anything."""
    rules = [*(["debug"] if arguments["debug"] else ()), *(arguments["log"] or ())]
    if rules:
        from chatstream.terminal.logs import show

        show(rules)


def role_of(name: str | None, pairs: Sequence[str] | None) -> Role | None:
    """The role of `--role` and `--var`; None without them. Raises `UsageError`, `ConfigError`."""
    if name is None and not pairs:
        return None
    from chatstream.engine.roles import of_options  # most questions need no role

    return of_options(name, pairs)


def copying_in(arguments: Mapping[str, Any]) -> Copying | None:
    """What these arguments ask to copy or save; None if nothing. Raises `UsageError`."""
    copy, code, to, save, images = (arguments[name] for name in _COPYING)
    if not copy and all(it is None for it in (code, to, save, images)):
        return None
    from chatstream.terminal.copying import Copying

    copying = Copying(copy, code, to, save, images)
    copying.check()
    return copying
