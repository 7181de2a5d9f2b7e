"""Findings for their reader: marked lines for a person, JSON Lines for a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import msgspec

from chatstream.doctor.diagnosis import Finding
from chatstream.escape import clean
from chatstream.redact import redact
from chatstream.terminal import stdout

MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN_MARKS = {"ok": "+", "note": "!", "problem": "x"}


def show(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Print each finding as it comes; returns the exit status, 1 if there is a problem."""
    status = 0
    for finding in findings:
        it = _redacted(finding)
        if as_json:
            stdout.write(msgspec.json.encode(it) + b"\n")
        else:
            stdout.show(
                text_of(it, sys.stdout.encoding, stdout.columns() if os.isatty(1) else None)
            )
        if it.severity == "problem":
            status = 1
    return status


def text_of(finding: Finding, encoding: str, width: int | None) -> str:
    """A line, and more lines for what to do, with everything from a server made safe.

    They are wrapped between words where there is a `width`, in columns.
    """
    marks = MARKS if stdout.can_show("".join(MARKS.values()), encoding) else PLAIN_MARKS
    lines = [f"{marks[finding.severity]} {clean(finding.what)}"]
    if finding.todo:
        lines += [f"  {clean(line)}" for line in finding.todo.splitlines()]
    if width is not None:
        lines = [part for line in lines for part in stdout.wrapped(line, width)]
    return "\n".join(lines) + "\n"


def _redacted(finding: Finding) -> Finding:
    todo = redact(finding.todo) if finding.todo else finding.todo
    return msgspec.structs.replace(finding, what=redact(finding.what), todo=todo)
