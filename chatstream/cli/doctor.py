"""`chatstream doctor`: why a server does not stream; on its own, what `checkup` finds."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

import os
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer

from chatstream.cancel import CancelToken
from chatstream.cli.numbers import like
from chatstream.cli.options import (
    Debug,
    Log,
    start_log,
    takes,
)
from chatstream.doctor.diagnosis import Finding, diagnose
from chatstream.doctor.examine import MAX_TOKENS, QUESTION, Asking, examine
from chatstream.engine.resolve import check_given, resolve
from chatstream.errors import ChatstreamError, UsageError
from chatstream.redact import redact
from chatstream.sinks.escape import clean
from chatstream.terminal import exits, stdout
from chatstream.terminal.interrupt import interrupts
from chatstream.text import argument

MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN_MARKS = {"ok": "+", "note": "!", "problem": "x"}


_SERVER = ("provider", "model", "base_url", "profile", "headers")
_LIMITS = ("connect_timeout", "first_token_timeout", "idle_timeout", "timeout")


@takes(*_SERVER, *_LIMITS)
def doctor(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server to examine, as with --base-url."),
    ] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines.")] = False,
    debug: Debug = False,
    log: Log = None,
    *,
    profile: str | None,
    **flags: Any,
) -> int:
    """Check this installation, or find out why a server does not stream.

    On its own it checks the configuration, the keys, the terminal, and which servers can be
    reached. With a server (URL, -p, -m, --prompt or --max-tokens) it asks that one twice and
    examines headers and arrival times. The exit status is 1 if there is a problem.
    """
    start_log(locals())
    server = (url, flags["provider"], flags["model"], flags["base_url"])
    is_checkup = all(it is None for it in (*server, prompt, max_tokens))
    token = CancelToken()
    with interrupts(token):
        try:
            check_given("--profile", profile)
            if is_checkup:
                from chatstream.doctor.checkup import checkup

                return _shown(checkup(flags, profile, token), as_json)
            if url is not None and flags["base_url"] is not None:
                raise UsageError("the address is given twice: as URL and as --base-url")
            check_given("--prompt", prompt)
            if url is not None:
                flags["base_url"] = url
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
        lines = [part for line in lines for part in stdout.wrapped(line, width)]
    return "\n".join(lines) + "\n"
