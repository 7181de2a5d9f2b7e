"""The command line. `COMMANDS` names every command; its module is imported when it is used.

Mistakes on the command line get one clear line on stderr, and after `--json` the events of a run
that failed on stdout; the exit status is 2.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from chatstream import __version__
from chatstream.cli import exits
from chatstream.errors import InternalError

COMMANDS: dict[str, str] = {
    "ask": "chatstream.cli.ask:ask",
    "resume": "chatstream.cli.resume:resume",
    "replay": "chatstream.cli.replay:replay",
    "models": "chatstream.cli.models:models",
    "schema": "chatstream.cli.schema:schema",
    "config": "chatstream.cli.configure:app",
    "history": "chatstream.cli.history:app",
}


class _Commands(TyperGroup):
    """The commands of the table."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            target.command(cmd_name)(function)
        command = get_command(target)
        command.name = cmd_name
        return command


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
    except Exception as error:
        if "--debug" in arguments:
            raise
        return exits.report(InternalError(f"{type(error).__name__}: {error}"), arguments)
    return status if isinstance(status, int) else 0
