"""Options that more than one command has, with their help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from chatstream.cli.config import FIELDS

Provider = Annotated[
    str | None, typer.Option("--provider", "-p", help="ollama, openai, anthropic, demo, …")
]
Model = Annotated[str | None, typer.Option("--model", "-m", help="The model's name.")]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", help="The server's address.", metavar="URL")
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="A profile of the configuration file.")
]
Json = Annotated[bool, typer.Option("--json", help="Events as JSON Lines on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show what goes over the wire, on stderr.")]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries", min=0, metavar="N", help="Further attempts, whatever they are for; 3."
    ),
]
Plain = Annotated[bool, typer.Option("--plain", help="The answer's text only, also on a terminal.")]
Reasoning = Annotated[
    str | None,
    typer.Option(
        "--reasoning", metavar="show|hide", help="The model's thinking, kept or not at all."
    ),
]
Stats = Annotated[
    bool | None,
    typer.Option("--stats/--no-stats", help="Figures at the end. On a terminal they are on."),
]
OnDrop = Annotated[
    str | None,
    typer.Option(
        "--on-drop",
        metavar="HOW",
        help="When the answer breaks off: continue (where the server can; the default), "
        "restart, stop or fallback.",
    ),
]
Fallback = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback",
        metavar="MODEL[@PROVIDER]",
        help="Takes over when the model is down, overloaded, missing or stalled. Repeatable.",
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy", metavar="NAME", help="The models of this strategy of the configuration file."
    ),
]
NoJournal = Annotated[
    bool, typer.Option("--no-journal", help="Keep no record: no resume, no history.")
]
Buffer = Annotated[
    str | None,
    typer.Option(
        "--buffer",
        metavar="KIND",
        help="Read ahead of a slow reader: fixed, dynamic or sliding (may drop, on a screen "
        "only); none, the default: the server waits.",
    ),
]
Coalesce = Annotated[
    bool | None,
    typer.Option("--coalesce/--no-coalesce", help="Join small pieces, for 0.1 s at most."),
]
ConnectTimeout = Annotated[
    float | None,
    typer.Option(
        "--connect-timeout", min=0.0, metavar="S", help="Seconds until connected; 10. 0: no limit."
    ),
]
FirstTokenTimeout = Annotated[
    float | None,
    typer.Option(
        "--first-token-timeout",
        min=0.0,
        metavar="S",
        help="Seconds until the first token; 300, 900 for a local server.",
    ),
]
IdleTimeout = Annotated[
    float | None,
    typer.Option("--idle-timeout", min=0.0, metavar="S", help="Seconds between two tokens; 120."),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.0, metavar="S", help="Seconds for the whole answer; no limit."),
]


def settings_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a command that are settings, by the names that `resolve` takes."""
    flags = {name: value for name, value in arguments.items() if name in FIELDS}
    return {**flags, "journal": False} if arguments["no_journal"] else flags
