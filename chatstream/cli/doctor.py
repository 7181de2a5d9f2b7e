"""`chatstream doctor`: why a server does not stream; on its own, what `checkup` finds."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import sys
from typing import Annotated, Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.numbers import like
from chatstream.cli.options import Debug, Log, start_log, takes
from chatstream.doctor.examine import MAX_TOKENS
from chatstream.doctor.findings import show
from chatstream.doctor.request import findings
from chatstream.errors import ChatstreamError
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts

_SERVER = ("provider", "model", "base_url", "profile", "headers")
_LIMITS = ("connect_timeout", "first_token_timeout", "idle_timeout", "timeout")


@takes(*_SERVER, *_LIMITS)
def doctor(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server to examine, as with --base-url."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="The question to ask.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            parser=like("max_tokens"),
            metavar="N",
            show_default=str(MAX_TOKENS),
            help="Limit each answer to N tokens.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines.")] = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Check this installation, or find out why a server does not stream.

    On its own it checks the configuration, the keys, the terminal, and which servers can be
    reached. With a server (URL, -p, -m, --prompt or --max-tokens) it asks that one twice and
    examines headers and arrival times. The exit status is 1 if there is a problem.
    """
    start_log(locals())
    token = CancelToken()
    with interrupts(token):
        try:
            found = findings(
                flags,
                profile,
                token,
                url=url,
                prompt=prompt,
                max_tokens=max_tokens,
                is_quiet=as_json,
            )
            return show(found, as_json=as_json)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())
