"""The keeper, from the outside: nothing of a program is left, whoever ends and however."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.tools.spawning import Keeper
from chatstream.tools.tool import ToolFailure
from tests.support.commands import Started, sh
from tests.support.processes import alive, new_mark, seconds_until_gone, write_tree

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")


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
        "import sys; sys.path.insert(0, sys.argv[1]); import chatstream.tools.keeper as k; k.main"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(root)], check=True)
