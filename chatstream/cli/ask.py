"""`chatstream ask`: one question, one answer."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from functools import partial
from typing import Annotated

import typer

from chatstream.cli.numbers import like
from chatstream.cli.options import (
    Accessible,
    At,
    BaseUrl,
    Buffer,
    Coalesce,
    CodeTheme,
    Color,
    ConnectTimeout,
    Copy,
    CopyCode,
    CopyTo,
    Debug,
    Edit,
    Encoding,
    Fallback,
    File,
    FirstTokenTimeout,
    Header,
    IdleTimeout,
    Json,
    Last,
    Log,
    Model,
    Name,
    NoJournal,
    NoStdin,
    Notify,
    OnDrop,
    Option,
    Plain,
    Profile,
    Provider,
    Reasoning,
    Render,
    Retries,
    SaveCode,
    SaveImages,
    Stats,
    Strategy,
    Stream,
    Temperature,
    Theme,
    Timeout,
    Wrap,
    copying_in,
    options_in,
    settings_in,
    start_log,
)
from chatstream.engine.place import follow_of, place_of, question_at, resolved_at
from chatstream.engine.run import Run
from chatstream.messages import Message
from chatstream.terminal.answering import Answering
from chatstream.terminal.prompt import compose
from chatstream.text import check_encoding


def ask(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="The question, or - for standard input. Piped input is added to it.",
        ),
    ] = None,
    last: Last = False,
    at: At = None,
    edit: Edit = None,
    name: Name = None,
    file: File = None,
    no_stdin: NoStdin = False,
    encoding: Encoding = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="TEXT", help="The system prompt.")
    ] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    as_json: Json = False,
    plain: Plain = False,
    stream: Stream = None,
    temperature: Temperature = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            parser=like("max_tokens"),
            metavar="N",
            help="Limit the answer to N tokens.",
        ),
    ] = None,
    option: Option = None,
    header: Header = None,
    retries: Retries = None,
    connect_timeout: ConnectTimeout = None,
    first_token_timeout: FirstTokenTimeout = None,
    idle_timeout: IdleTimeout = None,
    timeout: Timeout = None,
    on_drop: OnDrop = None,
    fallback: Fallback = None,
    strategy: Strategy = None,
    no_journal: NoJournal = False,
    buffer: Buffer = None,
    coalesce: Coalesce = None,
    reasoning: Reasoning = None,
    stats: Stats = None,
    render: Render = None,
    color: Color = None,
    theme: Theme = None,
    code_theme: CodeTheme = None,
    wrap: Wrap = None,
    accessible: Accessible = None,
    notify: Notify = None,
    copy: Copy = False,
    copy_code: CopyCode = None,
    copy_to: CopyTo = None,
    save_code: SaveCode = None,
    save_images: SaveImages = None,
    debug: Debug = False,
    log: Log = None,
) -> int:
    """Ask a question and show the answer as it arrives.

    Exit status: 0 the answer is whole, 1 it failed, 2 usage or configuration,
    3 refused by the server, 4 timeout or stall, 5 cut off, 130 Ctrl+C.
    """
    arguments = locals()
    flags = settings_in(arguments)
    start_log(arguments)
    answering = Answering(arguments, flags)

    def begin() -> Run:
        place = place_of(last=last, at=at, edit=edit, name=name)
        resolved = resolved_at(place, {**flags, "options": options_in(option), "profile": profile})
        answering.use(resolved, partial(copying_in, arguments))
        if encoding is not None:
            check_encoding(encoding)
        question = compose(
            prompt, file or (), answering.token, encoding=encoding, use_stdin=not no_stdin
        )
        return answering.begin(
            resolved,
            question_at(place, resolved, [Message("user", question)]),
            follow=follow_of(place, resolved),
        )

    return answering.show(begin)
