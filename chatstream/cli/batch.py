"""`chatstream batch`: many prompts from a file, several at a time."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from pathlib import Path
from typing import Annotated, Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.numbers import whole
from chatstream.cli.options import (
    ALL,
    Debug,
    Encoding,
    Log,
    RoleName,
    Var,
    input_file,
    output_file,
    role_of,
    start_log,
    takes,
)
from chatstream.engine.settings import DECLARED
from chatstream.errors import ChatstreamError
from chatstream.many import batching
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

_NO_USE = {"trim", "buffer", "coalesce"}
_TAKEN = (
    *(
        it
        for it in ALL
        if DECLARED[it].about.group not in {"Tools", "Output"} and it not in _NO_USE
    ),
    "accessible",
)


@takes(*_TAKEN)
def batch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            parser=input_file,
            help="Text with one prompt per line, JSON Lines or CSV; - is standard input.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=output_file,
            metavar="FILE",
            show_default="standard output",
            help="Append the answers to this file. A rerun asks only what is missing.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", parser=whole(1, 1000), metavar="N", help="Ask N prompts at once."
        ),
    ] = batching.MOST,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            help="The prompt for each CSV row; {NAME} is the value in that column.",
        ),
    ] = None,
    encoding: Encoding = None,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Write answers as they arrive, not in input order.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the prompts that failed before.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop after the first failure.")
    ] = False,
    rpm: Annotated[
        int | None,
        typer.Option(
            "--rpm", parser=whole(1), metavar="N", help="Send at most N requests per minute."
        ),
    ] = None,
    tpm: Annotated[
        int | None,
        typer.Option(
            "--tpm", parser=whole(1), metavar="N", help="Use at most N tokens per minute."
        ),
    ] = None,
    role: RoleName = None,
    var: Var = None,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Answer many prompts from a file, several at a time.

    The answers are JSON Lines. Exit status: 0 all answered, 1 some failed, 2 usage or
    configuration, 3 stopped by a refusal or a quota, 7 cost limit, 130 Ctrl+C.
    """
    arguments = locals()
    start_log(arguments)
    token = CancelToken()
    with interrupts(token):
        try:
            flags["role"] = role_of(role, var)
            return batching.run(batching.wanted(arguments), flags, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, ())
