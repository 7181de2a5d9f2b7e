"""Mistakes on the command line in our words: what was wrong, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

import typer

from chatstream.errors import OutputError, UsageError
from chatstream.nearest import did_you_mean
from chatstream.terminal import exits

ROOT = "chatstream"

_MAX_EXAMPLE_CHARACTERS = 60  # characters of what the user typed that are worth repeating


def unknown_command(path: str, known: Iterable[str], arguments: Sequence[str]) -> UsageError:
    """The error for a word in the place of a command."""
    name = arguments[0]
    near = did_you_mean(name, known)
    asking = f"to ask a question: chatstream ask {_quoted(arguments)}" if path == ROOT else None
    return UsageError(f"unknown command {name!r}", hint=_hint(path, [near, asking]))


def _quoted(words: Sequence[str]) -> str:
    """The words as one quoted argument, if it is short and means the same in every shell.

    Options are no part of the question, and what follows them may be their value.
    """
    text = " ".join(takewhile(lambda it: not it.startswith("-"), words)).strip()
    plain = text.isprintable() and not set(text) & set('"\\$`!')
    return f'"{text}"' if plain and 0 < len(text) <= _MAX_EXAMPLE_CHARACTERS else '"..."'


def explained(error: typer.TyperException) -> UsageError:
    """An error of typer's as one of ours."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else ROOT
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context is not None and option:
        return UsageError(f"unknown option {option}", hint=_hint(path, [_near(context, option)]))
    message = error.format_message()
    choices = getattr(getattr(getattr(error, "param", None), "type", None), "choices", ())
    value = getattr(error, "message", "").partition(" is not one of ")[0].strip("'\"")
    near = did_you_mean(value, [str(it) for it in choices]) if choices else None
    return UsageError(message, hint=_hint(path, [near]))


def _near(context: Any, option: str) -> str | None:
    """What an option that is unknown here may have meant."""
    if context.parent is None:
        ask = context.command.get_command(context, "ask")
        if option in _options(ask.params):
            return f"write it after the name of the command: chatstream ask {option}"
    known = _options(context.command.get_params(context))
    return did_you_mean(option, [it for it in known if it.startswith("--")])


def _options(parameters: Iterable[Any]) -> list[str]:
    return [name for it in parameters for name in (*it.opts, *it.secondary_opts)]


def _hint(path: str, parts: Iterable[str | None]) -> str:
    text = "; ".join(filter(None, (*parts, f"see `{path} --help`")))
    return text.replace("?;", "?")


def usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    """Report a mistake on the command line in one line, after `--json` as events."""
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        try:
            typer.echo(error.format_message())
        except BrokenPipeError:
            pass
        except OutputError as full:
            return exits.report(full, arguments)
        return 2
    return exits.report(explained(error), arguments)
