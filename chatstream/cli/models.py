"""`chatstream models`: what the server offers."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.options import (
    Debug,
    Json,
    Log,
    start_log,
    takes,
)
from chatstream.engine import model_list
from chatstream.engine.resolve import resolve
from chatstream.engine.services import awaited, model_names
from chatstream.errors import ChatstreamError
from chatstream.escape import clean
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import tell


@takes("provider", "base_url", "profile", "headers")
def models(
    as_json: Json = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """List the models that the server offers, one per line."""
    start_log(locals())
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
