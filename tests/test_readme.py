"""Every command line of the README is run, and does what it is there for; so is its Python.

`RULES` says how: the first that fits a line holds. A line that no rule fits fails, and so does a
rule that fits no line. Commands run in a folder with the files that they name, against a server
on loopback that is every service, and with a history that has one answer that broke off.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.chat.commands import COMMANDS
from chatstream.engine.resolve import resolve
from chatstream.messages import ToolDefinition
from chatstream.providers.demo import ANSWER
from chatstream.store.outputs import images_of
from chatstream.store.place import state_folder
from chatstream.tools.places import fresh_name
from chatstream.tools.preimages import PreImages
from tests.support.client import COMMAND, run_here
from tests.support.continuing import Continuing
from tests.support.loopback import NDJSON, Reply, Request
from tests.support.roles import write_role
from tests.support.runs import write_run
from tests.support.terminal import on_terminal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = "20261121-134100-000000-abcd"  # the README names it by its beginning
OF_TOOLS = "20261120-091500-000000-abcd"  # this one, too
TEXT = "An answer of a few words.\n\n```python\nprint(1)\n```\n"
POPULATION = ToolDefinition("population", "Tell how many live there.", {"type": "object"})
IMAGE = b'{"message":{"content":"","images":["iVBORw0KGgo="]},"done":false}\n'  # of Ollama
CALLS = {
    "read_file": {"path": "main.py"},
    "edit_file": {"path": "README.md", "old_text": "teh", "new_text": "the"},
    "population": {"country": "Italy"},
    "shell": {"command": "cat main.py"},
}
MODELS = ("llama3.2", "qwen3", "my-model")


@dataclass(frozen=True)
class Rule:
    """How lines are run that begin like `line`, a regular expression.

    `add` goes to the end of the command; `shows` is in what it writes, `makes` the file that it
    writes, and `result` is in what a tool gave the model. `terminal`: it runs on one. `elsewhere`:
    it is not run, for it is already, there.
    """

    line: str
    add: str = ""
    shows: str = ""
    makes: str = ""
    result: str = ""
    terminal: bool = False
    statuses: tuple[int, ...] = (0,)
    elsewhere: str = ""


RULES = (
    Rule(r"make (demo|test)$", elsewhere="the Makefile is what runs every test"),
    Rule(r"(pip|pipx|uv tool) install ", elsewhere="make installs by the same pyproject.toml"),
    Rule(r"chatstream --install-completion$", add="bash", makes=".bashrc"),
    Rule(r"chatstream config show$", shows="model"),
    Rule(r"chatstream config set "),
    Rule(r"chatstream ask .*> haiku.txt$", makes="haiku.txt"),
    Rule(r"chatstream ask .*\| jq ", shows=TEXT),
    Rule(r"chatstream ask .*\| tee .*\| chatstream replay -$", shows=TEXT, makes="run.jsonl"),
    Rule(r"chatstream ask .*--copy-to notes.md", makes="notes.md"),
    Rule(r"chatstream ask .*--copy(-code)? ", shows="\x1b]52;", terminal=True),
    Rule(r"chatstream ask .*--save-code src/", makes="src"),
    Rule(r"chatstream ask .*--save-images \. ", makes="image-1.bin"),
    Rule(r"chatstream ask .*--(theme|notify) ", shows="print", terminal=True),
    Rule(r"chatstream ask (-c|--at|--edit) ", shows="Hello from the demo"),
    Rule(r"chatstream ask .*--dry-run", shows="read_file"),
    Rule(r"chatstream ask --tool shell ", add="--allow shell", shows="An answer", result="hello"),
    Rule(r"chatstream ask --tool ", shows="An answer", result="hello"),
    Rule(r"chatstream ask --tools-file tools.py ", shows="An answer", result="59"),
    Rule(r"chatstream ask --tools-from ", shows="An answer", result="sixty"),
    Rule(r"chatstream ask --mcp", elsewhere="tests/cli/test_ask_mcp.py"),
    Rule(r"chatstream compose .*--out page.md$", shows="wrote page.md", makes="page.md"),
    Rule(r"chatstream compose ", elsewhere="tests/many/test_composing.py"),
    Rule(r'(git diff \| )?chatstream (ask |")', shows="An answer"),
    Rule(r"echo .*\| chatstream chat -c$", shows="Hello from the demo"),
    Rule(r"chatstream chat( |$)"),
    Rule(r"chatstream batch .*--out answers", makes="answers.jsonl"),
    Rule(r"chatstream batch .*--template ", makes="greetings.jsonl"),
    Rule(r"cat prompts.txt \| chatstream batch - ", shows="An answer"),
    Rule(r"chatstream models pull ", shows="qwen3:4b is ready"),
    Rule(r"chatstream models show ", shows="completion"),
    Rule(r"chatstream models ", shows="llama3.2"),
    Rule(r"chatstream prices update$", add="--base-url http://localhost:8000/v1", shows="3 models"),
    Rule(r"chatstream prices list ", shows="prices update", statuses=(2,)),  # none are kept here
    Rule(r"chatstream roles list$", shows="translate"),
    Rule(r"chatstream tools list$", shows="read_file"),
    Rule(r"chatstream tools show grep$", shows="regular expression"),
    Rule(r"chatstream tools call grep ", shows="main.py:1:print"),
    Rule(r"chatstream undo$", shows="restored", makes="notes.txt"),
    Rule(r"chatstream resume( |$)", shows=ANSWER),
    Rule(r"chatstream history export > ", makes="notes.md"),
    Rule(r"chatstream history show --text", shows=ANSWER[:100]),
    Rule(r"chatstream history", shows=RUN[:15]),
    Rule(r"chatstream replay ", shows=ANSWER[:100], statuses=(5,)),  # the run was killed
    Rule(r"chatstream bench --self-test", elsewhere="tests/cli/test_bench.py"),
    Rule(r"chatstream bench .*--fail-if ", add="-n 2", shows="errors", statuses=(0, 1)),
    Rule(r"chatstream bench .*\| jq ", add="-n 2", shows="ttft"),
    Rule(r"chatstream bench .*--html ", add="-n 2", makes="report.html"),
    Rule(r"chatstream bench --explain$", shows="connected socket"),
    Rule(r"chatstream bench", add="-n 2", shows="TTFT"),
    Rule(r"chatstream doctor ", shows="tokens"),
    Rule(r"chatstream doctor$", shows="configuration"),
)


def blocks(language: str) -> list[str]:
    """The README's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The command lines of the README's console blocks, without the comments after them."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [re.sub(r"\s+# .*", "", line[2:]).strip() for line in lines if line.startswith("$ ")]


def rule_for(line: str) -> Rule | None:
    return next((rule for rule in RULES if re.match(rule.line, line)), None)


def run_lines() -> list[tuple[str, Rule]]:
    """The lines that are run, and how."""
    ruled = [(line, rule_for(line)) for line in commands()]
    return [(line, rule) for line, rule in ruled if rule and not rule.elsewhere]


class EveryService(Continuing):
    """Ollama, OpenAI and Anthropic at one address. As Ollama, it calls the tools in `CALLS`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.results: list[str] = []  # of tools

    def take(self, request: Request) -> Reply:
        if request.path == "/api/chat" and (reply := self._calls(json.loads(request.body))):
            return reply
        match request.path.partition("?")[0]:
            case "/api/tags":
                models = [{"name": it, "details": {"family": "llama"}} for it in MODELS]
                return Reply.json({"models": models})
            case "/api/pull":
                return Reply(b'{"status":"success"}\n', headers=NDJSON)
            case "/api/show":
                return Reply.json({"capabilities": ["completion"]})
            case "/v1/models":
                pricing = {"prompt": "0.000001", "completion": "0.000002"}
                return Reply.json({"data": [{"id": it, "pricing": pricing} for it in MODELS]})
        reply = super().take(request)
        return replace(reply, body=[IMAGE, *reply.writes()]) if b"cat" in request.body else reply

    def _calls(self, asked: dict[str, Any]) -> Reply | None:
        """The calls that answer a question; None for one that has results, or no tools."""
        results = [it["content"] for it in asked["messages"] if it["role"] == "tool"]
        self.results += results
        names = [it["function"]["name"] for it in asked.get("tools", ())]
        calls = [{"function": {"name": it, "arguments": CALLS[it]}} for it in names if it in CALLS]
        if results or not calls:
            return None
        message = {"role": "assistant", "content": "", "tool_calls": calls}
        lines = [{"message": message, "done": False}, {"message": {"content": ""}, "done": True}]
        return Reply([json.dumps(it).encode() + b"\n" for it in lines], headers=NDJSON)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EveryService]:
    """The services; the commands' folder and history; and `chatstream` and `jq` to be found."""
    for file in ("main.py", "notes.txt"):
        (tmp_path / file).write_text("print('hello')\n")
    (tmp_path / "prompts.txt").write_text("Why is the sky blue?\n")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why is the sky blue?"}\n')
    (tmp_path / "people.csv").write_text("name\nAnn\n")
    (tools,) = (it for it in blocks("python") if it.startswith("# tools.py"))
    (tmp_path / "tools.py").write_text(tools)
    (role,) = blocks("markdown")
    write_role("translate", role)
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {"chatstream": f'exec {shlex.join(COMMAND)} "$@"'}
    if shutil.which("jq") is None:
        scripts["jq"] = f'exec {shlex.quote(sys.executable)} -m tests.support.jq "$@"'
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.chdir(tmp_path)
    write_run(
        state_folder(),
        RUN,
        ANSWER[:100],
        question="what are black holes?",
        model="demo-fast",
        killed=True,
    )
    write_run(
        state_folder(),
        OF_TOOLS,
        tools=[POPULATION],
        pieces=[
            ev.ToolCall("c1", "population", json.dumps(CALLS["population"])),
            ev.ToolStart("c1", "population", CALLS["population"], "read"),
            ev.ToolComplete("c1", "population", "sixty", 0.1),
            ev.Content("Sixty million."),
        ],
    )
    written = (tmp_path / "notes.txt").read_bytes()
    images = PreImages(images_of(state_folder(), OF_TOOLS))
    images.keep(tmp_path, ["notes.txt"], b"before", written, fresh=fresh_name())
    with EveryService(TEXT) as services:
        monkeypatch.setenv("OLLAMA_HOST", services.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", services.url)
        yield services


def test_every_command_has_a_rule_and_every_rule_a_command() -> None:
    assert len(commands()) > 20
    rules = [rule_for(line) for line in commands()]
    lines = [line for line, rule in zip(commands(), rules, strict=True) if rule is None]
    assert lines == [], "no rule says how to run them"
    assert [rule.line for rule in RULES if rule not in rules] == [], "no line needs them"


@pytest.mark.parametrize(("line", "rule"), [pytest.param(*it, id=it[0]) for it in run_lines()])
def test_a_command_of_the_readme_does_what_it_is_there_for(
    line: str, rule: Rule, server: EveryService, tmp_path: Path
) -> None:
    first, pipe, others = line.partition(" | ")
    command = re.sub("http://localhost:[0-9]+", server.url, f"{first} {rule.add}{pipe}{others}")
    status, shown = done(command, terminal=rule.terminal)
    assert status in rule.statuses, shown
    assert rule.shows in shown
    assert "Traceback" not in shown
    assert any(rule.result in it for it in [*server.results, ""])
    if rule.makes:
        made = tmp_path / rule.makes
        assert any(made.iterdir()) if made.is_dir() else made.stat().st_size > 0
    assert server.strays == []


@pytest.mark.parametrize("line", [it for it in commands() if it.startswith("make ")])
def test_what_the_readme_makes_is_in_the_makefile(line: str) -> None:
    target = line.removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_python_of_the_readme_runs(
    server: EveryService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHATSTREAM_MODEL", "demo-fast")
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert TEXT in shown
    assert ANSWER in shown
    assert server.results == ["59"]


def test_the_settings_of_the_readme_are_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    for settings in blocks("toml"):
        file.write_text(settings, encoding="utf-8")
        for profile in (None, *tomllib.loads(settings).get("profiles", {})):
            assert set(resolve({}, profile=profile).origins)


def test_the_chat_commands_of_the_readme_are_commands() -> None:
    named = set(re.findall(r"`(/[a-z]+)`", README))
    assert len(named) > 5
    assert named <= COMMANDS.keys()


def done(command: str, *, terminal: bool) -> tuple[int, str]:
    """The exit status of a command, and all that it wrote. Only what needs a shell gets one."""
    words = shlex.split(command)
    if terminal:
        status, _, written = on_terminal(words[1:])
        return status, written.decode()
    if not re.search(r" [|>] ", command):
        finished = run_here(words[1:])
        return finished.status, finished.stdout.decode() + finished.stderr
    shell = subprocess.run(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    return shell.returncode, (shell.stdout + shell.stderr).decode()
