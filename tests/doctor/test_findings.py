"""Claimed: a finding is readable in every encoding and width, and a problem fails the command."""

from __future__ import annotations

import json
from typing import Literal

import pytest

from chatstream.doctor.diagnosis import Finding
from chatstream.doctor.findings import show, text_of
from chatstream.redact import redact

EVIL = "\x1b]0;evil\x07 \x9b31m"


def finding(severity: Literal["ok", "note", "problem"] = "ok", what: str = "it works") -> Finding:
    return Finding(code="a-code", severity=severity, what=what, todo="do this\nor that")


def test_a_mark_shows_how_bad_it_is_in_every_encoding() -> None:
    for encoding, marks in (("utf-8", "✓!✗"), ("ascii", "+!x")):
        texts = [text_of(finding(it), encoding, None) for it in ("ok", "note", "problem")]
        assert [text[0] for text in texts] == list(marks)
        assert {text[1:] for text in texts} == {" it works\n  do this\n  or that\n"}


def test_on_a_terminal_it_is_wrapped_and_in_a_pipe_it_is_not() -> None:
    long = finding(what="word " * 30)
    assert max(map(len, text_of(long, "utf-8", 40).splitlines())) <= 40
    assert text_of(long, "utf-8", None).splitlines()[0] == f"✓ {long.what}"


def test_what_a_server_sends_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in text_of(finding(what=EVIL), "utf-8", 40)
    assert "\x9b" not in text_of(finding(what=EVIL), "utf-8", None)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_problem_anywhere_fails_and_a_secret_is_never_shown(
    as_json: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    redact.learn("sk-very-secret-1234567890")
    secret = finding("note", "the key sk-very-secret-1234567890")
    assert show([finding(), secret], as_json=as_json) == 0
    assert show([finding("problem"), finding()], as_json=as_json) == 1
    shown = capfd.readouterr().out
    assert "very-secret" not in shown
    if as_json:
        codes = [json.loads(line)["severity"] for line in shown.splitlines()]
        assert codes == ["ok", "note", "problem", "ok"]
