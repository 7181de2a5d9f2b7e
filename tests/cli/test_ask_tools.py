"""`ask` with tools: what its options bring about. The demo calls two of the tools it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.client import Finished, run_here

DEMO = ["ask", "-p", "demo", "-m", "demo-fast"]
FILE = '''
from pathlib import Path


def work() -> str:
    """Work."""
    with Path("ran").open("a") as ran:
        ran.write("x")
    return "worked"
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file of tools whose only one changes something."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "own.py").write_text(FILE)
    monkeypatch.chdir(folder)
    return folder


def asked(*options: str, status: int = 0) -> Finished:
    """A question, as events."""
    done = run_here([*DEMO, "--json", *options, "hi"])
    assert done.status == status, done.stderr
    if status == 0:
        grammar.check(done.events)
    return done


def fates(done: Finished) -> list[tuple[str, str, str]]:
    """What became of the calls: the type of each event, the tool, and what was decided."""
    return [
        (
            str(it.__struct_config__.tag),
            it.name,
            getattr(it, "outcome", "") or getattr(it, "decision", ""),
        )
        for it in done.events
        if isinstance(it, ev.Fate) and not isinstance(it, ev.ToolProgress | ev.ToolOutput)
    ]


def ran(here: Path) -> int:
    """How often the tool of the file has run."""
    return len((here / "ran").read_text()) if (here / "ran").exists() else 0


@pytest.mark.parametrize(
    "options", [["--tool", "calculate,time"], ["--tool", "calculate", "--tool", "time"]], ids=len
)
def test_built_in_tools_run_without_a_question(options: list[str]) -> None:
    found = fates(asked(*options))
    assert sorted(found) == [
        ("approval", "calculate", "allow"),
        ("approval", "time", "allow"),
        ("tool_complete", "calculate", "ok"),
        ("tool_complete", "time", "ok"),
        ("tool_start", "calculate", ""),
        ("tool_start", "time", ""),
    ]


DENIED = [("approval", "work", "deny"), ("tool_error", "work", "denied")]
RUN = [("approval", "work", "allow"), ("tool_start", "work", ""), ("tool_complete", "work", "ok")]


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([], DENIED),  # nobody can be asked
        (["--allow", "work"], RUN),
        (["--allow", "w*"], RUN),
        (["--allow", "other*,work"], RUN),
        (["--allow", "*", "--deny", "work"], DENIED),
        (["--deny", "work", "--allow", "*"], DENIED),
        (["--allow", "*", "--ask", "work"], DENIED),
    ],
    ids=lambda it: " ".join(it) if isinstance(it[0] if it else "", str) else "",
)
def test_what_changes_something_runs_only_if_it_is_allowed(
    rules: list[str], wanted: list[Any], here: Path
) -> None:
    assert fates(asked("--tools-file", "own.py", *rules)) == wanted
    assert ran(here) == (wanted is RUN)


def test_a_dry_run_tells_what_would_be_decided_and_runs_nothing(here: Path) -> None:
    done = asked("--tools-file", "own.py", "--allow", "work", "--dry-run")
    (approval,) = (it for it in done.events if isinstance(it, ev.Fate))
    assert isinstance(approval, ev.Approval)
    assert (approval.decision, approval.by) == ("allow", "dry_run")
    assert ran(here) == 0


def untimed(done: Finished) -> list[Any]:
    """The events without what differs between any two runs."""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        for name in ("t", "run", "started_at", "duration", "stats", "base_url"):
            event.pop(name, None)
    return events


def test_results_are_taken_from_a_run_and_nothing_starts(here: Path) -> None:
    asked("--tools-file", "own.py", "--allow", "work")
    assert ran(here) == 1
    (recorded,) = journals(runs_folder())
    (here / "own.py").unlink()
    again = [asked("--tools-from", recorded.stem) for _ in range(2)]
    assert untimed(again[0]) == untimed(again[1])
    assert [it for it in again[0].events if isinstance(it, ev.ToolStart) and not it.replayed] == []
    ends = [it.result for it in again[0].events if isinstance(it, ev.ToolComplete)]
    assert ends == ["worked"]
    assert ran(here) == 1


def test_the_configuration_may_give_tools(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "config.toml").write_text(
        '[profiles.code]\ntools = ["calculate"]\n'
        'tools_file = "own.py"\nallow = ["work", "not there"]\nmax_rounds = 5\n'
    )
    monkeypatch.setenv("CHATSTREAM_CONFIG", "config.toml")
    assert fates(asked()) == []
    done = asked("--profile", "code")
    assert {name for _, name, _ in fates(done)} == {"calculate", "work"}
    assert ran(here) == 1


def test_what_continues_has_the_tools_of_the_run_before_and_asks_again(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("--tools-file", "own.py", "--allow", "work", "--max-rounds", "3")
    assert ran(here) == 1
    monkeypatch.chdir(tmp_path)
    assert fates(asked("-c")) == DENIED
    assert ran(here) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tool", "grpe"], "grpe"),
        (["--tool", "grep", "--allow", "lsit"], "--allow names 'lsit'"),
        (["--tool", "grep", "-o", "tools=[]"], "the option tools=… cannot be sent together"),
        (["--allow", "grep"], "--allow needs tools, and this run has none"),
        (["--max-rounds", "3"], "--max-rounds needs tools"),
        (["--dry-run"], "--dry-run needs tools"),
        (["--tool", ""], "--tool is empty"),
        (["--tool", "grep,"], "--tool is empty"),
        (["--max-calls", "0", "--tool", "grep"], "--max-calls"),
        (["--tools-file", "none.py"], "none.py"),
        (["--tool", "grep", "--root", "none"], "none"),
        (["--tools-from", "2099"], "2099"),
        (["--tools-from", "2099", "--tool", "grep"], "--tool and --tools-from exclude each other"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else None,
)
def test_a_mistake_is_told_in_one_line_before_anything_is_asked(
    options: list[str], told: str, here: Path
) -> None:
    done = run_here([*DEMO, *options, "hi"])
    assert (done.status, done.stdout) == (2, b"")
    first, *others = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert told in first
    assert len(others) <= 1  # the hint
    assert "Traceback" not in done.stderr


# ---- nobody can be asked


def test_a_run_that_needs_an_approval_ends_and_says_how_it_goes_on(here: Path) -> None:
    done = run_here([*DEMO, "--tools-file", "own.py", "--on-ask", "stop", "hi"])
    run = journals(runs_folder())[0].stem
    assert (done.status, done.stdout, ran(here)) == (6, b"", 0)
    assert done.stderr.splitlines() == [
        "The model wants to run work:",
        "  without arguments",
        "error: work needs approval, and there is nobody to ask; no call of this round was run",
        "--allow work lets it run",
        f"continue it with: chatstream resume {run} --allow work",
    ]
    again = run_here(["resume", run, "--json"])  # it is still to stop, and nobody has said yes
    assert (again.status, ran(here)) == (6, 0)
    resumed = run_here(["resume", run, "--json", "--allow", "work"])
    assert (resumed.status, ran(here)) == (0, 1)
    grammar.check(resumed.events)
    late = run_here(["resume", run, "--allow", "work"])
    assert (late.status, ran(here)) == (2, 1)
    assert "which is complete: there is nothing to continue" in late.stderr


def test_what_the_run_says_goes_on_even_if_a_rule_wants_it_asked(here: Path) -> None:
    asked("--tools-file", "own.py", "--ask", "work", "--on-ask", "stop", status=6)
    resumed = run_here(["resume", "--json", "--allow", "work"])
    assert (resumed.status, ran(here)) == (0, 1)


def test_a_rule_that_denies_is_not_lifted_by_a_resume(here: Path) -> None:
    rules = ["--ask", "work", "--deny", "*"]
    asked("--tools-file", "own.py", *rules, "--on-ask", "stop", status=6)
    resumed = run_here(["resume", "--json", "--deny", "work", "--allow", "work"])
    assert (resumed.status, ran(here)) == (0, 0)
    assert ("tool_error", "work", "denied") in fates(resumed)


def test_without_a_journal_there_is_nothing_to_resume(here: Path) -> None:
    options = ["--tools-file", "own.py", "--on-ask", "stop", "--no-journal"]
    done = asked(*options, status=6)
    assert isinstance(done.terminal, ev.Error)
    assert (done.terminal.resume, done.terminal.hint) == (None, "--allow work lets it run")


def test_a_rule_with_a_comma_in_its_arguments_is_one_rule(here: Path) -> None:
    done = asked("--tool", "grep", "--deny", "grep(a,b),calculate", "--tool", "calculate")
    assert ("approval", "calculate", "deny") in fates(done)


def test_rules_with_arguments_decide_about_calls(here: Path) -> None:
    allowed = fates(asked("--tool", "list", "--deny", "list", "--allow", "list(.)"))
    assert ("tool_complete", "list", "ok") in allowed
    denied = fates(asked("--tool", "list", "--deny", "list(*)"))
    assert ("tool_error", "list", "denied") in denied
