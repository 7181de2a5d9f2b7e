"""The command line. `COMMANDS` names every command, and what it does.

1. The module of a command is imported when it is used; the help of all needs the table alone.
2. Mistakes on the command line get one clear line on stderr, and after `--json` the events of a
   run that failed on stdout; the exit status is 2.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from chatstream import __version__
from chatstream.cli import exits
from chatstream.cli.once import OnceParser
from chatstream.errors import ChatstreamError, mistake

COMMANDS: dict[str, tuple[str, str]] = {
    "ask": (
        "chatstream.cli.ask:ask",
        "Ask a question and show the answer while it is written.",
    ),
    "resume": (
        "chatstream.cli.resume:resume",
        "Show an answer that broke off, and continue it.",
    ),
    "replay": (
        "chatstream.cli.replay:replay",
        "Play a run again: its journal, or what `--json` has written, as it came.",
    ),
    "bench": (
        "chatstream.cli.bench:bench",
        "Measure how soon and how steadily a model answers.",
    ),
    "doctor": (
        "chatstream.cli.doctor:doctor",
        "Check this installation, or find out why a server does not stream.",
    ),
    "models": (
        "chatstream.cli.models:models",
        "List the models of the server, one a line.",
    ),
    "schema": (
        "chatstream.cli.schema:schema",
        "Print the JSON Schema of the events that `--json` writes, one event a line.",
    ),
    "config": (
        "chatstream.cli.configure:app",
        "Show or change the settings.",
    ),
    "history": (
        "chatstream.cli.history:app",
        "What was asked and answered: list, show, search, export, remove.",
    ),
}

_COMPLETING = "_CHATSTREAM_COMPLETE"
"""The variable by which a shell asks for completions."""

COPY_CODE = "--copy-code"


class _Commands(TyperGroup):
    """The commands of the table."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            # They are resolved already. Typer would do it twice again: 0.5 % of a start.
            function.__no_type_check__ = True
            target.command(cmd_name)(function)
        for registered in target.registered_commands:
            registered.cls = _Command
        command = get_command(target)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        rows = [TyperCommand(name, help=about) for name, (_, about) in COMMANDS.items()]
        listing = TyperGroup(name=self.name, params=self.params, help=self.help, commands=rows)
        listing.format_help(ctx, formatter)


class _Command(TyperCommand):
    """A command that drops no value; its `--copy-code` may stand without its number."""

    def make_parser(self, ctx: Any) -> Any:
        return OnceParser(super().make_parser(ctx), ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_number(args) if COPY_CODE in args else args)


def with_number(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the last code block's number where `--copy-code` has none.

    It has none at the end, and before anything that is no number: an option, or the question.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = list(arguments)
    for at in range(end):
        if given[at] == COPY_CODE and (at + 1 == end or not given[at + 1].isdigit()):
            given[at] = f"{COPY_CODE}=0"
    return given


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chatstream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Ask a language model and read while it writes: every token at once, none lost."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = app(arguments, prog_name="chatstream", standalone_mode=False)
    except typer.TyperException as error:
        return exits.usage(error, arguments)
    except typer.Abort:
        return 130
    except SystemExit:  # typer's own way with a broken pipe: the reader has seen enough
        return 0
    except ChatstreamError as error:  # what no command has told of: its output cannot be written
        return exits.report(error, arguments)
    except Exception as error:
        if _COMPLETING in os.environ:  # a shell asks in an odd way; its prompt is no place for us
            return 1
        if "--debug" in arguments:
            import traceback

            from chatstream.redact import redact

            print(redact(traceback.format_exc()), file=sys.stderr)
        return exits.report(mistake(error), arguments)
    return status if isinstance(status, int) else 0
