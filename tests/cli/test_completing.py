"""What TAB offers, as the shells are told it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chatstream.cli.completing import running_shell
from chatstream.engine.kinds import choices
from chatstream.engine.model_list import remember
from chatstream.engine.settings import FIELDS, Settings
from chatstream.providers import PROVIDERS
from chatstream.store.place import runs_folder, state_folder
from tests.support.client import Finished, run, run_here
from tests.support.roles import write_role
from tests.support.runs import failed, run_id, write_run


def asked(line: str, how: str = "complete_bash") -> Finished:
    return run_here([], _CHATSTREAM_COMPLETE=how, COMP_WORDS=line)


def offered(line: str) -> list[str]:
    done = asked(line)
    assert (done.status, done.stderr) == (0, "")
    return done.stdout.decode().splitlines()


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(
        '[profiles.work]\nprovider = "openai"\nmodel = "gpt-5"\n[profiles.home]\n'
        '[strategies]\nfast = ["demo@demo"]\n'
    )
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    return file


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("chatstream re", ["resume", "replay"]),
        ("chatstream history s", ["show", "search"]),
        ("chatstream config s", ["show", "set"]),
        ("chatstream ask -p o", ["ollama", "openai", "openai-responses", "openrouter"]),
        ("chatstream ask --provider=ol", ["--provider=ollama"]),
        ("chatstream ask --on-drop ", ["continue", "restart", "stop", "fallback"]),
        ("chatstream ask 'a question' --on-drop c", ["continue"]),
        ("chatstream 'a question' --on-drop c", ["continue"]),
        ("chatstream ask --tool calc", ["calculate"]),
        ("chatstream ask --tool grep,calc", ["grep,calculate"]),
        ("chatstream ask --allow=calc", ["--allow=calculate"]),
        ("chatstream bench --conn ", ["reuse", "new"]),
        ("chatstream history export --format ", ["markdown", "json"]),
        ("chatstream ask --code-theme mono", ["monokai"]),
        ("chatstream ask -m x@oll", ["x@ollama"]),
        ("chatstream ask --fallback=x@oll", ["--fallback=x@ollama"]),
        ("chatstream ask --quick x@oll", ["x@ollama"]),
        ("chatstream ask --copy", ["--copy", "--copy-code", "--copy-to"]),
        ("chatstream ask --copy --copy", ["--copy-code", "--copy-to"]),
        ("chatstream config set key_v", ["key_variable"]),
        ("chatstream config set on_drop ", ["continue", "restart", "stop", "fallback"]),
        ("chatstream config set journal ", ["true", "false"]),
        ("chatstream config set stats ", ["true", "false"]),
        ("chatstream ask --name key_v", []),  # no setting: the name of a conversation
        ("chatstream config set provider dee", ["deepseek"]),
        ("chatstream --show-completion ", ["bash", "zsh", "fish"]),
        ("chatstream --vers", ["--version"]),
        ("chatstream ask --name ", []),
        ("chatstream ask 'why ", []),
        ("chatstream nonsense ", []),
        ("chatstream models extra ", []),
    ],
)
def test_a_line_is_completed(line: str, values: list[str]) -> None:
    assert offered(line) == values


def test_options_come_in_the_order_of_the_help_page() -> None:
    page = run_here(["ask", "--help-all"]).stdout.decode()
    shown = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", page, re.MULTILINE)
    heads = [name for name in offered("chatstream ask --") if not name.startswith("--no-")]
    assert heads == [*(it for it in shown if not it.startswith("--no-")), "--help-all"]


@pytest.mark.parametrize("name", [name for name in FIELDS if choices(name)])
def test_every_setting_with_few_values_completes_them(name: str) -> None:
    assert offered(f"chatstream config set {name} ") == choices(name)


def test_every_provider_is_offered_with_its_address() -> None:
    done = asked("chatstream ask -p ", "described")
    rows = dict(line.split("\t") for line in done.stdout.decode().splitlines())
    assert set(PROVIDERS) <= set(rows)
    assert rows["openai"] == PROVIDERS["openai"].base_url


@pytest.mark.usefixtures("configured")
def test_profiles_and_strategies_are_those_of_the_file() -> None:
    done = asked("chatstream ask --profile ", "described")
    assert done.stdout.decode().splitlines() == ["work\tgpt-5 at openai", "home\t"]
    assert offered("chatstream ask -m gpt@w") == ["gpt@work"]
    assert offered("chatstream ask --strategy ") == ["fast"]


@pytest.mark.parametrize(
    "line",
    [
        "chatstream ask -f ",
        "chatstream ask --image=pic",
        "chatstream ask --schema per",
        "chatstream ask --save-code s",
        "chatstream replay jou",
        "chatstream bench --baseline b",
        "chatstream bench --csv=r",
        "chatstream compose --outline pl",
        "chatstream compose --out d",
    ],
)
def test_where_a_file_is_wanted_the_shell_completes_it(line: str) -> None:
    assert asked(line).status == 1


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("chatstream ask --role tr", ["translate"]),
        ("chatstream chat --role=tr", ["--role=translate"]),
        ("chatstream roles show t", ["translate"]),
        ("chatstream roles edit ", ["kind", "translate"]),
        ("chatstream roles ", ["list", "show", "edit", "path"]),
        ("chatstream ask --role translate --var ", ["language="]),
        ("chatstream ask --role nonsense --var ", []),
    ],
)
def test_roles_are_offered_wherever_one_is_named(line: str, values: list[str]) -> None:
    write_role("translate", "Into {{language}}.")
    write_role("kind", "Be kind.")
    if values:
        assert offered(line) == values
    else:
        assert asked(line).stdout == b""


def test_models_that_are_remembered_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:1/v1"
    remember(
        Settings(provider="vllm", base_url=url), ["a:1", "a:2", "b", "evil\x1b[2J", "new\nline"]
    )
    line = f"chatstream ask -p vllm --base-url {url} -m "
    assert offered(line) == ["a:1", "a:2", "b"]
    assert offered(line + "a") == ["a:1", "a:2"]


def test_runs_are_offered_with_their_questions_the_newest_first() -> None:
    for number, question in enumerate(("why\x1b[2J is\nit?", "long " * 99)):
        write_run(state_folder(), run_id(number), question=question)
    write_run(state_folder(), run_id(5), "half", question="broken", end=failed())
    (runs_folder() / "empty.jsonl").touch()
    done = asked("chatstream history show 2026", "described")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [row[0] for row in rows] == [run_id(5), run_id(1), run_id(0)]
    assert [rows[0][1], rows[2][1]] == ["broken", "why␛[2J is it?"]
    assert len(rows[1][1]) == 60
    assert offered("chatstream resume ") == [run_id(5)]
    assert offered(f"chatstream history rm {run_id(0)} {run_id(1)[:-1]}") == [run_id(1)]
    for begin in ("replay", "undo", "ask --at", "ask --edit"):
        assert offered(f"chatstream {begin} {run_id(1)[:-1]}") == [run_id(1)]


@pytest.mark.parametrize("text", ["profiles = 3", "no toml at all", "[profiles]\nx = 3"])
def test_a_broken_configuration_prints_nothing(text: str, configured: Path) -> None:
    configured.write_text(text)
    for line in ("ask --profile ", "ask -m ", "ask --strategy "):
        done = asked(f"chatstream {line}")
        assert (done.stdout, done.stderr) == (b"", "")


def test_no_encoding_of_the_output_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(state_folder(), run_id(1), question="为什么天是蓝的?")
    done = run(
        [],
        _CHATSTREAM_COMPLETE="described",
        COMP_WORDS="chatstream history show ",
        PYTHONIOENCODING="latin-1",
    )
    assert done.stdout.decode() == f"{run_id(1)}\t为什么天是蓝的?\n"


@pytest.mark.parametrize("how", ["complete_zsh", "complete_fish", "source_bash", "nonsense", "1"])
def test_a_script_of_another_program_gets_nothing_that_it_could_evaluate(how: str) -> None:
    done = asked("chatstream ask -p ", how)
    assert (done.status, done.stdout, done.stderr) == (1, b"", "")


@pytest.mark.parametrize(
    "line", ["", " ", "chatstream", "'", '"', "\\", "chatstream ask -p '", "= ="]
)
def test_an_odd_line_is_no_failure(line: str) -> None:
    assert asked(line).stderr == ""


def test_a_shell_that_does_not_tell_its_line_gets_nothing() -> None:
    done = run_here([], _CHATSTREAM_COMPLETE="complete_bash")
    assert (done.status, done.stdout, done.stderr) == (1, b"", "")


def test_a_run_whose_journal_is_read_only_in_part_is_offered() -> None:
    write_run(state_folder(), run_id(1), question="x" * 2_000_000)
    assert asked("chatstream history show ", "described").stdout.decode() == f"{run_id(1)}\t\n"


def test_without_a_name_it_is_the_shell_that_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: "fish")
    assert running_shell() == "fish"
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: None)
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert running_shell() == "zsh"
    monkeypatch.delenv("SHELL")
    assert running_shell() == ""
    done = run_here(["--show-completion"])
    assert (done.status, "shell is not recognised" in done.stderr) == (2, True)
