"""Claimed: `doctor` on its own says what works and what does not, and asks no model for it."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chatstream.cancel import CancelToken
from chatstream.doctor import checkup
from chatstream.doctor.diagnosis import Finding
from chatstream.engine import stored_keys
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled
from chatstream.providers import PROVIDERS
from tests.support.client import Finished, run_here
from tests.support.loopback import Reply, Script

SECRET = "sesame-opens-the-door"
LIST = Reply.json({"data": [{"id": "small"}, {"id": "large"}]})


@pytest.fixture(autouse=True)
def no_local_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs on this machine is none of a test's business."""
    for name, row in PROVIDERS.items():
        if row.local and row.base_url:
            away = msgspec.structs.replace(row, base_url="http://127.0.0.1:9/v1")
            monkeypatch.setitem(PROVIDERS, name, away)


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


@pytest.fixture
def server() -> Iterator[Script]:
    with Script(LIST) as server:
        yield server


def use(configuration: Path, server: Script, *more: str) -> None:
    lines = [f'base_url = "{server.url}/v1"', 'provider = "openai"', *more]
    configuration.write_text("\n".join(lines))


def doctor(*flags: str) -> Finished:
    return run_here(["doctor", *flags])


def found(done: Finished) -> dict[str, Finding]:
    """The findings of a run with --json, by their codes; the worst of those with one code."""
    each = [msgspec.json.decode(line, type=Finding) for line in done.stdout.splitlines()]
    order = ["ok", "note", "problem"]
    return {it.code: it for it in sorted(each, key=lambda it: order.index(it.severity))}


def test_where_all_is_well_it_says_so_and_asks_no_model(
    configuration: Path, server: Script
) -> None:
    use(configuration, server, 'model = "small"', f'api_key = "{SECRET}"')
    done = doctor()
    text = done.stdout.decode()
    assert (done.status, done.stderr) == (0, "")
    assert f"configuration: {configuration}" in text
    assert f"key: api_key from {configuration}" in text
    assert f"openai at {server.url}/v1: 2 models" in text
    assert f"`chatstream ask` would ask small (openai at {server.url}/v1)" in text
    assert {(it.method, it.path) for it in server.requests} == {("GET", "/v1/models")}
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in text


def test_a_model_that_the_server_does_not_have_is_a_problem(
    configuration: Path, server: Script
) -> None:
    use(configuration, server, 'model = "smal"')
    done = doctor("--json")
    assert (done.status, found(done)["ask"].severity) == (1, "problem")
    assert found(done)["ask"].todo == "it has: small"


@pytest.mark.parametrize(
    ("model", "listed"),
    [("llama3.2", "llama3.2:latest"), ("gemini-2", "models/gemini-2"), ("m", "m")],
)
def test_a_list_may_write_a_models_name_in_full(
    configuration: Path, server: Script, model: str, listed: str
) -> None:
    server.play(Reply.json({"data": [{"id": listed}]}))
    use(configuration, server, f'model = "{model}"')
    assert doctor().status == 0


def test_a_key_that_is_refused_is_a_problem_and_never_shown(
    configuration: Path, server: Script
) -> None:
    use(configuration, server, 'model = "m"', f'api_key = "{SECRET}"')
    server.play(Reply.json({"error": {"message": f"bad key {SECRET}"}}, 401))
    done = doctor("--json")
    its = found(done)
    assert (done.status, its["key-refused"].severity, its["ask"].severity) == (1, *["problem"] * 2)
    assert SECRET not in done.stdout.decode()


def test_a_server_that_does_not_list_its_models_may_still_work(
    configuration: Path, server: Script
) -> None:
    use(configuration, server, 'model = "m"')
    server.play(Reply.json({}, 404))
    done = doctor("--json")
    assert (done.status, found(done)["ask"].severity) == (0, "note")


def test_another_servers_refused_key_is_no_problem_of_this_one(
    configuration: Path, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script(Reply.json({"error": {"message": "no"}}, 401)) as other:
        monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", other.url)
        use(configuration, server, 'model = "small"')
        done = doctor("--json")
        assert other.requests[0].headers["x-api-key"] == SECRET
    assert (done.status, found(done)["key-refused"].severity) == (0, "note")


def test_a_stored_key_is_told_with_its_place_and_never_shown(
    configuration: Path, server: Script
) -> None:
    use(configuration, server, 'model = "small"')
    stored_keys.store("vllm", SECRET)
    done = doctor()
    place = stored_keys.place_of("vllm")
    text = done.stdout.decode()
    assert f"key: vllm is stored with `chatstream keys`, in {place}" in " ".join(text.split())
    assert "none is set" not in text
    assert SECRET not in text
    Path(place).write_text("{")
    assert found(doctor("--json"))["key"].severity == "problem"


def test_without_anything_to_ask_it_says_how_to_begin(configuration: Path) -> None:
    done = doctor()
    text = done.stdout.decode()
    assert done.status == 1
    assert "not running: ollama at http://127.0.0.1:9" in text
    assert "key: none is set" in text
    assert 'chatstream ask -p demo "hello"' in text


def test_a_server_that_only_a_variable_names_is_checked(
    configuration: Path, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    done = doctor()
    text = done.stdout.decode()
    assert f"openai at {server.url}/v1: 2 models" in text
    assert f"`chatstream ask` would ask small (openai at {server.url}/v1)" in text
    assert (done.status, done.stderr) == (0, "")


def test_a_dead_server_of_the_settings_is_a_problem(configuration: Path) -> None:
    with Script() as server:
        use(configuration, server, 'model = "m"')
    done = doctor("--json")
    assert (done.status, found(done)["unreachable"].severity) == (1, "problem")


def test_a_silent_server_is_waited_for_no_longer_than_the_limit(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "LIMIT_SECONDS", 0.3)
    with Script(Reply([b"{}"], hold={"before_head": threading.Event()})) as server:
        use(configuration, server, 'model = "m"')
        done = doctor("--json")
        assert server.wait_closed()
    assert (done.status, found(done)["unreachable"].what[-22:]) == (1, "no answer within 0.3 s")


def test_a_mistake_in_the_file_is_the_problem_and_the_rest_is_checked(configuration: Path) -> None:
    configuration.write_text('modle = "m"\n')
    done = doctor("--json")
    its = found(done)
    assert (done.status, its["configuration"].severity) == (1, "problem")
    assert "modle" in its["configuration"].what
    assert "model" in (its["configuration"].todo or "")
    assert "ask" not in its
    assert its["not-running"]
    assert its["terminal"]


def test_an_empty_variable_is_a_problem_and_its_server_is_not_asked(
    configuration: Path, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(configuration, server, 'model = "small"')
    monkeypatch.setenv("CHATSTREAM_BASE_URL", "")
    done = doctor("--json")
    assert (done.status, found(done)["configuration"].severity) == (1, "problem")
    assert server.connections == []


def test_a_variable_that_means_nothing_is_a_note(
    configuration: Path, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(configuration, server, 'model = "small"')
    monkeypatch.setenv("CHATSTREAM_MODLE", "large")
    done = doctor("--json")
    assert (done.status, found(done)["setting"].severity) == (0, "note")
    assert "CHATSTREAM_MODLE" in found(done)["setting"].what


def test_a_mistake_in_another_profile_is_a_note(configuration: Path, server: Script) -> None:
    use(configuration, server, 'model = "small"', "[profiles.work]", 'retries = "many"')
    done = doctor("--json")
    its = found(done)
    assert (done.status, its["setting"].severity) == (0, "note")
    assert its["setting"].what.startswith("configuration: profile work in ")
    assert "retries takes a whole number" in its["setting"].what
    assert doctor("--profile", "work").status == 1
    assert doctor("--profile", "nobody").status == 1


def test_a_key_command_runs_once(configuration: Path, server: Script, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = shlex.join(["sh", "-c", f"echo run >>{runs}; echo {SECRET}"])
    use(configuration, server, 'model = "small"', f"key_command = '''{command}'''")
    assert doctor().status == 0
    assert runs.read_text() == "run\n"
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_a_key_command_that_fails_is_a_problem(configuration: Path, server: Script) -> None:
    use(configuration, server, 'model = "m"', 'key_command = "false"')
    done = doctor("--json")
    assert (done.status, found(done)["key"].severity, server.requests) == (1, "problem", [])


def test_a_key_variable_that_is_not_set_is_a_problem(configuration: Path, server: Script) -> None:
    use(configuration, server, 'model = "m"', 'key_variable = "NO_SUCH_KEY"')
    done = doctor("--json")
    assert done.status == 1
    assert "NO_SUCH_KEY" in done.stdout.decode()


def test_a_stop_ends_it(configuration: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(checkup.servers(Settings(), token))
