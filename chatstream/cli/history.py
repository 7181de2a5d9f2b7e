"""`chatstream history`: what was asked and answered, listed, shown, searched, exported, removed."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from functools import partial
from typing import Annotated

import typer

from chatstream.cli.numbers import like, whole
from chatstream.cli.options import JsonLines, Plain, takes
from chatstream.terminal import history as shown
from chatstream.terminal.history import Format, with_history

_NEWEST = 20  # runs, or matches, that are listed
_RUN = "The id of a run, or its first characters."

app = typer.Typer(
    add_completion=False,
    help="List, show, search, export and delete past questions and answers.",
)

_number = typer.Option(
    *("-n", "--number"),
    parser=whole(1),
    metavar="N",
    show_default=str(_NEWEST),
    help="Show at most N.",
)
Number = Annotated[int, _number]
NumberAlone = Annotated[int | None, _number]


@app.callback(invoke_without_command=True)
def newest(context: typer.Context, number: NumberAlone = None, as_json: JsonLines = False) -> int:
    """List, show, search, export and delete past questions and answers."""
    command = context.invoked_subcommand
    if command is None:
        return list_runs(_NEWEST if number is None else number, as_json)
    if number is not None or as_json:
        given = "--json" if as_json else "-n"
        raise typer.BadParameter(f"{given} is an option of `{command}` and must follow it")
    return 0


@app.command(name="list")
def list_runs(number: Number = _NEWEST, as_json: JsonLines = False) -> int:
    """List the newest runs and how each one ended."""
    return with_history(partial(shown.list_runs, limit=number, as_json=as_json), as_json=as_json)


@app.command()
@takes("render", "color")
def show(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", show_default="the last one", help=_RUN)
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Print the answer alone, byte for byte.")
    ] = False,
    as_json: JsonLines = False,
    plain: Plain = False,
    *,
    render: bool | None,
    color: str | None,
) -> int:
    """Show the conversation that a run belongs to; on a terminal, answers as `ask` shows them."""
    action = partial(
        shown.show_conversation,
        run=run,
        text=text,
        as_json=as_json,
        plain=plain,
        render=render,
        color=color,
    )
    return with_history(action, as_json=as_json)


@app.command()
def tree(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", show_default="the last one", help=_RUN)
    ] = None,
    as_json: JsonLines = False,
) -> int:
    """Show the turns of the conversation that a run belongs to, with all branches."""
    return with_history(partial(shown.show_tree, run=run, as_json=as_json), as_json=as_json)


@app.command()
def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORD", help="A word in the message; WORD* matches any ending."),
    ],
    number: Number = _NEWEST,
    as_json: JsonLines = False,
) -> int:
    """Find messages that contain all these words, newest first."""
    action = partial(shown.search, words=words, limit=number, as_json=as_json)
    return with_history(action, as_json=as_json)


@app.command()
def export(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", show_default="all", help=_RUN)
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Markdown, or JSON with one conversation per line.")
    ] = Format.MARKDOWN,
) -> int:
    """Print whole conversations, oldest first."""
    action = partial(shown.export, runs=runs or (), form=form)
    return with_history(action, stages=shown.EXPORTING)


@app.command()
def rm(runs: Annotated[list[str], typer.Argument(metavar="RUN", help=_RUN)]) -> int:
    """Delete the conversations that these runs belong to."""
    return with_history(partial(shown.remove, runs=runs), stages=shown.REMOVING)


@app.command()
def prune(
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            parser=like("keep_complete"),
            metavar="DAYS",
            help="Also delete conversations older than this.",
        ),
    ] = None,
) -> int:
    """Delete journals older than the settings keep_complete and keep_incomplete allow."""
    return with_history(partial(shown.prune, older_than=older_than), stages=shown.PRUNING)
