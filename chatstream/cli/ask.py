"""`chatstream ask`: one question, one answer."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from functools import partial
from typing import Annotated, Any

import typer

from chatstream.cli.options import (
    ALL,
    At,
    Copy,
    CopyCode,
    CopyTo,
    Debug,
    DryRun,
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
    Quick,
    RoleName,
    SaveCode,
    SaveImages,
    ToolsFrom,
    Var,
    copying_in,
    role_of,
    start_log,
    takes,
)
from chatstream.engine.place import follow_of, place_of, question_at, resolved_at
from chatstream.engine.run import Run
from chatstream.terminal.answering import Answering
from chatstream.terminal.offering import Lack, is_possible, offer
from chatstream.terminal.prompt import message_of


@takes(*ALL)
def ask(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question; - is standard input. Piped input is added.",
        ),
    ] = None,
    last: Last = False,
    at: At = None,
    edit: Edit = None,
    name: Name = None,
    role: RoleName = None,
    var: Var = None,
    quick: Quick = None,
    file: File = None,
    image: ImageFile = None,
    no_stdin: NoStdin = False,
    encoding: Encoding = None,
    as_json: Json = False,
    plain: Plain = False,
    copy: Copy = False,
    copy_code: CopyCode = None,
    copy_to: CopyTo = None,
    save_code: SaveCode = None,
    save_images: SaveImages = None,
    dry_run: DryRun = False,
    tools_from: ToolsFrom = None,
    debug: Debug = False,
    log: Log = None,
    **flags: Any,
) -> int:
    """Ask a question and show the answer as it arrives.

    Exit status: 0 whole, 1 failed, 2 usage or configuration, 3 refused, 4 timeout
    or stall, 5 cut off, 6 a tool needs approval, 7 cost limit, 130 Ctrl+C.
    """
    arguments = locals()
    start_log(arguments)
    answering = Answering(arguments, flags)
    if quick is not None:
        from chatstream.many.quick import QuickAnswering

        answering = QuickAnswering(arguments, flags, quick)

    def begin() -> Run:
        place = place_of(last=last, at=at, edit=edit, name=name)
        resolved = resolved_at(place, {**flags, "role": role_of(role, var)})
        answering.use(resolved, partial(copying_in, arguments))
        asked = message_of(
            prompt,
            file or (),
            image or (),
            answering.token,
            resolved,
            encoding=encoding,
            use_stdin=not no_stdin,
        )
        return answering.begin(
            resolved,
            question_at(place, resolved, [asked]),
            follow=follow_of(place, resolved),
        )

    lack = Lack() if prompt and not as_json and quick is None and is_possible() else None
    status = answering.show(begin, *([lack] if lack else []))
    if lack is not None and (pulled := offer(lack, answering.settings)) is not None:
        if pulled:
            return pulled
        answering = Answering(arguments, flags)
        return answering.show(begin)
    return status
