"""`chatstream doctor`: why a server does not stream; on its own, what `checkup` finds."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import os
import sys
import textwrap
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec
import typer

from chatstream.bench.doctor import Case, Exchange, Finding, diagnose, is_worth_repeating
from chatstream.bench.layout import count
from chatstream.bench.measure import Taking, sample_of
from chatstream.bench.result import Arm
from chatstream.bench.source import Source
from chatstream.cancel import CancelToken
from chatstream.cli import exits, stdout
from chatstream.cli.choose import awaited, model_of, provider_of
from chatstream.cli.config import Settings, check_given, resolve
from chatstream.cli.interrupt import interrupts
from chatstream.cli.measuring import Measuring
from chatstream.cli.numbers import like
from chatstream.cli.options import (
    BaseUrl,
    ConnectTimeout,
    Debug,
    FirstTokenTimeout,
    Header,
    IdleTimeout,
    Log,
    Model,
    Profile,
    Provider,
    Timeout,
    settings_in,
    start_log,
)
from chatstream.cli.output import tell
from chatstream.cli.session import first_token
from chatstream.cli.text import argument
from chatstream.clock import monotonic
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.flow import Pulse, close
from chatstream.messages import ChatRequest, Message
from chatstream.providers import find
from chatstream.providers.lenient import excerpt
from chatstream.redact import mask_address, redact
from chatstream.sinks.escape import clean

QUESTION = "Write about 80 words on why rivers bend. Begin at once, without a title."
"""About 100 tokens: enough to see a pace, and a whole answer in a few seconds."""

MAX_TOKENS = 256
"""For a model that thinks first, and for one that does not stop."""

MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN_MARKS = {"ok": "+", "note": "!", "problem": "x"}


def doctor(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server to examine, as with --base-url."),
    ] = None,
    provider: Provider = None,
    model: Model = None,
    base_url: BaseUrl = None,
    profile: Profile = None,
    header: Header = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="The question to ask.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            parser=like("max_tokens"),
            metavar="N",
            show_default=str(MAX_TOKENS),
            help="Limit each answer to N tokens.",
        ),
    ] = None,
    connect_timeout: ConnectTimeout = None,
    first_token_timeout: FirstTokenTimeout = None,
    idle_timeout: IdleTimeout = None,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines.")] = False,
    debug: Debug = False,
    log: Log = None,
) -> int:
    """Check this installation, or find out why a server does not stream.

    On its own it checks the configuration, the keys, the terminal, and which servers can be
    reached. With a server (URL, -p, -m, --prompt or --max-tokens) it asks that one twice and
    examines headers and arrival times. The exit status is 1 if there is a problem.
    """
    arguments = locals()
    flags = settings_in(arguments)
    del flags["max_tokens"]
    is_checkup = all(it is None for it in (url, provider, model, base_url, prompt, max_tokens))
    start_log(arguments)
    token = CancelToken()
    with interrupts(token):
        try:
            check_given("--profile", profile)
            if is_checkup:
                from chatstream.cli.checkup import checkup

                return _shown(checkup(flags, profile, token), as_json)
            if url is not None and base_url is not None:
                raise UsageError("the address is given twice: as URL and as --base-url")
            check_given("--prompt", prompt)
            flags["base_url"] = base_url if url is None else url
            resolved = resolve(flags, profile=profile)
            exits.warn(resolved.warnings)
            settings = resolved.settings
            question = QUESTION if prompt is None else argument(prompt, "--prompt")
            asking = Asking(question, max_tokens or MAX_TOKENS, is_quiet=as_json)
            findings = diagnose(examine(settings, token, asking))
            token.check()
            return _shown(findings, as_json)
        except ChatstreamError as error:
            return exits.report(token.reason or error, sys.argv if as_json else ())


def _shown(findings: Iterable[Finding], as_json: bool) -> int:
    """Print each of them as it comes; returns the exit status."""
    status = 0
    for finding in findings:
        it = _redacted(finding)
        if as_json:
            stdout.write(msgspec.json.encode(it) + b"\n")
        else:
            stdout.show(_text(it, sys.stdout.encoding))
        if it.severity == "problem":
            status = 1
    return status


class Asking(NamedTuple):
    """What the server is asked, and whether the user is told about it meanwhile."""

    prompt: str = QUESTION
    max_tokens: int = MAX_TOKENS
    is_quiet: bool = True

    def tell(self, line: str) -> None:
        """A line for the user, on standard error."""
        if not self.is_quiet:
            lines = [clean(redact(line))]
            if os.isatty(2):
                lines = _wrapped(lines[0], stdout.columns(2))
            print("\n".join(lines), file=sys.stderr, flush=True)


QUIETLY = Asking()


def examine(settings: Settings, token: CancelToken, asking: Asking = QUIETLY) -> Case:
    """Ask twice over one connection. Raises where nothing can be asked at all."""
    arm, address = _arm(settings, token)
    limit = first_token(settings, find(arm.provider))
    asking.tell(f"Asking {arm.model} ({address}): {excerpt(asking.prompt, 60)!r}")
    asking.tell(
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
    """Who is asked, for which model, and the address.

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
    asking.tell(f"Sending request {number} of 2.")
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
    if not token.cancelled:
        came = count(max(sample.tokens or 0, sample.deltas), "token")
        asking.tell(f"Request {number} of 2: {came} in {ended - began:.1f} s")
    return Exchange(sample, source.trace, ended, failure.hint if failure else None)


def _redacted(finding: Finding) -> Finding:
    todo = redact(finding.todo) if finding.todo else finding.todo
    return msgspec.structs.replace(finding, what=redact(finding.what), todo=todo)


def _text(finding: Finding, encoding: str) -> str:
    """A line, and others for what to do, with everything from a server made safe.

    On a terminal they are wrapped between words.
    """
    marks = MARKS if stdout.can_show("".join(MARKS.values()), encoding) else PLAIN_MARKS
    lines = [f"{marks[finding.severity]} {clean(finding.what)}"]
    if finding.todo:
        lines += [f"  {clean(line)}" for line in finding.todo.splitlines()]
    if os.isatty(1):
        width = stdout.columns()
        lines = [part for line in lines for part in _wrapped(line, width)]
    return "\n".join(lines) + "\n"


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
