"""Claimed: many runs have room for what they open, or nothing is asked."""

from __future__ import annotations

import sys
from pathlib import Path

from chatstream.many.descriptors import OTHERS, PER_RUN
from tests.support.batches import Answering, answer_to, lines_in, prompts_in
from tests.support.client import COMMAND, Finished, Running

JOBS = 40
NEEDED = OTHERS + PER_RUN * JOBS


def batch(server: Answering, folder: Path, soft: int, hard: int) -> tuple[Finished, Path]:
    """A batch in a process that may have so many files open."""
    prompts_in(folder / "in.txt", 2 * JOBS)
    out = folder / "out.jsonl"
    given = ["batch", str(folder / "in.txt"), "--out", str(out), "--jobs", str(JOBS), *server.flags]
    program = (
        "import resource, sys, os\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "os.execv(sys.executable, sys.argv[1:])\n"
    )
    with Running(given, command=[sys.executable, "-c", program, *COMMAND]) as client:
        return client.finish(), out


def test_the_limit_is_raised_as_far_as_that_is_allowed(tmp_path: Path) -> None:
    with Answering(pace=0.02) as server:
        done, out = batch(server, tmp_path, 64, NEEDED)
    assert (done.status, "warning" in done.stderr) == (0, False)
    answers = [answer_to(f"prompt {number}") for number in range(2 * JOBS)]
    assert [line["content"] for line in lines_in(out)] == answers


def test_where_there_is_no_room_nothing_is_asked(tmp_path: Path) -> None:
    with Answering() as server:
        done, _ = batch(server, tmp_path, 64, NEEDED - 1)
        assert not server.asked
    assert done.status == 2
    assert done.stderr.splitlines()[0] == (
        f"error: --jobs {JOBS} needs {NEEDED} open files, but the system allows {NEEDED - 1}"
    )
    assert f"use --jobs {JOBS - 1}" in done.stderr
