"""`chatstream compare`: one question to several models, side by side."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.compare_options import (
    TAKEN,
    Diff,
    Judge,
    LayoutName,
    Models,
    Pick,
    Times,
)
from chatstream.cli.options import (
    At,
    Debug,
    Edit,
    Encoding,
    File,
    ImageFile,
    Json,
    Last,
    Log,
    Name,
    NoStdin,
    Plain,
    RoleName,
    Var,
    role_of,
    start_log,
    takes,
)
from chatstream.engine.place import place_of
from chatstream.engine.resolve import Resolved
from chatstream.many.comparing import Wish
from chatstream.many.comparing import compare as ask_all
from chatstream.many.showing import Look
from chatstream.messages import Message
from chatstream.terminal.prompt import message_of


@takes(*TAKEN)
def compare(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question; - is standard input. Piped input is added.",
        ),
    ] = None,
    model: Models = None,
    times: Times = 1,
    layout: LayoutName = None,
    diff: Diff = False,
    judge: Judge = None,
    pick: Pick = None,
    last: Last = False,
    at: At = None,
    edit: Edit = None,
    name: Name = None,
    role: RoleName = None,
    var: Var = None,
    file: File = None,
    image: ImageFile = None,
    no_stdin: NoStdin = False,
    encoding: Encoding = None,
    as_json: Json = False,
    plain: Plain = False,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Ask several models the same question and show their answers side by side.

    Exit status: 0 all whole, 130 Ctrl+C. If all answers fail in the same way, it is the status
    of that failure; otherwise 1. --max-cost is the limit of all answers together.
    """
    start_log(locals())

    def message(resolved: Resolved, token: CancelToken) -> Message:
        return message_of(
            prompt,
            file or (),
            image or (),
            token,
            resolved,
            encoding=encoding,
            use_stdin=not no_stdin,
        )

    return ask_all(
        Wish(
            models=model or (),
            times=times,
            look=Look(as_json=as_json, plain=plain, layout=layout),
            diff=diff,
            judge=judge,
            pick=pick,
        ),
        {**flags, "role": role_of(role, var)},
        place_of(last=last, at=at, edit=edit, name=name),
        message,
    )
