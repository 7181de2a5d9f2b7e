"""Claimed: what servers really send is read whole, and no failure passes as an answer.

Each situation is run over a real socket: into a pipe, as JSON and, as a process, on a terminal.
"""

from __future__ import annotations

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.support.client import answer_of, run_each
from tests.support.sampling import sampled
from tests.support.situation import Raw, Situation
from tests.support.situations import SITUATIONS
from tests.support.terminal import on_terminal

WAYS = ("plain", "json", "terminal")
CASES = [
    pytest.param(situation, way, id=f"{name} / {way}")
    for name, situation in SITUATIONS.items()
    for way in sampled(WAYS, 1, "situations", name)
]


@pytest.mark.parametrize(("it", "way"), CASES)
def test_a_situation_ends_as_it_should(
    it: Situation, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in it.environ.items():
        monkeypatch.setenv(name, value)
    with Raw(it.response) as server:
        address = f"http://{server.host}:{server.port}{it.address}"
        place = ["-p", it.dialect, "--base-url", address, "-m", "m"]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-000")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-000")
        retries = [] if "--retries" in it.flags else ["--retries", "0"]
        {"plain": plain, "json": as_json, "terminal": terminal}[way](
            it, ["ask", *place, *retries, *it.flags, "hi"]
        )
        assert it.path in {None, *server.paths}
        assert [it for it in server.paths if not it.endswith("models")] == server.paths[:1]


def plain(it: Situation, arguments: list[str]) -> None:
    done = run_each(arguments)
    assert (done.stdout.decode(), done.status) == (it.text, it.status)
    for words in it.says:
        assert words in done.stderr
    assert ("warning: " in done.stderr) == bool(it.warnings)


def as_json(it: Situation, arguments: list[str]) -> None:
    done = run_each([*arguments, "--json"])
    assert done.status == it.status
    grammar.check(done.events)
    answer = answer_of(done.events)
    assert (answer.text, answer.reasoning) == (it.text, it.reasoning)
    if it.error is None:
        assert isinstance(answer.terminal, ev.Done)
        assert answer.terminal.finish_reason == it.reason
        assert tuple((name, arguments) for _, name, arguments in answer.tool_calls) == it.calls
    else:
        assert isinstance(answer.terminal, ev.Error)
        assert answer.terminal.code == it.error
        for words in it.says:
            assert words in f"{answer.terminal.message} {answer.terminal.hint}"
    assert tuple(e.code for e in done.events if isinstance(e, ev.Warn)) == it.warnings
    assert tuple(e.url for e in done.events if isinstance(e, ev.Citation)) == it.citations
    assert len([e for e in done.events if isinstance(e, ev.Image)]) == it.images


def terminal(it: Situation, arguments: list[str]) -> None:
    status, screen, _ = on_terminal(arguments, columns=200)
    shown = "\n".join(screen.text())
    assert status == it.status
    for line in it.text.splitlines():
        assert line.strip() in shown
    for words in it.says:
        assert words in shown
    assert "internal" not in shown
