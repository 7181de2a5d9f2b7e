"""The output of `chatstream models`: the list, the details of one model, and a download.

On a terminal a download draws one line. Elsewhere, and for screen readers, each step is a line, and
so is each tenth of the download.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chatstream.cancel import CancelToken
from chatstream.engine import model_list, models
from chatstream.engine.models import ModelDetails
from chatstream.engine.resolve import resolve
from chatstream.engine.services import awaited, model_names
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, Truncated, UsageError
from chatstream.escape import clean
from chatstream.events import Progress
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.present import tell
from chatstream.terminal.progress import bar, can_draw
from chatstream.wording import counted, sized

_TENTHS = 10
_CONTINUES = "the server keeps what it has downloaded; the next download continues from there"


def list_models(flags: Mapping[str, Any], profile: str | None, *, as_json: bool) -> int:
    """Print the names of the server's models; returns the exit status."""

    def work(settings: Settings, token: CancelToken) -> None:
        names = awaited(model_names(settings, token, tell))
        model_list.remember(settings, names)
        for name in names:
            print(json.dumps({"model": name}) if as_json else clean(name))

    return _done(flags, profile, work, as_json=as_json)


def show_model(name: str, flags: Mapping[str, Any], profile: str | None, *, as_json: bool) -> int:
    """Print the details of a model; returns the exit status."""

    def work(settings: Settings, token: CancelToken) -> None:
        found = awaited(models.details(settings, token, tell))
        if as_json:
            print(msgspec.json.encode(found).decode())
        else:
            for what, value in _lines(found):
                print(f"{what:14}{clean(value)}")

    return _done(_with(name, flags), profile, work, as_json=as_json)


def pull_model(name: str, flags: Mapping[str, Any], profile: str | None) -> int:
    """Have the server download a model and show its progress; returns the exit status."""
    return _done(_with(name, flags), profile, pulled)


def pulled(settings: Settings, token: CancelToken) -> None:
    """Have the server download the model of these settings, and show its progress.

    Raises a `ChatstreamError`.
    """
    draws = can_draw() and not settings.accessible
    lines = Lines()
    try:
        with bar(quiet=not draws) as draw:
            for arrival in models.pull(settings, token):
                for event in arrival.events:
                    if isinstance(event, Progress):
                        (draw if draws else lines.tell)(event)
    except ChatstreamError as error:
        if token.reason is not None or isinstance(error, Truncated):
            (token.reason or error).hint = _CONTINUES
        raise
    exits.note(f"{settings.model} is ready")


def _with(name: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    if not name.strip():
        raise UsageError("the name of the model is empty", hint="give its name, such as qwen3:4b")
    return {**flags, "model": name}


def _done(
    flags: Mapping[str, Any],
    profile: str | None,
    work: Callable[[Settings, CancelToken], None],
    *,
    as_json: bool = False,
) -> int:
    """Do this with the settings that apply; returns the exit status."""
    token = CancelToken()
    with interrupts(token):
        try:
            resolved = resolve(flags, profile=profile)
            exits.warn(resolved.warnings)
            work(resolved.settings, token)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())
    return 0


def _lines(found: ModelDetails) -> list[tuple[str, str]]:
    context = found.context_length
    rows = [
        ("model", found.model),
        ("context", counted(context, "token", commas=True) if context else None),
        ("size", sized(found.size) if found.size else None),
        ("parameters", found.parameters),
        ("quantization", found.quantization),
        ("family", found.family),
        ("capabilities", ", ".join(found.capabilities)),
    ]
    return [(what, value) for what, value in rows if value]


class Lines:
    """The progress in words, where no bar is drawn."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def tell(self, event: Progress) -> None:
        """Print the step that begins, or the next tenth of one."""
        tenths = int((event.percentage or 0) // _TENTHS)
        if self._told.get(event.stage, -1) < tenths:
            self._told[event.stage] = tenths
            how_far = f": {event.message} ({_TENTHS * tenths} %)" if event.message else ""
            exits.note(f"{event.stage}{how_far}")
