"""`chatstream replay`: a recorded run, shown again."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cancel import CancelToken
from chatstream.cli import exits
from chatstream.cli.config import resolve
from chatstream.cli.interrupt import interrupts
from chatstream.cli.options import Json, Plain, Reasoning, Stats
from chatstream.cli.output import choose_sink, show
from chatstream.cli.playing import play
from chatstream.errors import ChatstreamError, ConfigError, UsageError


def replay(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN|-",
            help="A file, a run (its id or the beginning of it), or - for standard input.",
        ),
    ],
    speed: Annotated[
        float, typer.Option("--speed", metavar="N", help="So many times as fast as it was.")
    ] = 1.0,
    instant: Annotated[bool, typer.Option("--instant", help="All at once.")] = False,
    as_json: Json = False,
    plain: Plain = False,
    reasoning: Reasoning = None,
    stats: Stats = None,
) -> int:
    """Play a run again: its journal, or what `--json` has written, as it came.

    Exit status: that of the run, 5 when the recording ends before it,
    1 when it is damaged, 2 when there is none, 130 Ctrl+C.
    """
    token = CancelToken()
    with interrupts(token):
        try:
            if not speed > 0:
                raise UsageError(f"--speed {speed:g} is not more than 0")
            settings = resolve({"reasoning": reasoning, "stats": stats}).settings
            sink = choose_sink(settings, as_json=as_json, plain=plain)
            return show(play(source, None if instant else speed, token), sink, token)
        except (UsageError, ConfigError) as error:  # nothing was played
            return exits.report(error, ("--json",) if as_json else ())
        except ChatstreamError as error:
            return exits.report(error, ())
