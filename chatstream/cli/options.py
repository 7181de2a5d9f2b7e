"""Options that more than one command has, with their help."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatstream.cli.numbers import like
from chatstream.engine.settings import FIELDS
from chatstream.errors import UsageError
from chatstream.text import argument

if TYPE_CHECKING:
    from chatstream.terminal.copying import Copying

Provider = Annotated[
    str | None,
    typer.Option("--provider", "-p", metavar="NAME", help="The service, such as ollama or openai."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="The model to ask."),
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="The address of the server.")
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Use this profile of the configuration file."),
]
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
        help="Continue the conversation of this name, or start it. With -c: name it.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print events as JSON Lines.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Log what goes over the wire to standard error.")
]
Stream = Annotated[
    bool | None,
    typer.Option("--stream/--no-stream", help="Request the answer in pieces, or all at once."),
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
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        "-t",
        parser=like("temperature"),
        metavar="T",
        help="Sampling temperature; higher is more varied.",
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--option",
        metavar="KEY=VALUE",
        help="Send an extra option, such as seed=7. Repeatable.",
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="'NAME: VALUE'",
        help="Also send this header. It replaces chatstream's own of that name. Repeatable.",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        parser=like("retries"),
        metavar="N",
        help="Retry up to N times after failures.",
    ),
]
Plain = Annotated[
    bool, typer.Option("--plain", help="Print the answer as plain text, even on a terminal.")
]
Reasoning = Annotated[
    str | None,
    typer.Option("--reasoning", metavar="show|hide", help="Show or hide the model's thinking."),
]
Stats = Annotated[
    bool | None,
    typer.Option(
        "--stats/--no-stats",
        show_default="on a terminal",
        help="Print timings and token counts.",
    ),
]
OnDrop = Annotated[
    str | None,
    typer.Option(
        "--on-drop",
        metavar="ACTION",
        help="What to do if the answer breaks off: continue, restart, stop or fallback.",
    ),
]
Fallback = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        metavar="MODEL[@PLACE]",
        help="Ask this model if the first one fails. Repeatable.",
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Ask the models of this strategy in the configuration file, in order.",
    ),
]
NoJournal = Annotated[
    bool,
    typer.Option(
        "--no-journal",
        help="Keep no record: the answer is not in the history and cannot be resumed.",
    ),
]
Buffer = Annotated[
    str | None,
    typer.Option(
        "--buffer",
        metavar="KIND",
        help="Read ahead of a slow reader: none, fixed, dynamic or sliding. On a screen, "
        "sliding skips text to keep up.",
    ),
]
Coalesce = Annotated[
    bool | None,
    typer.Option(
        "--coalesce/--no-coalesce", help="Join small pieces of text that arrive within 0.1 s."
    ),
]
ConnectTimeout = Annotated[
    float | None,
    typer.Option(
        "--connect-timeout",
        parser=like("connect_timeout"),
        metavar="S",
        help="Give up connecting after S seconds; 0 means never.",
    ),
]
FirstTokenTimeout = Annotated[
    float | None,
    typer.Option(
        "--first-token-timeout",
        parser=like("first_token_timeout"),
        metavar="S",
        show_default="300; 900 if local",
        help="Give up if there is no token after S seconds; 0 means never.",
    ),
]
IdleTimeout = Annotated[
    float | None,
    typer.Option(
        "--idle-timeout",
        parser=like("idle_timeout"),
        metavar="S",
        help="Give up after S seconds without a new token; 0 means never.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=like("timeout"),
        metavar="S",
        show_default="none",
        help="Limit the whole answer to S seconds.",
    ),
]

Color = Annotated[
    str | None,
    typer.Option(
        "--color",
        metavar="auto|always|never",
        help="Use colours: on a terminal, always or never.",
    ),
]
Render = Annotated[
    bool | None,
    typer.Option(
        "--render/--no-render",
        help="Draw the Markdown even in a pipe or file; for less -R, add --color always.",
    ),
]
Theme = Annotated[
    str | None,
    typer.Option(
        "--theme",
        metavar="auto|dark|light",
        help="Fit the colours to a dark or a light background.",
    ),
]
CodeTheme = Annotated[
    str | None,
    typer.Option("--code-theme", metavar="NAME", help="Colour code with this Pygments theme."),
]
Wrap = Annotated[
    str | None,
    typer.Option(
        "--wrap",
        metavar="words|terminal|none",
        help="Wrap at words, or leave that to the terminal; none keeps the model's own lines.",
    ),
]
Accessible = Annotated[
    bool | None,
    typer.Option(
        "--accessible/--no-accessible",
        help="For screen readers: whole sentences, no redraws.",
    ),
]
Notify = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="none|bell|osc9",
        help="At the end, ring the bell or show a terminal notification.",
    ),
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
    """What an option for a file takes; an empty text would be the current folder."""
    if not text.strip():
        raise typer.BadParameter("it is empty")
    if "\0" in text:
        raise typer.BadParameter(
            f"{text[:40]!r} contains a NUL character, which no file name may contain"
        )
    return Path(text)


def input_file(text: str) -> Path:
    """What `--file` takes: `-` is standard input, and `./-` a file of that name."""
    path = file_path(text)
    if path != Path("-") or text == "-":
        return path
    try:
        return path.absolute()
    except OSError as error:  # the current folder was removed
        raise typer.BadParameter(f"{text} cannot be read: {error.strerror}") from error


File = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        parser=input_file,
        metavar="FILE",
        help="Add a text file; - is standard input. Repeatable.",
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

_COPYING = ("copy", "copy_code", "copy_to", "save_code", "save_images")


def start_log(arguments: Mapping[str, Any]) -> None:
    """Log what `--debug` and `--log` ask for, if anything."""
    rules = [*(["debug"] if arguments["debug"] else ()), *(arguments["log"] or ())]
    if rules:
        from chatstream.terminal.logs import show

        show(rules)


def settings_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a command that are settings, by the names that `resolve` takes."""
    flags = {name: value for name, value in arguments.items() if name in FIELDS}
    if header := arguments.get("header"):
        flags["headers"] = header
    return {**flags, "journal": False} if arguments.get("no_journal") else flags


def copying_in(arguments: Mapping[str, Any]) -> Copying | None:
    """What these arguments want to be copied or saved, if anything. Raises `UsageError`."""
    copy, code, to, save, images = (arguments[name] for name in _COPYING)
    if not copy and all(it is None for it in (code, to, save, images)):
        return None
    from chatstream.terminal.copying import Copying

    copying = Copying(copy, code, to, save, images)
    copying.check()
    return copying


def options_in(pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """What `-o KEY=VALUE` says, each value JSON or else text. Raises `UsageError`."""
    options: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = argument(pair, "-o").partition("=")
        if not equals or not key:
            raise UsageError(f"-o {pair!r} is not KEY=VALUE", hint="for example: -o seed=7")
        options[key] = _value(key, text)
    return options or None


def _value(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
        _check_sendable(value)
    except RecursionError:
        raise UsageError(f"-o {key} is nested too deeply") from None
    except UnicodeEncodeError:
        raise UsageError(f"-o {key} contains an unpaired surrogate (invalid Unicode)") from None
    except ValueError:
        return text
    return value


def _check_sendable(value: Any, depth: int = 100) -> None:
    if depth == 0:
        raise RecursionError
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_sendable(part, depth - 1)
