"""Claimed: `chatstream stats` takes what it says, and nothing else."""

from __future__ import annotations

from chatstream.stats.reckoning import By
from tests.support.client import run_here


def test_help_names_every_group() -> None:
    shown = run_here(["stats", "--help"]).stdout.decode()
    assert all(by.value in shown for by in By)
    assert "--since" in shown


def test_it_takes_no_argument() -> None:
    assert run_here(["stats", "model"]).status == 2
