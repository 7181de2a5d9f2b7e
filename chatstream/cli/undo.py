"""`chatstream undo`: restores the files that the tools of a run have written."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.terminal.undoing import show_undo


def undo(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            show_default="the last run that wrote files",
            help="The id of a run, or its first characters.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also restore files that were changed after the run."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per file written.")
    ] = False,
) -> int:
    """Restore the files that write_file and edit_file have written in a run.

    Each becomes what it was before that run, byte for byte; files that the run made are removed.
    A file that was changed since is left alone. What programs have done is not undone.

    Exit status: 1 if a file was left alone, 2 if there is nothing to restore.
    """
    return show_undo(run, force=force, as_json=as_json)
