"""`chatstream resume`: continue an answer that broke off."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from functools import partial
from typing import Annotated, Any

import typer

from chatstream.cli.options import (
    ALL,
    Copy,
    CopyCode,
    CopyTo,
    Debug,
    Interrupted,
    Json,
    Log,
    Plain,
    SaveCode,
    SaveImages,
    copying_in,
    start_log,
    takes,
)
from chatstream.engine.resume import continuation, unfinished
from chatstream.engine.run import Run
from chatstream.terminal.answering import Answering

_ASKED_ALREADY = {
    "system",
    "schema",
    "schema_multi",
    "effort",
    "temperature",
    "max_tokens",
    "options",
    "stream",
}


@takes(*(name for name in ALL if name not in _ASKED_ALREADY))
def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            show_default="the last unfinished run",
            help="The id of the run, or its first characters.",
        ),
    ] = None,
    as_json: Json = False,
    plain: Plain = False,
    copy: Copy = False,
    copy_code: CopyCode = None,
    copy_to: CopyTo = None,
    save_code: SaveCode = None,
    save_images: SaveImages = None,
    interrupted: Interrupted = None,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Show an answer that broke off, and continue it.

    The same server and model are asked unless you name others. The whole answer is printed:
    what had arrived, and what is new. The exit status is that of `ask`.

    Tools that have run are not run again. Say again what is allowed.
    """
    arguments = locals()
    start_log(arguments)
    answering = Answering(arguments, flags)

    def begin() -> Run:
        resolved, question = continuation(unfinished(run), flags)
        answering.use(resolved, partial(copying_in, arguments))
        return answering.begin(resolved, question)

    return answering.show(begin)
