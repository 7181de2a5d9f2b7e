"""Claimed: a batch that is killed, however often, ends with each answer once and in its place.

An answer that was whole when the process was killed is not asked again: of each prompt there is
exactly one whole journal. The server, too, sees no more requests than had to be repeated.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from chatstream.errors import JournalError
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.batches import Answering, answer_to, lines_in, prompts_in
from tests.support.client import COMMAND, LIMIT, Running
from tests.support.figures import Figures
from tests.support.peak import measured, peak_in
from tests.support.sampling import by_size, seeded
from tests.support.waiting import until_true

pytestmark = pytest.mark.serial

PROMPTS = by_size(150, 2000)
KILLS = 5
JOBS = 32
MOST_MEGABYTES = 80.0


def test_a_batch_that_is_killed_five_times_ends_whole(
    tmp_path: Path, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "prompts.txt", tmp_path / "out.jsonl"
    prompts = prompts_in(source, PROMPTS)
    moments = sorted(seeded("batch kills").sample(range(PROMPTS // 20, PROMPTS), KILLS))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with Answering(pace=0.002) as server:
        arguments = ["batch", str(source), "--out", str(out), "-j", str(JOBS), *server.flags]
        for moment in moments:
            with Running(arguments) as client:
                until_true(
                    lambda at=moment, it=client: (  # type: ignore[misc]
                        sum(server.asked.values()) >= at or it.process.poll() is not None
                    )
                )
                client.process.send_signal(signal.SIGKILL)
            written = [line["index"] for line in lines_in_whole(out)]
            assert written == list(range(len(written)))
        command = measured([*COMMAND, *arguments])
        ended = subprocess.run(command, stderr=subprocess.PIPE, timeout=10 * LIMIT, check=False)
        asked = server.asked
    assert ended.returncode == 0
    lines = lines_in(out)
    assert [line["index"] for line in lines] == list(range(PROMPTS))
    assert [line["content"] for line in lines] == [answer_to(prompt) for prompt in prompts]
    assert answered() == Counter(prompts)
    assert sum(asked.values()) <= PROMPTS + KILLS * JOBS
    assert not list(tmp_path.glob("*.runs"))
    megabytes = peak_in(ended.stderr)
    figures.line(
        f"batch of {PROMPTS}, killed {KILLS} times: {sum(asked.values())} requests, "
        f"{megabytes:.0f} MB"
    )
    assert megabytes < MOST_MEGABYTES


def answered() -> Counter[str]:
    """How many whole journals there are of each prompt."""
    found: Counter[str] = Counter()
    for path in journals(runs_folder()):
        with contextlib.suppress(JournalError):  # killed before its first line was written
            record = read(path)
            if record.finished and record.asked is not None:
                found[record.asked.messages[-1].content] += 1
    return found


def lines_in_whole(path: Path) -> list[dict[str, object]]:
    """The lines of an output whose process was killed; the last may be torn."""
    whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    copy = path.with_suffix(".copy")
    copy.write_bytes(whole)
    return lines_in(copy)
