"""The probabilities of tokens, as servers of the OpenAI dialect send them."""

from __future__ import annotations

from chatstream.events import Event
from chatstream.flow import Logprobs
from chatstream.providers.lenient import list_of, object_of


def logprobs_in(value: object, t: float) -> list[Event]:
    """`{"content": [{"token": "Hi", "logprob": -0.1}, …]}`; what is no number is passed over."""
    told = [object_of(it).get("logprob") for it in list_of(object_of(value).get("content"))]
    known = [it for it in told if isinstance(it, float | int) and not isinstance(it, bool)]
    return [Logprobs(min(float(sum(known)), 0.0), len(known), t=t)] if known else []
