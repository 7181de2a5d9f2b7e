"""Processes that come from this one; each test looks from a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.tools import descendants
from tests.support.processes import alive, new_mark, seconds_until_gone

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")

LOOKS = """
import os, signal, subprocess, sys
from chatstream.tools import descendants
descendants.adopt()
signals = descendants.Signals()
def grow(command):
    subprocess.run(["/bin/sh", "-c", command.replace("MARK", sys.argv[1])], check=True)
def end():
    while found := descendants.below(os.getpid()):
        descendants.send(signal.SIGKILL, found)
        descendants.wait([signals], 0.02)
        signals.clear()
        descendants.reaped()
"""


def look(mark: str, code: str) -> str:
    """What this code prints, in a process that has adopted what loses its parent."""
    argv = [sys.executable, "-c", LOOKS + code, mark]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_what_has_left_the_session_and_lost_its_parent_is_found_and_ended() -> None:
    mark = new_mark()
    code = """
grow("setsid sleep MARK & (setsid nohup sleep MARK > /dev/null 2>&1 &)")
print(len(descendants.below(os.getpid())))
end()
print(descendants.below(os.getpid()))
"""
    assert look(mark, code) == "2\nset()\n"
    assert alive(mark) == []


def test_what_is_spared_is_not_found_nor_what_is_below_it() -> None:
    code = """
grow("setsid sleep MARK &")
grow("setsid sh -c 'sleep MARK & exec sleep MARK' & sleep 0.2")
found = descendants.below(os.getpid())
(parent,) = [it for it in found if descendants.children().get(it)]
print(len(found), len(descendants.below(os.getpid(), spared=[parent])))
end()
"""
    assert look(new_mark(), code) == "3 1\n"


def test_what_has_ended_is_reaped_with_its_status() -> None:
    code = """
child = subprocess.Popen(["/bin/sh", "-c", "exit 7"])
descendants.wait([signals], None)
print(descendants.reaped() == [(child.pid, 7)], descendants.reaped())
"""
    assert look(new_mark(), code) == "True []\n"


def test_a_process_dies_with_the_one_that_has_started_it() -> None:
    mark = new_mark()
    code = """
if os.fork() == 0:
    descendants.die_with_parent()
    print("ready", flush=True)
    os.execvp("sleep", ["sleep", sys.argv[1]])
os.read(0, 1)
"""
    argv = [sys.executable, "-c", LOOKS + code, mark]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
    seconds_until_gone(mark)


def test_the_end_of_a_process_can_be_waited_for() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        (life,) = descendants.life_of(process.pid)
        try:
            assert descendants.wait([life], 0) == []
            assert descendants.is_alive(process.pid)
            process.kill()
            assert descendants.wait([life], None) == [life]
        finally:
            os.close(life)
    assert not descendants.is_alive(process.pid)
