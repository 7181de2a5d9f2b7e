"""Claimed: `chatstream prices` has its commands, and alone says which."""

from __future__ import annotations

from tests.support.client import run_here


def test_alone_it_shows_its_commands() -> None:
    done = run_here(["prices"])
    shown = done.stdout.decode() + done.stderr
    assert "list" in shown
    assert "update" in shown


def test_update_takes_no_word() -> None:
    assert run_here(["prices", "update", "claude"]).status == 2
