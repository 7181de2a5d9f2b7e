"""The sample is the same for the same seed, and all of a matrix where all is wanted."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
from tests.support.sampling import SEED, by_size, chosen, examples, sampled, seeded
print(list(sampled(range(100), 5, "a")), list(chosen(range(100), 5, "a")), by_size(1, 2))
print(examples(500), examples(12), seeded("b").random())
print(SEED)
"""


def said(**environ: str) -> list[str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("TEST_")}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env={**inherited, **environ}, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def test_a_sample_is_the_same_each_time() -> None:
    first = said()
    assert first == said() == said(TEST_SEED="0")
    assert first[0].count("[") == 2
    assert first[0].endswith("] 1")
    assert first[1].startswith("100 10 ")


def test_another_seed_is_another_sample() -> None:
    assert said(TEST_SEED="1")[:2] != said(TEST_SEED="2")[:2]


def test_all_is_all_of_it_and_its_seed_can_be_repeated() -> None:
    first = said(TEST_SIZE="all")
    assert first[0].startswith(str(list(range(100))))
    assert first[0].endswith("] 2")
    assert first[1].startswith("500 12 ")
    assert first == said(TEST_SIZE="all", TEST_SEED=first[2])


def test_the_seed_and_the_size_are_printed() -> None:
    from tests.conftest import pytest_report_header

    size = os.environ.get("TEST_SIZE", "sample")
    assert pytest_report_header() == f"size: {size}, TEST_SEED={os.environ['TEST_SEED']}"
