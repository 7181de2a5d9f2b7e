"""A command that asks: its status, and that a run that cannot begin is shown as one that failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatstream.engine.kept_tools import KeptTools, key_of
from chatstream.engine.resolve import resolve
from chatstream.engine.run import Question, Run
from chatstream.errors import UsageError
from chatstream.messages import Message
from chatstream.terminal.answering import Answering
from tests.support.answers import TEXT, whole
from tests.support.loopback import Script

ARGUMENTS: dict[str, Any] = {"as_json": False, "plain": True, "save_images": None}


def test_the_answer_is_shown_and_its_connection_is_closed(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with Script(whole("ollama")) as server:
        flags = {"provider": "ollama", "base_url": server.url, "model": "m"}
        answering = Answering(ARGUMENTS, flags)

        def begin() -> Run:
            resolved = resolve(flags)
            answering.use(resolved, lambda: None)
            return answering.begin(resolved, Question(messages=(Message("user", "hi"),)))

        assert answering.show(begin) == 0
        assert server.wait_closed()
    assert capfdbinary.readouterr().out.decode().strip() == TEXT.strip()


def test_a_run_that_cannot_begin_is_told_as_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    answering = Answering({**ARGUMENTS, "as_json": True}, {})

    def begin() -> Run:
        raise UsageError("there is nothing to ask")

    assert answering.show(begin) == 2
    *_, last = capfdbinary.readouterr().out.splitlines()
    assert (json.loads(last)["type"], json.loads(last)["code"]) == ("error", "usage")


@pytest.mark.parametrize("terminal", [True, False])
def test_who_has_a_terminal_can_be_asked(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda descriptor: terminal)
    answering = Answering(ARGUMENTS, {})
    assert answering.control().can_answer is terminal
    assert answering.control() is answering.control()


def test_a_run_that_cannot_begin_gives_its_tools_back(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, flags = KeptTools(), {"provider": "ollama", "tools": ["time"]}
    monkeypatch.setattr("chatstream.terminal.answering.run", lambda *_, **__: int("no number"))
    answering = Answering(ARGUMENTS, flags, kept=kept)
    question = Question(messages=(Message("user", "hi"),))
    with pytest.raises(ValueError, match="no number"):
        answering.begin(resolve(flags), question)
    assert kept.take(key_of(resolve(flags).settings, [Path.cwd()])) is not None
