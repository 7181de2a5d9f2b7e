"""The keeper, from the outside: nothing of a program is left, whoever ends and however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from chatstream.tools.environment import environment
from chatstream.tools.programs import run_program
from chatstream.tools.spawning import Keeper, Order
from chatstream.tools.tool import Returned, ToolFailure
from tests.support.processes import alive, new_mark, seconds_until_gone, write_tree
from tests.support.toolcalls import LIMIT, Said

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with closing(Keeper()) as made:
        yield made


def order(*argv: str, cwd: str = "/") -> Order:
    return Order(argv=argv, env=environment(), cwd=cwd)


def sh(keeper: Keeper, command: str, said: Said | None = None) -> tuple[str, int | None]:
    """What a command puts out, and its status."""
    said = said or Said()
    returned = run_program(keeper, order("/bin/sh", "-c", command), said.context)
    return said.text, returned.exit_status


class Started(threading.Thread):
    """A command on a thread of its own, which has said something."""

    def __init__(self, keeper: Keeper, command: str) -> None:
        super().__init__(daemon=True)
        self.said = Said()
        self.result: Returned | None = None
        self._keeper, self._command = keeper, command
        self.start()
        assert self.said.spoken.wait(LIMIT)

    def run(self) -> None:
        self.result = run_program(
            self._keeper, order("/bin/sh", "-c", self._command), self.said.context
        )

    def stopped(self) -> int | None:
        """Its status after a stop."""
        self.said.token.cancel()
        self.join(LIMIT)
        assert self.result is not None
        return self.result.exit_status


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


def test_what_is_left_of_the_sandbox_itself_is_not_counted(keeper: Keeper, tmp_path: Path) -> None:
    mark, said, ready = new_mark(), Said(), tmp_path / "ready"
    inside = f"(sleep {mark} & echo > {ready}; wait)"
    command = f"{inside} > /dev/null & while [ ! -e {ready} ]; do :; done"
    wrapped = msgspec.structs.replace(order("/bin/sh", "-c", command), wraps=True)
    assert run_program(keeper, wrapped, said.context).text == "[1 program left running: killed]\n"
    assert alive(mark) == []


def test_calls_beside_each_other_do_not_end_each_other(keeper: Keeper) -> None:
    mark = new_mark()
    other = Started(keeper, f"echo ready; sleep {mark}")
    sh(keeper, "sleep 1000 & exit 0")
    assert len(alive(mark)) == 2
    other.stopped()
    assert alive(mark) == []


def test_a_killed_minder_takes_its_program_along(keeper: Keeper) -> None:
    mark = new_mark()
    with pytest.raises(ToolFailure, match="was killed") as caught:
        sh(keeper, f"setsid sleep {mark} & kill -9 $PPID; sleep {mark}")
    assert caught.value.outcome == "unknown"
    seconds_until_gone(mark)
    assert sh(keeper, "echo still here")[0] == "still here\n"


OWNER = """
import os, sys, threading
from chatstream.tools.programs import run_program
from chatstream.tools.environment import environment
from chatstream.tools.spawning import Keeper, Order
from tests.support.toolcalls import Said
keeper, said = Keeper(), Said()
order = Order(argv=[sys.argv[1]], env=environment(), cwd="/")
threading.Thread(target=run_program, args=(keeper, order, said.context), daemon=True).start()
said.spoken.wait()
if sys.argv[2] == "fork" and os.fork() == 0:  # it holds all descriptors of its parent
    os.execvp("sleep", ["sleep", sys.argv[3]])
print(keeper.scratch, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_the_end_of_the_owner_ends_its_programs_and_the_keeper(tmp_path: Path, how: str) -> None:
    mark, another = new_mark(), new_mark()
    arguments = [str(write_tree(tmp_path, mark)), how, another]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        scratch = owner.stdout.readline().strip()
        assert Path(scratch).is_dir()
        owner.kill()
    seconds_until_gone(mark)
    seconds_until_gone(scratch)  # the keeper has it in its command line
    assert not Path(scratch).exists()
    for line in alive(another):
        os.kill(int(subprocess.check_output(["pgrep", "-f", another]).split()[0]), 9)
        assert line


def test_it_uses_the_standard_library_alone() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import chatstream.tools.keeper as k; k.STOP"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(root)], check=True)
