"""`chatstream resume`: continue an answer that broke off."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cancel import CancelToken
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
from chatstream.engine.pipeline import failed
from chatstream.engine.resume import go_on, settings_of, unfinished
from chatstream.engine.settings import without_configuration
from chatstream.errors import ChatstreamError
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import (
    check_look,
    is_resettable,
    is_screen,
    present,
    tidy,
)


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
    token = CancelToken()
    with interrupts(token):
        settings, copying = without_configuration(flags), None
        try:
            record = unfinished(run)
            resolved = settings_of(record, flags)
            check_look(resolved.settings, as_json=as_json, plain=plain, render=render)
            settings = resolved.settings
            copying = copying_in(arguments)
            events = go_on(
                record,
                flags,
                token,
                resettable=is_resettable(as_json=as_json),
                on_screen=is_screen(settings, as_json=as_json, plain=plain),
                keeps_images=save_images is not None,
            )
        except ChatstreamError as error:
            events = failed(error, token)
        status = present(events, settings, token, as_json=as_json, plain=plain, copying=copying)
        if not token.cancelled:
            tidy(settings)
        return status
