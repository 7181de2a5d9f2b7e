"""`chatstream compose`: a document, written section by section."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from pathlib import Path
from typing import Annotated, Any

import typer

from chatstream.cli.numbers import whole
from chatstream.cli.options import (
    LOOK,
    Debug,
    Encoding,
    File,
    Json,
    Log,
    Plain,
    file_path,
    start_log,
    takes,
)
from chatstream.many import composing
from chatstream.many.outline import MOST_SECTIONS

_SERVER = ("provider", "model", "base_url", "profile", "strategy", "fallback", "headers", "system")
_REQUEST = ("temperature", "max_tokens", "max_cost", "effort", "options", "timeout")
_FAILURES = ("retries", "connect_timeout", "first_token_timeout", "idle_timeout", "journal")
_OUTPUT = tuple(name for name in LOOK if name != "reasoning")  # no section shows any


@takes(*_SERVER, *_REQUEST, *_FAILURES, *_OUTPUT)
def compose(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="What to write about; - is standard input. Piped input is added.",
        ),
    ] = None,
    sections: Annotated[
        int | None,
        typer.Option(
            "--sections",
            parser=whole(1, MOST_SECTIONS),
            metavar="N",
            show_default="the model decides",
            help="Have the model make an outline of N sections.",
        ),
    ] = None,
    outline: Annotated[
        str | None,
        typer.Option(
            "--outline",
            metavar="FILE|page",
            help="Take the outline from a file: a heading on each line, with notes below it. "
            "page: headline, subheadline, body and call to action of a web page.",
        ),
    ] = None,
    file: File = None,
    encoding: Encoding = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=file_path,
            metavar="FILE",
            help="Write the document to this file once it is whole.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            parser=whole(1, MOST_SECTIONS),
            metavar="N",
            show_default=str(composing.MOST_AT_ONCE),
            help="Write N sections at once.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Start over and write every section again.")
    ] = False,
    as_json: Json = False,
    plain: Plain = False,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Write a document section by section, several sections at once.

    The sections appear in document order. If some of them fail or break off, run the same command
    again: it writes only those, and continues what broke off. Exit status: 0 whole, 1 a section
    failed, 2 usage or configuration, 3 refused, 4 timeout or stall, 5 cut off, 7 cost limit,
    130 Ctrl+C.
    """
    arguments = locals()
    start_log(arguments)
    return composing.compose(arguments, flags)
