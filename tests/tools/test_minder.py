"""A minder, from the outside: nothing of its program is left, however that ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.tools.programs import run_program
from chatstream.tools.sandbox import Kind, sandbox
from chatstream.tools.spawning import Keeper
from tests.support.commands import Started, order, sh
from tests.support.processes import alive, new_mark, write_program, write_tree
from tests.support.toolcalls import Said

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")


def test_the_status_is_that_of_the_program(keeper: Keeper) -> None:
    assert sh(keeper, "exit 7") == ("", 7)


def test_a_signal_that_ended_it_is_told_as_a_shell_does(keeper: Keeper) -> None:
    assert sh(keeper, "kill -SEGV $$") == ("", 128 + signal.SIGSEGV)


def test_a_program_has_a_session_of_its_own_and_no_descriptor_of_ours(keeper: Keeper) -> None:
    said, _ = sh(keeper, "cut -d' ' -f1,5,6 /proc/self/stat; ls /proc/self/fd | wc -l; echo $$")
    numbers, count, shell = said.splitlines()
    assert numbers.split()[1:] == [shell, shell]
    assert int(count) == 4  # the standard ones, and the folder that `ls` lists


def test_signals_have_their_usual_meaning_whatever_this_process_ignores() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with closing(Keeper()) as keeper:
            said = sh(keeper, "grep -E 'Sig(Blk|Ign)' /proc/self/status")[0].split()[1::2]
    finally:
        signal.signal(signal.SIGTERM, before)
    reserved = 1 << 31 | 1 << 32  # the C library's own, 32 and 33, which it lets nobody touch
    assert [int(it, 16) & ~reserved for it in said] == [0, 0]


def test_a_core_is_not_kept_and_files_have_a_limit(keeper: Keeper) -> None:
    said = sh(keeper, "ulimit -c; ulimit -f; cat /proc/self/oom_score_adj")[0].split()
    assert said[0] == "0"
    assert said[1] != "unlimited"
    assert said[2] == "500"


def test_a_stop_reaches_a_program_that_listens_first(keeper: Keeper) -> None:
    started = Started(keeper, "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done")
    assert started.stopped() == 9


def test_what_ignores_everything_is_killed_wherever_it_went(keeper: Keeper, tmp_path: Path) -> None:
    mark = new_mark()
    started = Started(keeper, f"exec {write_tree(tmp_path, mark)}")
    assert len(alive(mark)) >= 5
    assert started.stopped() == 128 + signal.SIGKILL
    assert alive(mark) == []


def test_what_a_program_leaves_running_is_killed_and_counted(keeper: Keeper) -> None:
    mark, said = new_mark(), Said()
    command = f"setsid nohup sleep {mark} > /dev/null & (sleep {mark} &) ; echo gone"
    returned = run_program(keeper, order("/bin/sh", "-c", command), said.context)
    assert (said.text, returned.exit_status) == ("gone\n", 0)
    assert returned.text == "[2 programs left running: killed]\n"
    assert alive(mark) == []


WALKER = """\
#!/bin/sh
trap '' INT TERM HUP
[ "$2" = first ] && echo grown
setsid "$0" "$1" > /dev/null 2>&1 &
[ "$2" = first ] && exec sleep "$1"
"""
"""Each of its processes starts the next one, in a session of its own, and is gone."""


@pytest.fixture
def run_in(keeper: Keeper, kind: Kind, tmp_path: Path) -> Callable[[str], Started]:
    """Starts a command in each kind of sandbox."""
    confined = sandbox(kind, [tmp_path], keeper.scratch)
    return lambda command: Started(keeper, confined.order(["/bin/sh", "-c", command]))


def test_what_starts_its_own_successor_without_end_is_ended(
    run_in: Callable[[str], Started], tmp_path: Path
) -> None:
    mark = new_mark()
    walker = write_program(tmp_path / "walker", WALKER)
    started = run_in(f"exec {walker} {mark} first")
    assert started.stopped() == 128 + signal.SIGKILL
    assert alive(mark) == []


def test_what_closes_its_output_and_lives_on_is_waited_for_and_stopped(
    run_in: Callable[[str], Started],
) -> None:
    closes = "echo ready; exec > /dev/null 2>&1"
    assert run_in(f"{closes}; sleep 0.1; exit 5").ended() == 5
    mark = new_mark()
    # The second sleep: the shell may see the end of the first before its own signal.
    started = run_in(f"{closes}; setsid sleep {mark}; sleep {mark}; exit 6")
    assert started.is_alive()
    assert started.stopped() not in (0, 5, 6)
    assert alive(mark) == []


def test_a_daemon_does_not_outlive_the_command_that_has_left_it(
    run_in: Callable[[str], Started],
) -> None:
    mark = new_mark()
    daemon = f"(setsid sh -c 'setsid sleep {mark} > /dev/null 2>&1 &' &)"
    started = run_in(f"{daemon}; echo left")
    assert started.ended() == 0
    assert alive(mark) == []
