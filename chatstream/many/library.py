"""`chatstream.compare`: the events of several answers, for callers of the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.engine.client import Client
from chatstream.engine.options import checked
from chatstream.engine.outcome import events_of
from chatstream.engine.place import START
from chatstream.engine.prompts import Prompt, type_of
from chatstream.engine.run import Run
from chatstream.engine.spending import Budget
from chatstream.engine.whom import with_model
from chatstream.errors import UsageError
from chatstream.events import Event
from chatstream.flow import events_in
from chatstream.many import picking
from chatstream.many.compare import Comparison, check_count, labelled


def events(
    prompt: Prompt,
    models: Sequence[str],
    token: CancelToken | None,
    streaming: bool | None,
    options: Mapping[str, Any],
) -> Iterator[Event]:
    """What `chatstream.compare` yields. Never raises."""
    with Client() as client:
        try:
            check_models(models)
            given = checked(options)

            def begin(model: str, budget: Budget) -> Run:
                its = with_model(given, model)
                return client.run_at(START, prompt, its, token, streaming, budget=budget)

            named = zip(labelled(models), models, strict=True)
            comparison = Comparison({label: partial(begin, model) for label, model in named})
        except Exception as error:
            yield from events_of(partial(_fail, error))
            return
        try:
            yield from events_in(comparison.arrivals())
        finally:
            comparison.close()
            if (preferred := comparison.preferred()) is not None:
                picking.keep(preferred, [it.run.id for it in comparison.answers])


def check_models(models: object) -> None:
    """Raises `UsageError` if these are not the names of models to be compared."""
    if isinstance(models, str) or not isinstance(models, Sequence):
        raise UsageError(f"models cannot be {type_of(models)}", hint='["qwen3:4b", "llama3.2"]')
    for it in models:
        if not isinstance(it, str):
            raise UsageError(f"the name of a model cannot be {type_of(it)}")
        if not it.strip():
            raise UsageError("the name of a model is empty")
    check_count(len(models))


def _fail(error: Exception) -> Run:
    raise error
