"""The collector is late at the start of the program, and off nowhere but where time is measured.

Each test of a start is a process of its own: the collector belongs to one.
"""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.collector import resting
from tests.support.client import LIMIT

COMMAND = """\
import atexit, gc, sys
usual = gc.get_threshold()
atexit.register(lambda: print(gc.isenabled(), gc.get_threshold() == usual, file=sys.stderr))
from chatstream.__main__ import run
run()
"""

# Circles, one by one, until the collector has taken the first.
CIRCLES = """\
import gc, weakref
from chatstream.collector import START_OBJECTS, delay, settle

class Circle:
    def __init__(self):
        self.itself = self

def made():
    first = weakref.ref(Circle())
    for number in range(10 * START_OBJECTS):
        if first() is None:
            return number
        Circle()

gc.collect()
delay()
delay()
late = made()
settle()
settle()
print(late, made(), gc.isenabled())
"""


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def _at_the_end(*arguments: str) -> str:
    """Whether the collector is on when the command ends, and whether it is as Python has it."""
    return _python(COMMAND, *arguments).stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["history", "list"], id="history"),
        pytest.param(["doctor"], id="doctor"),
        pytest.param(["schema"], id="schema"),
        pytest.param(["--help"], id="help"),
        pytest.param(["ask", "-p", "nonsense", "hi"], id="failed before the answer"),
        pytest.param(["bench", "-p", "nonsense"], id="failed bench"),
    ],
)
def test_a_command_that_shows_no_answer_has_a_collector(arguments: list[str]) -> None:
    assert _at_the_end(*arguments).startswith("True")


def test_the_first_answer_ends_the_delay() -> None:
    assert _at_the_end("ask", "-p", "demo", "-m", "demo-fast", "hi") == "True True"


def test_a_batch_ends_the_delay_with_its_first_request(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("hi")
    assert _at_the_end("batch", str(tmp_path / "prompts.txt"), "-p", "demo") == "True True"


def test_what_is_made_while_it_is_late_is_collected_all_the_same() -> None:
    late, settled, is_on = _python(CIRCLES).stdout.split()
    assert 10_000 < int(late) <= 200_000
    assert int(settled) < 10_000
    assert is_on == "True"


@pytest.mark.parametrize("was_on", [True, False])
def test_it_rests_and_is_as_it_was_afterwards(was_on: bool) -> None:
    if not was_on:
        gc.disable()
    try:
        with contextlib.suppress(KeyError), resting():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == was_on
    finally:
        gc.enable()
