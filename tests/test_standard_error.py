"""Claimed: whatever becomes of standard error, standard output and the exit status are as ever."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.answers import TEXT, frames, headers
from tests.support.client import COMMAND, LIMIT
from tests.support.descriptors import Case, Ended, Kind, run_all
from tests.support.loopback import Reply, Script
from tests.support.runs import done, run_id, write_run

DEMO = ["-p", "demo", "-m", "demo-fast"]
CUT = ["-p", "openai", "--base-url", "{server}", "-m", "m", "--on-drop", "stop", "--retries", "0"]
NOWHERE = ["-p", "openai", "--base-url", "http://127.0.0.1:9", "-m", "m", "--retries", "0"]
UNKNOWN = ["-p", "nope"]
RUN = run_id(1)

QUIET: dict[str, tuple[list[str], int]] = {
    "ask": (["ask", *DEMO, "hi"], 0),
    "ask --json": (["ask", *DEMO, "--json", "hi"], 0),
    "models": (["models", "-p", "demo"], 0),
    "schema": (["schema"], 0),
    "config path": (["config", "path"], 0),
    "config show": (["config", "show"], 0),
    "history": (["history"], 0),
    "history export": (["history", "export"], 0),
    "history show": (["history", "show", RUN, "--text"], 0),
    "replay": (["replay", RUN, "--instant"], 0),
    "bench --explain": (["bench", "--explain"], 0),
    "bench": (["bench", *DEMO, "-n", "1"], 0),
    "doctor --json": (["doctor", *NOWHERE[:6], "--connect-timeout", "1", "--json"], 1),
    "--version": (["--version"], 0),
    "--help": (["--help"], 0),
    "ask --help": (["ask", "--help"], 0),
}
"""Command lines that have nothing to say on standard error, and their status."""

TOLD: dict[str, tuple[list[str], int]] = {
    "a note of the reasoning": (["ask", *DEMO, "--reasoning", "show", "hi"], 0),
    "figures": (["ask", *DEMO, "--stats", "hi"], 0),
    "sentences": (["ask", *DEMO, "--accessible", "hi"], 0),
    "a copy": (["ask", *DEMO, "--copy", "--copy-to", "{folder}/copy", "hi"], 0),
    "a copy that nobody takes": (["ask", *DEMO, "--copy", "hi"], 1),
    "the wire": (["ask", "--debug", *CUT, "hi"], 5),
    "a truncated answer": (["ask", *CUT, "hi"], 5),
    "a refused connection": (["ask", *NOWHERE, "hi"], 1),
    "no key": (["ask", "-p", "openai", "-m", "m", "hi"], 3),
    "no such provider": (["ask", *UNKNOWN, "hi"], 2),
    "no such option": (["ask", "--nope"], 2),
    "no such command": (["nope"], 2),
    "no question": (["ask", *DEMO], 2),
    "resume: no such run": (["resume", "nope"], 2),
    "resume: it is complete": (["resume", RUN], 2),
    "replay: no such run": (["replay", "nope"], 2),
    "replay: half a recording": (["replay", "{folder}/half", "--instant"], 5),
    "models: no such provider": (["models", *UNKNOWN], 2),
    "models: a refused connection": (["models", *NOWHERE[:4]], 1),
    "bench: no such gate": (["bench", *DEMO, "--fail-if", "nonsense"], 2),
    "bench: no such provider": (["bench", *UNKNOWN], 2),
    "doctor: what it asks": (["doctor", *NOWHERE[:6], "--connect-timeout", "1"], 1),
    "doctor: no such provider": (["doctor", *UNKNOWN], 2),
    "doctor: a traceback": (["doctor", "http://[", "--debug"], 2),
    "config show: no such profile": (["config", "show", "--profile", "nope"], 2),
    "config set: no such setting": (["config", "set", "nope", "1"], 2),
    "history show: no such run": (["history", "show", "nope"], 2),
    "history search: nothing": (["history", "search", "nothing"], 0),
    "history prune": (["history", "prune"], 0),
    "history rm: no such run": (["history", "rm", "nope"], 2),
}
"""Command lines that have something to say there, and their status."""

UNWRITABLE = (("XDG_STATE_HOME", "/dev/null/state"),)
"""An environment in which no journal can be kept, of which a warning tells."""

NO_JOURNAL = (("CHATSTREAM_JOURNAL", "false"),)
"""For all others: what `history` lists must not change meanwhile."""

# What differs between two runs of one command line: times, ids, what was measured.
_FIGURES = re.compile(r"[0-9][0-9a-f.:TZ-]*")
MEASURED = {"bench"}

SAMPLES = {"a truncated answer", "the wire", "history search: nothing", "no such option"}
"""One for each way in which something is said: a sink, logging, `print`, `exits`."""


def _kinds(name: str) -> tuple[Kind, ...]:
    if name in QUIET:
        return ("closed",)
    if name in SAMPLES:
        return ("gone", "never_read", "closed", "no_space", "read_only")
    return ("gone", "never_read")


def _shown(name: str, ended: Ended) -> tuple[int, str]:
    lines = ended.stdout.splitlines(keepends=True)
    if name == "ask --json":  # other events depend on the moment
        lines = [line for line in lines if line.startswith('{"type":"content"')]
    text = _FIGURES.sub("#", "".join(lines))
    return ended.status, str(bool(text)) if name in MEASURED else text


def test_nothing_that_becomes_of_standard_error_changes_anything_else(tmp_path: Path) -> None:
    write_run(tmp_path / "state" / "chatstream", RUN, TEXT, end=done())
    journal = next((tmp_path / "state" / "chatstream" / "runs").iterdir()).read_bytes()
    (tmp_path / "half").write_bytes(b"".join(journal.splitlines(keepends=True)[:2]))
    cut = Reply(frames("openai"), headers=headers("openai"))
    commands = {**QUIET, **TOLD, "no journal": (["ask", *DEMO, "hi"], 0)}
    with Script(cut) as server:
        cases = [
            Case(
                [it.format(server=f"{server.url}/v1", folder=tmp_path) for it in arguments],
                kind,
                environ=UNWRITABLE if name == "no journal" else NO_JOURNAL,
            )
            for name, (arguments, _) in commands.items()
            for kind in ("read", *_kinds(name))
        ]
        ended = iter(run_all(cases))
    for name, (_, status) in commands.items():
        usual = next(ended)
        assert usual.status == status, (name, usual)
        assert bool(usual.stderr) == (name not in QUIET), (name, usual)
        assert usual.stdout or name in TOLD, (name, usual)
        for kind in _kinds(name):
            assert _shown(name, next(ended)) == _shown(name, usual), (name, kind)


def test_a_reader_of_standard_output_who_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    write_run(tmp_path / "state" / "chatstream", RUN, TEXT, end=done())
    names = [name for name in QUIET if name != "doctor --json"]  # it has found a problem: 1
    cases = [Case(QUIET[name][0], stdout="gone") for name in names]
    for name, ended in zip(names, run_all(cases), strict=True):
        assert (ended.status, ended.stderr) == (0, ""), name
    mistakes = [["ask", "--json", "--nope"], ["models", "--json", *UNKNOWN]]
    for arguments, ended in zip(
        mistakes, run_all([Case(it, stdout="gone") for it in mistakes]), strict=True
    ):
        assert (ended.status, ended.stderr) == (2, ""), arguments


CLOSED = [
    ("<&- 2>&-", ["ask", *DEMO, "--stats", "hi"], 0, True),
    ("2>&-", ["ask", *UNKNOWN, "hi"], 2, False),
    ("2>&-", ["ask", "--nope"], 2, False),
    ("2>&-", ["history", "search", "nothing"], 0, False),
    (">&-", ["doctor", "--json", *DEMO], 0, False),
    ("<&- >&- 2>&-", ["ask", *UNKNOWN, "hi"], 2, False),
    ("<&- >&- 2>&-", ["bench", *DEMO, "-n", "1"], 0, False),
]


@pytest.mark.parametrize(("closed", "arguments", "status", "answered"), CLOSED)
def test_descriptors_that_are_closed_from_the_start(
    closed: str, arguments: list[str], status: int, answered: bool
) -> None:
    shell = ["sh", "-c", f"exec {shlex.join([*COMMAND, *arguments])} {closed}"]
    done = subprocess.run(shell, capture_output=True, timeout=LIMIT, check=False)
    assert (done.returncode, bool(done.stdout), done.stderr) == (status, answered, b"")


def test_a_key_command_may_say_something_to_nobody() -> None:
    """It inherits standard error; a note of its own must not cost the key."""
    command = (("CHATSTREAM_KEY_COMMAND", "sh -c 'echo a note >&2; echo a-key'"),)
    with Script(Reply(frames("openai"), headers=headers("openai"))) as server:
        flags = [it.format(server=f"{server.url}/v1") for it in CUT]
        kinds: tuple[Kind, ...] = ("read", "gone", "never_read", "closed")
        for ended in run_all(
            [Case(["ask", *flags, "hi"], kind, environ=command) for kind in kinds]
        ):
            assert (ended.status, ended.stdout) == (5, TEXT)
        keys = {request.headers["authorization"] for request in server.requests}
    assert keys == {"Bearer a-key"}
