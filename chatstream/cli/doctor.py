"""`chatstream doctor`: why a stream does not stream."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import contextlib
import os
import sys
from typing import Annotated

import msgspec
import typer

from chatstream.bench.doctor import Case, Exchange, Finding, diagnose, is_worth_repeating
from chatstream.bench.measure import Taking, sample_of
from chatstream.bench.result import Arm
from chatstream.bench.source import Source
from chatstream.cancel import CancelToken
from chatstream.cli import exits
from chatstream.cli.choose import awaited, model_of, provider_of
from chatstream.cli.config import Settings, resolve
from chatstream.cli.interrupt import interrupts
from chatstream.cli.measuring import Measuring
from chatstream.cli.options import (
    BaseUrl,
    ConnectTimeout,
    Debug,
    FirstTokenTimeout,
    IdleTimeout,
    Model,
    Profile,
    Provider,
    Timeout,
    settings_in,
)
from chatstream.cli.output import show_debug
from chatstream.clock import monotonic
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.flow import Pulse, close
from chatstream.messages import ChatRequest, Message
from chatstream.providers import find
from chatstream.redact import redact
from chatstream.sinks.escape import clean
from chatstream.sinks.output import Output

QUESTION = "Write about 80 words on why rivers bend. Begin at once, without a title."
"""About 100 tokens: enough to see a pace, and a whole answer in a few seconds."""

MAX_TOKENS = 256
"""For a model that thinks first, and for one that does not stop."""

MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN_MARKS = {"ok": "+", "note": "!", "problem": "x"}


def doctor(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="The address of the server, as --base-url.")
    ] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    connect_timeout: ConnectTimeout = None,
    first_token_timeout: FirstTokenTimeout = None,
    idle_timeout: IdleTimeout = None,
    timeout: Timeout = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON Lines.")
    ] = False,
    debug: Debug = False,
) -> int:
    """Find out why a stream does not stream.

    It asks the server twice and looks at the headers and at the time of each token. The exit
    status is 1 if there is a problem.
    """
    flags = settings_in(locals())
    if debug:
        show_debug()
    token = CancelToken()
    with interrupts(token):
        try:
            if url is not None and base_url is not None:
                raise UsageError("the address is given twice, as URL and as --base-url")
            flags["base_url"] = base_url if url is None else url
            settings = resolve(flags, profile=profile).settings
            findings = [_redacted(it) for it in diagnose(examine(settings, token))]
            token.check()
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())
        encoding = "utf-8" if as_json else sys.stdout.encoding
        lines = map(_json, findings) if as_json else (_text(it, encoding) for it in findings)
        with contextlib.suppress(BrokenPipeError):  # the reader has seen enough
            Output(1).write("".join(lines).encode(encoding, "replace"))
    return 1 if any(it.severity == "problem" for it in findings) else 0


def examine(settings: Settings, token: CancelToken) -> Case:
    """Ask twice over one connection. Raises where nothing can be asked at all."""
    arm = _arm(settings, token)
    with Measuring({arm.name: settings}) as wires:
        source = wires.source(arm)
        cold = _ask(wires, source, arm, 1, settings, token)
        if not is_worth_repeating(cold):
            return Case(cold)
        return Case(cold, _ask(wires, source, arm, 2, settings, token))


def _arm(settings: Settings, token: CancelToken) -> Arm:
    """Who is asked, and for which model.

    A server that does not tell its models is asked for one by a name that those who have only
    one do not look at; how it fails otherwise belongs to the diagnosis.
    """
    provider = awaited(provider_of(settings, token))
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
    return Arm(name=model, provider=name, model=model)


def _ask(
    wires: Measuring,
    source: Source,
    arm: Arm,
    number: int,
    settings: Settings,
    token: CancelToken,
) -> Exchange:
    """One request, from its first byte to its end."""
    request = ChatRequest(
        arm.model,
        (Message("user", f"{os.urandom(6).hex()} {QUESTION}"),),  # no prefix is in a cache
        temperature=settings.temperature,
        max_tokens=MAX_TOKENS,
        options=settings.options,
    )
    taking, failure = Taking(), None
    events = source.open(request, token, taking.raw, taking.answer)
    try:
        for event in events:
            if type(event) is Pulse and not source.news:
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
    return Exchange(sample, source.trace, ended, failure.hint if failure else None)


def _redacted(finding: Finding) -> Finding:
    todo = redact(finding.todo) if finding.todo else finding.todo
    return msgspec.structs.replace(finding, what=redact(finding.what), todo=todo)


def _json(finding: Finding) -> str:
    return msgspec.json.encode(finding).decode() + "\n"


def _text(finding: Finding, encoding: str) -> str:
    """One line, and one more for what to do; all that came from afar made safe."""
    marks = MARKS
    try:
        "".join(marks.values()).encode(encoding)
    except UnicodeEncodeError:
        marks = PLAIN_MARKS
    todo = f"  {clean(finding.todo)}\n" if finding.todo else ""
    return f"{marks[finding.severity]} {clean(finding.what)}\n{todo}"
