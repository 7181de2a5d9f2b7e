"""A mistake on the command line says what was wrong, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.answers import whole
from tests.support.client import run_here, server_flags
from tests.support.loopback import Reply, Script

NOT_FOUND = Reply.json({"error": "model 'lama3.2' not found"}, 404)
MODELS = Reply.json({"models": [{"name": "llama3.2:1b"}, {"name": "qwen3:4b"}]})


@pytest.mark.parametrize(
    ("arguments", "wrong", "meant"),
    [
        (["aks"], "unknown command 'aks'", "did you mean 'ask'?"),
        (["hello"], "unknown command 'hello'", 'chatstream ask "hello"'),
        (["why", "is", "it"], "unknown command 'why'", 'chatstream ask "why is it"'),
        (["hello", "-m", "m"], "unknown command 'hello'", 'chatstream ask "hello"'),
        ([" "], "unknown command ' '", 'chatstream ask "..."'),
        (["a" * 99], "unknown command", 'chatstream ask "..."'),
        (["$(x)"], "unknown command", 'chatstream ask "..."'),
        (["history", "serach"], "unknown command 'serach'", "did you mean 'search'?"),
        (["config", "sett"], "unknown command 'sett'", "did you mean 'set'?"),
        (["ask", "--modle", "m"], "unknown option --modle", "did you mean '--model'?"),
        (["ask", "--no-stat"], "unknown option --no-stat", "'--no-stats'"),
        (["resume", "--themes"], "unknown option --themes", "did you mean '--theme'?"),
        (["history", "list", "--jsn"], "unknown option --jsn", "did you mean '--json'?"),
        (["--model", "m"], "unknown option --model", "chatstream ask --model"),
        (["--verson"], "unknown option --verson", "did you mean '--version'?"),
        (["bench", "--conn", "resue"], "'resue' is not one of", "did you mean 'reuse'?"),
        (["history", "export", "--format", "josn"], "'josn' is not", "did you mean 'json'?"),
        (["ask", "-p", "olama", "hi"], "unknown provider 'olama'", "did you mean 'ollama'?"),
        (["ask", "--on-drop", "contine", "hi"], "contine", "did you mean 'continue'?"),
        (["config", "set", "modle", "m"], "unknown setting 'modle'", "did you mean 'model'?"),
        (["config", "set", "theme", "drak"], "drak", "did you mean 'dark'?"),
        (
            ["--show-completion", "zhs"],
            "no completion is available for 'zhs'",
            "did you mean 'zsh'?",
        ),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else "",
)
def test_a_mistake_is_two_lines_that_help(arguments: list[str], wrong: str, meant: str) -> None:
    done = run_here(arguments)
    assert (done.status, done.stdout) == (2, b"")
    said, hint = done.stderr.splitlines()
    assert wrong in said
    assert meant in hint


def test_what_the_configuration_names_wrongly_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[profiles.work]\nmodel = "m"\n[strategies]\nbalanced = ["demo@demo"]\n')
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    assert "did you mean 'work'?" in run_here(["ask", "--profile", "wrok", "hi"]).stderr
    assert "did you mean 'balanced'?" in run_here(["ask", "--strategy", "balance", "hi"]).stderr


def test_a_model_that_the_server_does_not_have_is_suggested_from_those_it_has() -> None:
    with Script(NOT_FOUND, MODELS) as server:
        url = server.url
        done = run_here(["ask", "-p", "ollama", "--base-url", url, "-m", "lama3.2", "hi"])
    assert (done.status, done.stdout) == (3, b"")
    *_, near, pull = done.stderr.splitlines()
    assert near == "did you mean 'llama3.2:1b'?"
    assert pull == f"`chatstream models pull lama3.2 -p ollama --base-url {url}` downloads it"


def test_where_the_server_does_not_tell_its_models_the_usual_hint_stays() -> None:
    with Script(NOT_FOUND, Reply(status=500)) as server:
        url = server.url
        done = run_here(["ask", "-p", "ollama", "--base-url", url, "-m", "lama3.2", "hi"])
    assert done.status == 3
    assert "chatstream models" in done.stderr


# A question in the place of a command.


@pytest.mark.parametrize(
    "before_and_after",
    [([], ["why is it"]), ([], ["why is it", "--plain"]), (["--plain"], ["why is it"])],
    ids=str,
)
def test_one_argument_with_a_blank_is_a_question(
    before_and_after: tuple[list[str], list[str]],
) -> None:
    before, after = before_and_after
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        arguments = [*before, *after, *flags] if not before else [*before, *flags, *after]
        assert run_here(arguments).status == 0
        assert b"why is it" in server.requests[0].body


@pytest.mark.parametrize(
    "arguments", [["--profile", "my work", "modles"], ["--model", "m", "bench", "a question"]]
)
def test_what_is_no_plain_question_is_not_asked(arguments: list[str]) -> None:
    done = run_here(arguments)
    assert (done.status, done.stdout) == (2, b"")
    assert "chatstream ask" in done.stderr
