"""Claimed: what was allowed after a stop is what was shown, and it runs once, as whole programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream import events as ev
from tests.support.client import run
from tests.support.summing import Call, Summing

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.mark.parametrize("on_ask", ["deny", "stop"])
def test_a_file_that_changed_since_its_diff_was_shown_is_not_overwritten(
    on_ask: str, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("old\n")
    with Summing([[Call("write_file", {"path": "notes.txt", "content": "new\n"})]]) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m", "--retries", "0"]
        given = ["--tool", "write_file", "--root", str(tmp_path), "--on-ask", "stop", "x"]
        first = run(["ask", "--json", *where, *given], OPENAI_API_KEY="test-key")
        assert first.status == 6
        file.write_text("what nobody has seen\n")
        again = ["resume", "--json", "--allow", "write_file", "--on-ask", on_ask]
        second = run(again, OPENAI_API_KEY="test-key")
        assert file.read_text() == "what nobody has seen\n"
        shown = [it.preview for it in second.events if isinstance(it, ev.Approval)]
        if on_ask == "deny":
            (end,) = [it for it in second.events if isinstance(it, ev.ToolError)]
            assert end.code == "changed"
            return
        assert second.status == 6
        assert "-what nobody has seen" in str(shown[-1])
        third = run(again, OPENAI_API_KEY="test-key")
    assert third.status == 0
    assert file.read_text() == "new\n"


WHERE = ["-p", "openai", "-m", "m", "--retries", "0", "--tool", "write_file,edit_file"]


@pytest.mark.parametrize("look", [[], ["--accessible"]], ids=["plain", "accessible"])
def test_who_has_to_approve_a_write_is_shown_its_diff_and_what_cannot_be_seen(
    look: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    content = "n\u200bew\n"
    with Summing([[Call("write_file", {"path": "a.txt", "content": content})]]) as server:
        given = ["--base-url", server.url, "--root", str(tmp_path), "--on-ask", "stop", "x"]
        done = run(["ask", *WHERE, *look, *given], OPENAI_API_KEY="test-key")
    assert (done.status, done.stdout) == (6, b"")
    shown = [
        "The model wants to run write_file:",
        '  path: "a.txt"',
        "  content: 1 line",
        "  │ --- a/a.txt",
        "  │ +++ b/a.txt",
        "  │ @@ -1 +1 @@",
        "  │ -one",
        "  │ +n\\u200bew",
    ]
    lines = done.stderr.splitlines()
    at = lines.index(shown[0])
    assert lines[at : at + len(shown)] == shown


def test_a_run_does_not_stop_for_calls_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    calls = [
        Call("edit_file", {"path": "a.txt", "old_text": "two", "new_text": "three"}),
        Call("write_file", {"path": "../b.txt", "content": "x"}),
    ]
    with Summing([calls]) as server:
        given = ["--base-url", server.url, "--root", str(tmp_path), "--on-ask", "stop", "x"]
        done = run(["ask", "--json", *WHERE, *given], OPENAI_API_KEY="test-key")
    assert done.status == 0
    assert not any(isinstance(it, ev.Approval) for it in done.events)
    ended = {it.name: it.code for it in done.events if isinstance(it, ev.ToolError)}
    assert ended == {"edit_file": "not_found", "write_file": "outside"}


@pytest.mark.parametrize("allow", ["count", "*"])
def test_an_executable_that_a_run_stopped_for_runs_exactly_once(allow: str, tmp_path: Path) -> None:
    program = tmp_path / "count"
    described = '{"name": "count", "description": "Count.", "parameters": {"type": "object"}}'
    program.write_text(
        f"""#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{described}'
    exit
fi
echo x >> counted
echo done
"""
    )
    program.chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    with Summing([[Call("count")]]) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m", "--retries", "0"]
        tools = ["--tool-exec", str(program), "--root", str(root), "--sandbox", "off"]
        first = run(
            ["ask", "--json", *where, *tools, "--on-ask", "stop", "x"], OPENAI_API_KEY="test-key"
        )
        assert first.status == 6
        assert not (root / "counted").exists()
        again = ["resume", "--json", "--sandbox", "off", "--allow", allow]
        second = run(again, OPENAI_API_KEY="test-key")
    assert second.status == 0, second.stderr
    (end,) = [it for it in second.events if isinstance(it, ev.ToolComplete)]
    assert end.result.strip() == "done"
    assert (root / "counted").read_text() == "x\n"
    assert run(again, OPENAI_API_KEY="test-key").status == 2
    assert (root / "counted").read_text() == "x\n"
