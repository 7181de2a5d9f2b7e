"""`chatstream ask`: one question, one answer."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli import exits
from chatstream.cli.config import Settings, resolve
from chatstream.cli.interrupt import interrupts
from chatstream.cli.options import (
    BaseUrl,
    ConnectTimeout,
    Debug,
    FirstTokenTimeout,
    IdleTimeout,
    Json,
    Model,
    Profile,
    Provider,
    Retries,
    Timeout,
)
from chatstream.cli.prompt import compose
from chatstream.cli.session import failed, run
from chatstream.errors import ChatstreamError, UsageError
from chatstream.events import Done, Error, Event, Terminal
from chatstream.flow import Pulse, Sink, drive
from chatstream.sinks import sink_class
from chatstream.sinks.output import Output


def ask(
    prompt: Annotated[
        str | None, typer.Argument(help="The question. Standard input is added to it.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="Add a text file. Repeatable.", metavar="FILE"),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="The system prompt.")] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    as_json: Json = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="The answer's text only, also on a terminal.")
    ] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Ask for the whole answer at once.")
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", "-t", min=0.0, metavar="T", help="How freely it writes."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", min=1, metavar="N", help="End the answer after so many tokens."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--option",
            metavar="KEY=VALUE",
            help="Any other option, by the server's name; VALUE is JSON or text. Repeatable.",
        ),
    ] = None,
    retries: Retries = None,
    connect_timeout: ConnectTimeout = None,
    first_token_timeout: FirstTokenTimeout = None,
    idle_timeout: IdleTimeout = None,
    timeout: Timeout = None,
    reasoning: Annotated[
        str | None,
        typer.Option(
            "--reasoning", metavar="show|hide", help="The model's thinking, kept or not at all."
        ),
    ] = None,
    stats: Annotated[
        bool | None,
        typer.Option("--stats/--no-stats", help="Figures at the end. On a terminal they are on."),
    ] = None,
    debug: Debug = False,
) -> int:
    """Ask a question and show the answer while it is written.

    Exit status: 0 whole answer, 1 failed, 2 usage or configuration,
    3 refused by the provider, 4 timeout or stall, 5 truncated,
    130 Ctrl+C, 143 SIGTERM.
    """
    if debug:
        show_debug()
    token = CancelToken()
    flags = {
        "provider": provider,
        "model": model,
        "base_url": base_url,
        "system": system,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "retries": retries,
        "connect_timeout": connect_timeout,
        "first_token_timeout": first_token_timeout,
        "idle_timeout": idle_timeout,
        "timeout": timeout,
        "reasoning": reasoning,
        "stats": stats,
    }
    with interrupts(token):
        settings = Settings()
        try:
            resolved = resolve({**flags, "options": _options(option)}, profile=profile)
            settings = resolved.settings
            question = compose(prompt, file or (), token)
            events = run(resolved, question, token, streaming=not no_stream)
        except ChatstreamError as error:
            events = failed(error, token)
        return show(events, _sink(settings, as_json=as_json, plain=plain), token)


def show(events: Iterator[Event], sink: Sink, token: CancelToken) -> int:
    """Drive a run into a sink; returns the exit status."""
    terminal: Terminal | None = None

    def watched() -> Iterator[Event]:
        nonlocal terminal
        for event in events:
            if type(event) is Pulse:
                if not gc.isenabled():  # the start is over, see __main__
                    gc.freeze()
                    gc.enable()
            elif type(event) is Done or type(event) is Error:
                terminal = event
            yield event

    try:
        drive(watched(), sink)
    except BrokenPipeError:  # the reader has seen enough
        return 0
    except OSError as error:
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return exits.status_of(terminal, token)


def show_debug() -> None:
    """Log what goes over the wire to stderr; the transport masks secrets itself."""
    logging.basicConfig(format="%(relativeCreated)6.0f ms %(name)s: %(message)s")
    logging.getLogger("chatstream").setLevel(logging.DEBUG)


def _sink(settings: Settings, *, as_json: bool, plain: bool) -> Sink:
    if as_json:
        sink: Sink = sink_class("jsonl")(Output(1))
        return sink
    terminal = os.isatty(1)
    if terminal and not plain and os.environ.get("TERM") != "dumb":
        from chatstream.sinks.deferred import DeferredSink

        return DeferredSink(lambda: _live(settings))
    plain_sink: Sink = sink_class("plain")(
        Output(1),
        Output(2),
        terminal=terminal,
        reasoning=settings.reasoning == "show",
        stats=bool(settings.stats),
    )
    return plain_sink


def _live(settings: Settings) -> Sink:
    from rich.console import Console

    sink: Sink = sink_class("live")(
        Console(file=sys.stdout), reasoning=settings.reasoning, stats=settings.stats is not False
    )
    return sink


def _options(pairs: list[str] | None) -> dict[str, Any] | None:
    options: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"-o {pair!r} is not KEY=VALUE", hint="for example: -o seed=7")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options or None
