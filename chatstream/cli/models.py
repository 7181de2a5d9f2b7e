"""`chatstream models`: the server's list, the details of one model, and a download."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.cli.options import Debug, JsonLines, Log, start_log, takes
from chatstream.terminal import models as shown

_SERVER = ("provider", "base_url", "profile", "headers")

app = typer.Typer(
    add_completion=False,
    help="List the server's models, show one, or have Ollama download one.",
)

Model = Annotated[
    str, typer.Argument(metavar="NAME", help="A model: NAME, NAME@PLACE or an alias.")
]


@app.callback(invoke_without_command=True)
@takes(*_SERVER)
def models(
    context: typer.Context,
    as_json: JsonLines = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """List the models that the server offers, one per line."""
    command = context.invoked_subcommand
    if command is None:
        start_log(locals())
        return shown.list_models(flags, profile, as_json=as_json)
    if as_json or debug or log or profile or any(it is not None for it in flags.values()):
        raise typer.BadParameter(f"the options of `{command}` must follow it")
    return 0


@app.command()
@takes(*_SERVER)
def show(
    model: Model,
    as_json: JsonLines = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Show the details of a model: context, size, parameters, capabilities."""
    start_log(locals())
    return shown.show_model(model, flags, profile, as_json=as_json)


@app.command()
@takes(*_SERVER)
def pull(
    model: Model,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Have Ollama download a model. After Ctrl+C, the next pull continues."""
    start_log(locals())
    return shown.pull_model(model, flags, profile)
