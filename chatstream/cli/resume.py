"""`chatstream resume`: continue an answer that broke off."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from functools import partial
from typing import Annotated

import typer

from chatstream.cli.options import (
    Accessible,
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
    Fallback,
    FirstTokenTimeout,
    Header,
    IdleTimeout,
    Json,
    Log,
    Model,
    NoJournal,
    Notify,
    OnDrop,
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
    Theme,
    Timeout,
    Wrap,
    copying_in,
    settings_in,
    start_log,
)
from chatstream.engine.resume import continuation, unfinished
from chatstream.engine.run import Run
from chatstream.terminal.answering import Answering


def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            show_default="the last unfinished run",
            help="The id of the run, or its first characters.",
        ),
    ] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    as_json: Json = False,
    plain: Plain = False,
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
    """Show an answer that broke off, and continue it.

    The same server and model are asked unless you name others. The whole answer is printed:
    what had arrived, and what is new. The exit status is that of `ask`.
    """
    arguments = locals()
    flags = {**settings_in(arguments), "profile": profile}
    start_log(arguments)
    answering = Answering(arguments, flags)

    def begin() -> Run:
        resolved, question = continuation(unfinished(run), flags)
        answering.use(resolved, partial(copying_in, arguments))
        return answering.begin(resolved, question)

    return answering.show(begin)
