"""The command line, made from the table of `commands`.

1. The module of a command is imported when it is used; the help of all needs the table alone.
   Help, completion and the words for mistakes are modules of their own, imported when needed.
2. Mistakes on the command line get one clear line on stderr, and after `--json` the events of a
   run that failed on stdout; the exit status is 2.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from chatstream import __version__
from chatstream.cli.commands import COMMANDS, HELP_ALL
from chatstream.cli.once import OnceParser
from chatstream.errors import ChatstreamError, mistake
from chatstream.terminal import exits

SHOW_COMPLETION = "--show-completion"
INSTALL_COMPLETION = "--install-completion"
COMPLETE = "_CHATSTREAM_COMPLETE"
"""The variable by which a shell asks for completions."""


class Command(TyperCommand):
    """A command with our help. It drops no value; the values of `OPTIONAL` may be left out.

    The attribute `options` of its function adds to the options of the signature.
    """

    def __init__(self, *args: Any, callback: Any, params: list[Any], **details: Any) -> None:
        params = [*params, *getattr(callback, "options", ())]
        super().__init__(*args, callback=callback, params=params, **details)

    def make_parser(self, ctx: Any) -> Any:
        return OnceParser(super().make_parser(ctx), ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_optional(args))

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), self._help_all]

    @cached_property
    def _help_all(self) -> TyperOption:
        return _action(HELP_ALL, _show_all, "Show the rarely used options as well.", is_flag=True)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from chatstream.cli.helping import command_help

        formatter.write(command_help(self, ctx))


def _action(name: str, callback: Callable[..., None], about: str, **details: Any) -> TyperOption:
    """An option that acts and exits. Made from a signature, it would cost 0.3 ms per start."""
    return TyperOption(
        param_decls=[name],
        is_eager=True,
        expose_value=False,
        callback=callback,
        help=about,
        **details,
    )


def _show_all(ctx: Any, _option: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from chatstream.cli.helping import command_help

        typer.echo(command_help(ctx.command, ctx, everything=True))
        raise typer.Exit


class Group(TyperGroup):
    """A group of commands with our help. It suggests a command for one that was mistyped.

    The attribute `options` of its function adds to the options of the signature.
    """

    def __init__(
        self, *args: Any, callback: Any = None, params: Any = None, **details: Any
    ) -> None:
        params = [*(params or ()), *getattr(callback, "options", ())]
        super().__init__(*args, callback=callback, params=params, **details)

    def make_parser(self, ctx: Any) -> Any:
        return OnceParser(super().make_parser(ctx), ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args[0] not in self.list_commands(ctx) and not ctx.resilient_parsing:
            from chatstream.cli.mistakes import unknown_command

            raise unknown_command(ctx.command_path, self.list_commands(ctx), args)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from chatstream.cli.helping import group_help

        rows = [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
        formatter.write(group_help(self, ctx, rows))


class _Commands(Group):
    """The commands of the table. A question in the place of a command goes to `ask`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            # Its annotations are resolved; typer would do that twice more, 0.5 % of a start.
            function.__no_type_check__ = True
            target.command(cmd_name)(function)
        target.info.cls = Group
        for registered in target.registered_commands:
            registered.cls = Command
        command = get_command(target)
        command.name = cmd_name
        return command

    def get_params(self, ctx: Any) -> list[Any]:
        *own, its_help = super().get_params(ctx)
        return [*own, *self._completion, its_help]

    @cached_property
    def _completion(self) -> list[TyperOption]:
        about = "Print the completion script of bash, zsh or fish."
        return [
            _action(SHOW_COMPLETION, _show_completion, about, metavar="[SHELL]"),
            _action(
                INSTALL_COMPLETION,
                _install_completion,
                "Install completion for your shell: Tab then completes commands.",
                metavar="[SHELL]",
            ),
        ]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and is_question(args[-1]):
            own = {name for it in self.get_params(ctx) for name in it.opts}
            if args[0].partition("=")[0] not in own and not COMMANDS.keys() & args:
                args = ["ask", *args]
        for option in (SHOW_COMPLETION, INSTALL_COMPLETION):
            args = with_value(args, option, lambda it: not it.startswith("-"), "")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args[0] not in COMMANDS and is_question(args[0]):
            args = ["ask", *args]
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from chatstream.cli.helping import group_help

        rows = [(name, about) for name, (_, about) in COMMANDS.items()]
        formatter.write(group_help(self, ctx, rows))


def _show_completion(ctx: Any, _option: Any, shell: str | None) -> None:
    if shell is not None and not ctx.resilient_parsing:
        from chatstream.cli.completing import running_shell
        from chatstream.completion import shells

        typer.echo(shells.script(shells.checked(shell or running_shell())))
        raise typer.Exit


def _install_completion(ctx: Any, _option: Any, shell: str | None) -> None:
    if shell is not None and not ctx.resilient_parsing:
        from chatstream.cli.completing import running_shell
        from chatstream.completion import shells

        typer.echo(shells.install(shells.checked(shell or running_shell())))
        raise typer.Exit


def is_question(argument: str) -> bool:
    """Whether an argument can only be a question: it has a blank in it and is not an option."""
    return not argument.startswith("-") and any(map(str.isspace, argument.strip()))


def is_name(argument: str) -> bool:
    """Whether an argument may be the name of a model: not an option, and without spaces."""
    return bool(argument) and not argument.startswith("-") and not any(map(str.isspace, argument))


OPTIONAL: dict[str, tuple[Callable[[str], bool], str]] = {
    "--copy-code": (str.isdigit, "0"),  # the last
    "--pick": (str.isdigit, "0"),  # the one that is then asked for
    "--quick": (is_name, ""),
}
"""Options whose value may be left out: what can be a value, and what is used without one."""


def with_optional(arguments: list[str]) -> list[str]:
    """The arguments, with a value for each of the `OPTIONAL` options that has none.

    An option has none if it comes last, or before anything that cannot be its value: another
    option, or the question.
    """
    for option in OPTIONAL.keys() & arguments:
        arguments = with_value(arguments, option, *OPTIONAL[option])
    return arguments


def with_value(
    arguments: Sequence[str], option: str, fits: Callable[[str], bool], otherwise: str
) -> list[str]:
    """The arguments, with the value `otherwise` for an option whose next argument does not fit."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = list(arguments)
    for at in range(end):
        if given[at] == option and (at + 1 == end or not fits(given[at + 1])):
            given[at] = f"{option}={otherwise}"
    return given


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
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
    """Ask a language model and read the answer while it is written."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if asking := os.environ.get(COMPLETE):
        from chatstream.cli.completing import answer

        return answer(get_command(app), asking)
    if not arguments and os.isatty(0) and os.isatty(1):
        from chatstream.cli.helping import greeting

        if text := greeting():
            typer.echo(text)
            return 0
    try:
        status = app(arguments, prog_name="chatstream", standalone_mode=False)
    except typer.TyperException as error:
        from chatstream.cli.mistakes import usage

        return usage(error, arguments)
    except typer.Abort:
        return 130
    except SystemExit:  # how typer ends on a broken pipe: the reader has seen enough
        return 0
    except ChatstreamError as error:  # no such command, or its output cannot be written
        return exits.report(error, arguments)
    except Exception as error:
        if "--debug" in arguments:
            import traceback

            from chatstream.redact import redact

            print(redact(traceback.format_exc()), file=sys.stderr)
        return exits.report(mistake(error), arguments)
    return status if isinstance(status, int) else 0
