"""`chatstream chat`: a conversation on a terminal, or one turn for each line of a pipe."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.chat.starting import beginning, start
from chatstream.cli.options import (
    ALL,
    At,
    Debug,
    Encoding,
    File,
    ImageFile,
    Last,
    Log,
    Name,
    RoleName,
    Var,
    role_of,
    start_log,
    takes,
)


@takes(*ALL)
def chat(
    last: Last = False,
    at: At = None,
    name: Name = None,
    role: RoleName = None,
    var: Var = None,
    file: File = None,
    image: ImageFile = None,
    encoding: Encoding = None,
    vi: Annotated[bool, typer.Option("--vi", help="Edit the lines with the keys of vi.")] = False,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Hold a conversation. /help lists its commands, and Ctrl+D leaves.

    If it gets too long for the model: /context, /trim, /compact.

    Nothing is lost: `chatstream chat -c` continues the newest conversation, even after `kill -9`.
    /continue completes an answer that was cut off.

    Without a terminal each line of standard input is a question, and the exit status is that of the
    last failure.
    """
    start_log(locals())
    return start(
        {**flags, "vi": vi or None},
        beginning(last=last, at=at, name=name),
        role=role_of(role, var),
        files=file or (),
        images=image or (),
        encoding=encoding,
    )
