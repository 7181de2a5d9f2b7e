"""`chatstream prices`: the prices of models."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.cli.options import JsonLines, takes
from chatstream.terminal import prices as shown

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show or update the prices of models."
)


@app.command(name="list")
def list_prices(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="WORD", show_default="all", help="Show the models with WORD in their names."
        ),
    ] = None,
    as_json: JsonLines = False,
) -> int:
    """List prices, in US dollars for a million tokens. Those of the configuration come first."""
    return shown.list_prices(word, as_json=as_json)


@app.command()
@takes("base_url")
def update(as_json: JsonLines = False, **flags: Any) -> int:
    """Fetch the prices that OpenRouter lists, and store them with the date."""
    return shown.update(flags, as_json=as_json)
