"""`chatstream resume`: go on with an answer that broke off."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.config import Settings
from chatstream.cli.interrupt import interrupts
from chatstream.cli.options import (
    BaseUrl,
    Buffer,
    Coalesce,
    ConnectTimeout,
    Debug,
    Fallback,
    FirstTokenTimeout,
    IdleTimeout,
    Json,
    Model,
    NoJournal,
    OnDrop,
    Plain,
    Profile,
    Provider,
    Reasoning,
    Retries,
    Stats,
    Strategy,
    Timeout,
    settings_in,
)
from chatstream.cli.output import choose_sink, is_resettable, is_screen, show, show_debug, tidy
from chatstream.cli.resuming import go_on, settings_of, unfinished
from chatstream.cli.session import failed
from chatstream.errors import ChatstreamError


def resume(
    run: Annotated[
        str | None,
        typer.Argument(help="The run, or the beginning of its id; the last unfinished one."),
    ] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    as_json: Json = False,
    plain: Plain = False,
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
    debug: Debug = False,
) -> int:
    """Show an answer that broke off, and go on with it.

    The same server is asked unless another one is named, by the means that it offers. The
    whole answer goes to standard output: what was there, and what is new.
    Exit status: as `ask`.
    """
    flags = {**settings_in(locals()), "profile": profile}
    if debug:
        show_debug()
    token = CancelToken()
    with interrupts(token):
        settings = Settings()
        try:
            record = unfinished(run)
            settings = settings_of(record, flags).settings
            events = go_on(
                record,
                flags,
                token,
                resettable=is_resettable(as_json=as_json),
                on_screen=is_screen(as_json=as_json, plain=plain),
            )
        except ChatstreamError as error:
            events = failed(error, token)
        status = show(events, choose_sink(settings, as_json=as_json, plain=plain), token)
        if not token.cancelled:
            tidy(settings)
        return status
