"""`chatstream models`: what the server offers."""

from __future__ import annotations

import json
import sys

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.options import (
    BaseUrl,
    Debug,
    Header,
    Json,
    Log,
    Profile,
    Provider,
    settings_in,
    start_log,
)
from chatstream.engine import model_list
from chatstream.engine.resolve import resolve
from chatstream.engine.services import awaited, model_names
from chatstream.errors import ChatstreamError
from chatstream.sinks.escape import clean
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import tell


def models(
    provider: Provider = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    header: Header = None,
    as_json: Json = False,
    debug: Debug = False,
    log: Log = None,
) -> int:
    """List the models that the server offers, one per line."""
    arguments = locals()
    flags = settings_in(arguments)
    start_log(arguments)
    token = CancelToken()
    with interrupts(token):
        try:
            resolved = resolve(flags, profile=profile)
            exits.warn(resolved.warnings)
            names = awaited(model_names(resolved.settings, token, tell))
            model_list.remember(resolved.settings, names)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())
    for name in names:
        typer.echo(json.dumps({"model": name}) if as_json else clean(name))
    return 0
