"""The prices of models, as a table or as JSON, and their update."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.engine import prices
from chatstream.engine.prices import Price
from chatstream.engine.resolve import resolve
from chatstream.engine.services import awaited
from chatstream.errors import ChatstreamError, UsageError
from chatstream.escape import clean
from chatstream.sinks.output import put
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.wording import counted


def list_prices(word: str | None, *, as_json: bool) -> int:
    """Print each price; returns the exit status."""
    try:
        resolved = resolve({})
        exits.warn(resolved.warnings)
        own = prices.configured(resolved.settings)
        kept = prices.known()
        listed = {**(kept.models if kept else {}), **own}
        if not listed:
            raise UsageError("no prices are known", hint="`chatstream prices update` fetches them")
        found = {name: it for name, it in listed.items() if (word or "").lower() in name.lower()}
        if not found:
            raise UsageError(f"no model with a known price has {word!r} in its name")
        width = max(map(len, found))
        for name in sorted(found, key=lambda it: (it not in own, it)):
            source = "configuration" if name in own or kept is None else kept.date
            put(
                _json(name, found[name], source)
                if as_json
                else _row(name, found[name], width, source)
            )
    except BrokenPipeError:
        return 0
    except ChatstreamError as error:
        return exits.report(error, ["--json"] if as_json else [])
    return 0


def update(flags: Mapping[str, Any], *, as_json: bool) -> int:
    """Fetch the prices and store them; returns the exit status."""
    token = CancelToken()
    with interrupts(token):
        try:
            resolved = resolve(flags)
            exits.warn(resolved.warnings)
            kept = awaited(prices.update(resolved.settings, flags.get("base_url"), token))
        except ChatstreamError as error:
            return exits.report(token.reason or error, ["--json"] if as_json else [])
    if as_json:
        put(json.dumps({"date": kept.date, "models": len(kept.models)}).encode() + b"\n")
    else:
        exits.note(f"kept the prices of {counted(len(kept.models), 'model', commas=True)}")
    return 0


def _json(name: str, price: Price, source: str) -> bytes:
    fields = {"model": name, "input": price.input, "output": price.output, "cached": price.cached}
    return json.dumps({**fields, "below": price.below, "source": source}).encode() + b"\n"


def _row(name: str, price: Price, width: int, source: str) -> bytes:
    costs = f"${price.input:<9.6g} in  ${price.output:<9.6g} out"
    text = f"{name:{width}}  {costs}  {source}"
    return (clean(text.rstrip()) + "\n").encode("utf-8", "replace")
