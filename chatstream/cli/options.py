"""Options that more than one command has, with their help."""

from __future__ import annotations

from typing import Annotated

import typer

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
        "--retries", min=0, metavar="N", help="Further attempts before the first token; 3."
    ),
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
