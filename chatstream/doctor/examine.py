"""Asking the server that is examined: the same question twice, over one connection.

A failure of the server is part of what is found. What keeps the question from being asked at all
is raised.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from chatstream.bench.measure import Taking, sample_of
from chatstream.bench.result import Arm
from chatstream.bench.source import Source
from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.doctor.diagnosis import Case, Exchange, is_worth_repeating
from chatstream.engine.measuring import Measuring
from chatstream.engine.pipeline import first_token
from chatstream.engine.services import awaited, model_of, provider_of
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.escape import clean
from chatstream.flow import close
from chatstream.messages import ChatRequest, Message
from chatstream.providers import find
from chatstream.redact import mask_address, redact
from chatstream.terminal import stdout
from chatstream.terminal.present import tell
from chatstream.wording import counted, excerpt

QUESTION = "Write about 80 words on why rivers bend. Begin at once, without a title."
"""About 100 tokens: enough to see a pace, and a whole answer in a few seconds."""

MAX_TOKENS = 256
"""For a model that thinks first, and for one that does not stop."""


class Asking(NamedTuple):
    """What the server is asked, and whether the user sees the progress."""

    prompt: str = QUESTION
    max_tokens: int = MAX_TOKENS
    is_quiet: bool = True

    def notify(self, line: str) -> None:
        """A line for the user, on standard error."""
        if not self.is_quiet:
            lines = [clean(redact(line))]
            if os.isatty(2):
                lines = stdout.wrapped(lines[0], stdout.columns(2))
            print("\n".join(lines), file=sys.stderr, flush=True)


QUIETLY = Asking()


def examine(settings: Settings, token: CancelToken, asking: Asking = QUIETLY) -> Case:
    """Ask twice over one connection. Raises where nothing can be asked at all."""
    arm, address = _arm(settings, token)
    limit = first_token(settings, find(arm.provider))
    asking.notify(f"Asking {arm.model} ({address}): {excerpt(asking.prompt, 60)!r}")
    asking.notify(
        f"Two requests of at most {asking.max_tokens} tokens, with "
        + (f"up to {limit:g} s for each first token." if limit else "no time limit.")
    )
    with Measuring({arm.name: settings}) as wires:
        source = wires.source(arm)
        cold = _ask(wires, source, arm, 1, settings, token, asking)
        if not is_worth_repeating(cold):
            return Case(cold)
        return Case(cold, _ask(wires, source, arm, 2, settings, token, asking))


def _arm(settings: Settings, token: CancelToken) -> tuple[Arm, str]:
    """The provider that is asked, the model and the address.

    A server that does not list its models is asked for one by a name that servers with only one
    model ignore; any other failure belongs to the diagnosis.
    """
    provider = awaited(provider_of(settings, token, tell))
    try:
        name = provider.endpoint.name
        model = settings.model or awaited(model_of(provider, find(name), settings, token))
    except (ConfigError, UsageError):
        raise
    except ChatstreamError:
        token.check()
        model = "default"
    finally:
        provider.close()
    address = mask_address(provider.endpoint.base_url) or name
    return Arm(name=model, provider=name, model=model), address


def _ask(
    wires: Measuring,
    source: Source,
    arm: Arm,
    number: int,
    settings: Settings,
    token: CancelToken,
    asking: Asking,
) -> Exchange:
    """One request, from its first byte to its end."""
    asking.notify(f"Sending request {number} of 2.")
    began = monotonic()
    request = ChatRequest(
        arm.model,
        (Message("user", f"{os.urandom(6).hex()} {asking.prompt}"),),  # no prefix is in a cache
        temperature=settings.temperature,
        max_tokens=asking.max_tokens,
        options=settings.options,
    )
    taking, failure = Taking(), None
    events = source.open(request, token, taking.raw, taking.answer)
    try:
        for arrival in events:
            if not arrival.events and not source.news:
                wires.wait()
    except ChatstreamError as error:
        failure = error
    finally:
        close(events)
    ended = monotonic()
    sample = sample_of(
        taking, source.trace, number=number, arm=arm.name, cold=number == 1, failure=failure
    )
    if sample.message is not None:
        sample.message = redact(sample.message)  # before it is shortened
    if not token.cancelled:
        came = counted(max(sample.tokens or 0, sample.deltas), "token")
        asking.notify(f"Request {number} of 2: {came} in {ended - began:.1f} s")
    return Exchange(sample, source.trace, ended, failure.hint if failure else None)
