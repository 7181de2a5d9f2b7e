"""The run of one request of a batch: the settings of the batch and those of the request.

Options of the command take precedence over a line, and a line over the configuration. The system
prompt is not added to a line that has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine import pipeline
from chatstream.engine.pool import Pool
from chatstream.engine.prompts import in_role
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question, Run
from chatstream.engine.services import at_model
from chatstream.many.requests import Request
from chatstream.messages import Message
from chatstream.store.journal import RequestRecord

_COMPARED = ("model", "temperature", "max_tokens", "effort", "stop_when")


class Asker:
    """Begins the runs of one batch, for several threads at once."""

    def __init__(self, resolved: Resolved, pool: Pool) -> None:
        settings = replace(resolved.settings, buffer="none", coalesce=False)  # nobody watches
        self._resolved = replace(resolved, settings=settings)
        self._pool = pool
        self._given = {name for name, it in resolved.origins.items() if it.startswith("-")}

    def __call__(self, request: Request, spent: float, token: CancelToken) -> Run:
        """The run of this request, `spent` in dollars. Raises `ConfigError`, `UsageError`."""
        resolved, messages = self._asked(request)
        return pipeline.run(resolved, Question(messages=messages, spent=spent), self._pool, token)

    def differs(self, request: Request, record: RequestRecord) -> str | None:
        """The first option that would be another one now than in this record of the request."""
        resolved, messages = self._asked(request)
        if _systems(messages) != _systems(record.messages):
            return "system"
        settings = resolved.settings
        compared = _COMPARED if settings.model is not None else _COMPARED[1:]  # others choose it
        return next((it for it in compared if getattr(settings, it) != getattr(record, it)), None)

    def _asked(self, request: Request) -> tuple[Resolved, tuple[Message, ...]]:
        own = {name: it for name, it in request.settings.items() if name not in self._given}
        resolved = self._with(request.settings, own) if request.settings else self._resolved
        messages = in_role(list(request.messages), resolved.role)
        system = own.get("system", resolved.settings.system)
        if system and not any(it.role == "system" for it in messages):
            messages.insert(0, Message("system", system))
        return resolved, tuple(messages)

    def _with(self, all_own: dict[str, Any], own: dict[str, Any]) -> Resolved:
        settings = self._resolved.settings
        if (model := own.pop("model", None)) is not None:
            settings = replace(at_model(settings, model), strategy=None)
        if options := all_own.get("options"):
            given = "options" in self._given
            both = {**options, **settings.options} if given else {**settings.options, **options}
            own["options"] = both
        return replace(self._resolved, settings=replace(settings, **own))


def _systems(messages: Iterable[Message]) -> list[str]:
    return [it.content for it in messages if it.role == "system"]
