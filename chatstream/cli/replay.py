"""`chatstream replay`: a recorded run, shown again."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.numbers import number
from chatstream.cli.options import (
    LOOK,
    Copy,
    CopyCode,
    CopyTo,
    Json,
    Plain,
    SaveCode,
    SaveImages,
    copying_in,
    takes,
)
from chatstream.engine.replay import ended, play, with_extras
from chatstream.engine.resolve import resolve
from chatstream.errors import ChatstreamError
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import check_look
from chatstream.terminal.present import present


@takes(*LOOK)
def replay(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN|-",
            help="A file, the id of a run (or its first characters), or - for standard input.",
        ),
    ],
    speed: Annotated[
        float,
        typer.Option(
            "--speed",
            parser=number(0.001),
            metavar="N",
            help="Play at N times the original speed.",
        ),
    ] = 1.0,
    instant: Annotated[bool, typer.Option("--instant", help="Show everything at once.")] = False,
    as_json: Json = False,
    plain: Plain = False,
    copy: Copy = False,
    copy_code: CopyCode = None,
    copy_to: CopyTo = None,
    save_code: SaveCode = None,
    save_images: SaveImages = None,
    **flags: Any,
) -> int:
    """Replay a run at its original pace, from its record or saved `--json` output.

    Exit status: that of the run; 1 the recording is damaged, 2 there is no such run,
    5 the recording ends before the run does, 130 Ctrl+C.
    """
    arguments = locals()
    token = CancelToken()
    with interrupts(token):
        try:
            settings = resolve(flags).settings
            check_look(settings, as_json=as_json, plain=plain, render=flags["render"])
            copying = copying_in(arguments)
            events = play(source, None if instant else speed, token)
            events = with_extras(events, settings, token)
            if as_json:
                events = ended(events, token)
            return present(events, settings, token, as_json=as_json, plain=plain, copying=copying)
        except ChatstreamError as error:
            return exits.report(error, ("--json",) if as_json else ())
