"""Claimed: TAB completes providers, models and run ids in the real bash, zsh and fish, installed
with `--install-completion`. Each shell has a home of its own and a terminal of tmux.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatstream.store.place import state_folder
from tests.support.client import run_here
from tests.support.loopback import Reply, Script
from tests.support.real import install
from tests.support.runs import run_id, write_run
from tests.support.tmux import Pane, tmux
from tests.support.unavailable import Unavailable, require

pytestmark = [pytest.mark.real, pytest.mark.serial]

NAMES = ["llama3.2:1b", "llama3.2:3b", "qwen3:4b"]
MODELS = Reply.json({"models": [{"name": name} for name in NAMES]})
QUESTIONS = ["why is the sky blue", "what is $(touch gone) `touch gone`"]


def bash(home: Path) -> list[str]:
    (home / ".bashrc").write_text("PS1='> '")  # without a line end: nothing may join this line
    found = shutil.which("bash")
    if found is None:
        raise Unavailable("there is no bash")
    return [found]


def zsh(home: Path) -> list[str]:
    root = install.shells()
    (modules,) = root.glob("usr/lib/*-linux-gnu/zsh/*")
    functions = f"{root}/usr/share/zsh/functions/**/*(/N)"
    (home / ".zshenv").write_text(f"module_path=({modules})\nfpath=({functions})\n")
    (home / ".zshrc").write_text("PROMPT='> '\n")
    return install.unpacked(root, "usr/bin/zsh")


def fish(home: Path) -> list[str]:
    config = home / "config" / "fish" / "config.fish"
    config.parent.mkdir(parents=True)
    config.write_text(
        "set -g fish_autosuggestion_enabled 0\nfunction fish_prompt; echo '> '; end\n"
    )
    return install.unpacked(install.shells(), "usr/bin/fish")


@contextmanager
def started(shell: Callable[[Path], list[str]], home: Path) -> Iterator[Pane]:
    """The shell in a pane, with completion as a user installs it. Raises `Unavailable`."""
    command = shell(home)
    assert run_here(["--install-completion", shell.__name__]).status == 0
    with tmux(110, 30) as pane:
        pane.run(command, PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin", TERM="xterm")
        pane.until_shown(">")
        yield pane


@pytest.mark.parametrize("shell", [bash, zsh, fish], ids=lambda it: it.__name__)
def test_tab_completes_a_provider_a_model_and_a_run(
    shell: Callable[[Path], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_proxies: None,
) -> None:
    for number, question in enumerate(QUESTIONS):
        write_run(state_folder(), run_id(number * 3600), "an answer", question=question)
    (tmp_path / "question.txt").touch()
    (tmp_path / "config.toml").write_text('[profiles."my work"]\nprovider = "demo"\n')
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(tmp_path / "config.toml"))
    with Script(MODELS, cycle=True) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with require(started(shell, tmp_path)) as pane:

            def completes(typed: str, whole: str) -> None:
                pane.send("C-u")
                pane.send(typed)
                pane.send("Tab")
                pane.until(lambda: whole in pane.text().replace("\n", ""))

            completes("chatstream ask -p oll", "ask -p ollama")
            pane.send("C-u")
            pane.send("chatstream ask -p ollama -m ll")
            pane.send("Tab")  # a machine under load may need longer than a person waits
            pane.until(lambda: list((state_folder() / "models").glob("*.json")) != [])
            completes("chatstream ask -p ollama -m q", "ollama -m qwen3:4b")
            completes("chatstream ask -p ollama -m llama3.2:1", "-m llama3.2:1b")
            completes("chatstream ask -p ollama --model=llama3.2:3", "--model=llama3.2:3b")
            completes("chatstream history show 20260101-01", f"history show {run_id(3600)}")
            completes("chatstream resume --on-drop re", "--on-drop restart")
            completes("chatstream models --profile m", "--profile my\\ work")
            completes(f"chatstream ask -f {tmp_path}/ques", f"-f {tmp_path}/question.txt")
            completes("chatstream ask -s x --fallback qwen3@opena", "--fallback qwen3@openai")
            completes("chatstream history show 2026010", f"history show {run_id(0)[:10]}")
            if shell is not bash:  # which shows no descriptions
                pane.send("Tab")
                pane.until(lambda: all(it in pane.text() for it in QUESTIONS))
    assert list(tmp_path.rglob("gone")) == []
