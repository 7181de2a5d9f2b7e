"""A command line of chatstream's shape that can do nothing: what typer itself costs."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
config = typer.Typer(help="Show and change the settings.")
app.add_typer(config, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo("alone 1.0")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A client that never asks."""


@app.command()
def ask(prompt: str) -> None:
    """Ask a question."""


@app.command()
def models() -> None:
    """List the models."""


@app.command()
def schema() -> None:
    """Print the schema."""


@config.command()
def show() -> None:
    """Show the settings."""


if __name__ == "__main__":
    app()
