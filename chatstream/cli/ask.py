"""`chatstream ask`: one question, one answer."""

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
    Encoding,
    File,
    Json,
    Log,
    NoStdin,
    Plain,
    SaveCode,
    SaveImages,
    copying_in,
    options_in,
    start_log,
    takes,
)
from chatstream.engine.client import with_system
from chatstream.engine.pipeline import Question
from chatstream.engine.resolve import resolve
from chatstream.engine.run import Run
from chatstream.messages import Message
from chatstream.terminal.answering import Answering
from chatstream.terminal.prompt import compose
from chatstream.text import check_encoding


@takes(*ALL)
def ask(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question, or - for standard input. Piped input is added to it.",
        ),
    ] = None,
    file: File = None,
    no_stdin: NoStdin = False,
    encoding: Encoding = None,
    as_json: Json = False,
    plain: Plain = False,
    copy: Copy = False,
    copy_code: CopyCode = None,
    copy_to: CopyTo = None,
    save_code: SaveCode = None,
    save_images: SaveImages = None,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Ask a question and show the answer as it arrives.

    Exit status: 0 the answer is whole, 1 it failed, 2 usage or configuration,
    3 refused by the server, 4 timeout or stall, 5 cut off, 130 Ctrl+C.
    """
    arguments = locals()
    start_log(arguments)
    answering = Answering(arguments, flags)

    def begin() -> Run:
        resolved = resolve({**flags, "options": options_in(flags["options"])}, profile=profile)
        answering.use(resolved, partial(copying_in, arguments))
        if encoding is not None:
            check_encoding(encoding)
        question = compose(
            prompt, file or (), answering.token, encoding=encoding, use_stdin=not no_stdin
        )
        messages = with_system([Message("user", question)], resolved)
        return answering.begin(resolved, Question(messages=messages))

    return answering.show(begin)
