"""`ask`, as a process: what is on stdout and stderr, and the exit status, on every path."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from chatstream.transcript import Transcript
from tests.support.answers import (
    ALL_DIALECTS,
    TEXT,
    as_one_body,
    ending,
    failure,
    frames,
    headers,
    whole,
)
from tests.support.client import COMMAND, Finished, Running, run, run_each, run_here, server_flags
from tests.support.continuing import Continuing, half, long_text, refuses_prefill
from tests.support.loopback import Framing, Point, Reply, Script
from tests.support.refused import refused_port

VALIDATOR = jsonschema.Draft202012Validator(ev.json_schema())


def check(done: Finished) -> ev.AnyEvent:
    """The claims that hold for the `--json` output of every run; returns the terminal event."""
    for line in done.stdout.splitlines():
        VALIDATOR.validate(json.loads(line))
    events = done.events
    grammar.check(events)
    assert [isinstance(e, ev.Done | ev.Error) for e in events].count(True) == 1
    return events[-1]


def ask_json(dialect: str, url: str, *more: str) -> Finished:
    return run_each(["ask", "--json", *server_flags(dialect, url), *more, "hi"])


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_plain_writes_the_models_bytes_and_nothing_else(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        done = run(["ask", *server_flags(dialect, server.url), "hi"])
    assert (done.status, done.stdout, done.stderr) == (0, TEXT.encode(), "")


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_json_tells_a_whole_answer(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        done = ask_json(dialect, server.url)
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert done.status == 0
    assert "".join(e.delta for e in done.events if isinstance(e, ev.Content)) == TEXT
    assert terminal.finish_reason == "stop"
    assert terminal.usage == ev.Counts(input_tokens=3, output_tokens=5)
    assert terminal.attempts == 1


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_cut_answer_is_truncated_and_keeps_its_text(dialect: str, framing: Framing) -> None:
    reply = Reply(frames(dialect), headers=headers(dialect), framing=framing)
    with Script(reply) as server:
        done = ask_json(dialect, server.url, "--on-drop", "stop")
    terminal = check(done)
    assert done.status == 5
    assert isinstance(terminal, ev.Error)
    assert (terminal.code, terminal.partial) == ("truncated", True)
    assert (terminal.resume or "").startswith("chatstream resume ")
    assert "".join(e.delta for e in done.events if isinstance(e, ev.Content)) == TEXT
    assert len(server.requests) == 1  # what was shown is not asked for again


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_error_in_the_stream_is_an_error(dialect: str) -> None:
    reply = Reply([*frames(dialect), failure(dialect)], headers=headers(dialect))
    with Script(reply) as server:
        done = ask_json(dialect, server.url, "--on-drop", "stop")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code, terminal.partial) == (1, "server_error", True)
    assert "the model crashed" in terminal.message


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize(
    ("status", "message", "code", "exit_status"),
    [
        (401, "invalid api key", "auth", 3),
        (404, "model 'x' not found", "model_not_found", 3),
        (400, "temperature is not allowed", "bad_request", 3),
        (500, "internal error", "server_error", 1),
        (429, "slow down", "rate_limited", 1),
    ],
)
def test_an_http_error_has_its_code_and_status(
    dialect: str, status: int, message: str, code: str, exit_status: int
) -> None:
    with Script(Reply.json({"error": {"message": message}}, status)) as server:
        done = ask_json(dialect, server.url, "--retries", "0")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code, terminal.status) == (exit_status, code, status)
    assert message in terminal.message


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_429_is_retried_after_the_time_it_asks_for(dialect: str) -> None:
    busy = Reply.json({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.2"})
    with Script(busy, whole(dialect)) as server:
        done = ask_json(dialect, server.url)
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert (done.status, terminal.attempts) == (0, 2)
    (retry,) = [e for e in done.events if isinstance(e, ev.Retry)]
    assert (retry.attempt, retry.delay, retry.status) == (2, 0.2, 429)


def test_a_refused_connection_is_a_connect_error() -> None:
    port = refused_port()
    done = ask_json("ollama", f"http://127.0.0.1:{port}", "--retries", "0")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (1, "connect")
    assert "refused" in terminal.message


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_keep_alives_for_ever_end_as_a_stall(dialect: str) -> None:
    keep_alive = b"\n" if dialect == "ollama" else b": keep-alive\n\n"
    body = itertools.chain(frames(dialect), itertools.repeat(keep_alive))
    with Script(Reply(body, headers=headers(dialect), pace=0.02)) as server:
        done = ask_json(dialect, server.url, "--idle-timeout", "0.5", "--retries", "0")
        assert server.wait_closed()
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code, terminal.partial) == (4, "stalled", True)


def test_empty_lines_for_ever_are_no_answer() -> None:
    reply = Reply(itertools.repeat(b"\n"), headers=headers("openai"), pace=0.02)
    with Script(reply) as server:
        done = ask_json("openai", server.url, "--first-token-timeout", "0.4", "--retries", "0")
        assert server.wait_closed()
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (4, "timeout")
    assert "only keep-alives" in terminal.message


def test_waiting_tells_that_keep_alives_come() -> None:
    body = itertools.chain(frames("openai"), itertools.repeat(b": ping\n\n"))
    with Script(Reply(body, headers=headers("openai"), pace=0.02)) as server:
        done = ask_json("openai", server.url, "--idle-timeout", "1.3")
    (waiting,) = [e for e in done.events if isinstance(e, ev.Waiting)]
    assert (waiting.phase, waiting.limit, waiting.alive) == ("between_tokens", 1.3, True)


@pytest.mark.parametrize("point", ["before_head", "after_head"])
def test_a_server_that_never_answers_ends_at_the_first_token_limit(point: Point) -> None:
    reply = Reply(hold={point: threading.Event()}, headers=headers("ollama"))
    with Script(reply) as server:
        done = ask_json("ollama", server.url, "--first-token-timeout", "0.3", "--retries", "0")
        assert server.wait_closed()
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (4, "timeout")
    assert "no token within 0.3 s" in terminal.message


def test_the_limit_for_everything_holds_over_retries() -> None:
    with Script(Reply.json({"error": "busy"}, 503)) as server:
        done = ask_json("ollama", server.url, "--timeout", "0.4", "--retries", "50")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (4, "timeout")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "--json", "--temperature", "warm", "hi"],
        ["ask", "--json", "--no-such-flag", "hi"],
        ["ask", "--json", "-p", "nobody", "hi"],
        ["ask", "--json", "-o", "novalue", "hi"],
        ["ask", "--json"],
        ["ask", "--json", "--profile", "none", "hi"],
        ["ask", "--json", "--base-url", "ftp://x", "hi"],
        ["ask", "--json", "--reasoning", "maybe", "hi"],
        ["ask", "--json", "-f", "/no/such/file", "hi"],
        ["ask", "--json", "-p", "demo", "--on-drop", "fallback", "hi"],
        ["ask", "--json", "-p", "demo", "--on-drop", "maybe", "hi"],
        ["ask", "--json", "-p", "demo", "--strategy", "none", "hi"],
        ["ask", "--json", "-p", "demo", "--buffer", "big", "hi"],
    ],
    ids=lambda arguments: " ".join(arguments[2:]) or "no question",
)
def test_a_mistake_is_one_error_event_and_exit_2(arguments: list[str]) -> None:
    done = run_here(arguments)
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert done.status == 2
    assert terminal.code in {"usage", "config"}
    assert "Traceback" not in done.stderr


def test_without_json_a_mistake_is_a_clear_line_on_stderr() -> None:
    done = run(["ask", "--temperature", "warm", "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: ")
    assert "--temperature" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("usual_colours")
def test_with_nothing_configured_three_lines_say_how_to_start() -> None:
    port = refused_port()
    done = run(["ask", "hi"], OLLAMA_HOST=f"127.0.0.1:{port}")
    assert done.status == 2
    first, *how = done.stderr.splitlines()
    assert first.startswith("error: no model server")
    assert len(how) == 3
    assert "demo" in how[0]
    assert "ollama" in how[1]
    assert "OPENAI_API_KEY" in how[2]


def test_with_nothing_configured_a_local_ollama_is_found_and_its_first_model_asked() -> None:
    models = Reply.json({"models": [{"name": "tiny:latest"}, {"name": "other"}]})
    with Script(models, models, whole("ollama")) as server:
        done = run(["ask", "hi"], OLLAMA_HOST=server.url)
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert server.requests[-1].json["model"] == "tiny:latest"


def test_with_a_key_and_no_ollama_its_provider_is_asked() -> None:
    port = refused_port()
    with Script(Reply.json({"data": [{"id": "m1"}]}), whole("openai")) as server:
        done = run(
            ["ask", "hi"],
            OLLAMA_HOST=f"127.0.0.1:{port}",
            OPENAI_API_KEY="test-key-1",
            OPENAI_BASE_URL=server.url,
        )
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert server.requests[-1].headers["authorization"] == "Bearer test-key-1"


def test_a_key_appears_nowhere() -> None:
    secret = "sk-very-secret-0123456789"
    message = f"Incorrect API key provided: {secret}"
    with Script(Reply.json({"error": {"message": message}}, 401)) as server:
        for more in (["--json"], ["--plain"], ["--debug"]):
            done = run(
                ["ask", *server_flags("openai", server.url), *more, "hi"], OPENAI_API_KEY=secret
            )
            assert done.status == 3
            assert secret not in done.stderr
            assert secret.encode() not in done.stdout
    assert server.requests[0].headers["authorization"] == f"Bearer {secret}"


def test_a_key_that_a_command_gives_appears_nowhere() -> None:
    refusal = Reply.json({"error": {"message": "no such key: given-by-a-command"}}, 401)
    with Script(refusal) as server:
        done = run(
            ["ask", "--json", *server_flags("openai", server.url), "hi"],
            CHATSTREAM_KEY_COMMAND="echo given-by-a-command",
        )
    assert server.requests[0].headers["authorization"] == "Bearer given-by-a-command"
    assert done.status == 3
    assert b"given-by-a-command" not in done.stdout


def test_the_question_is_the_prompt_standard_input_and_files(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("grüße\n")
    with Script(whole("ollama")) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "-s", "be brief", "review this"]
        done = run([*arguments, "-f", str(note)], stdin=b"diff --git\n")
    assert done.status == 0
    system, user = server.requests[0].json["messages"]
    assert system == {"role": "system", "content": "be brief"}
    assert user["content"] == f"review this\n\ndiff --git\n\n{note}:\n```\ngrüße\n```"


def test_a_file_whose_name_is_no_text_is_sent_and_kept(tmp_path: Path) -> None:
    note = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(note)).write_text("content")
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        done = run_here(["ask", *flags, "q", "--json", "-f", os.fsdecode(note)])
    assert (done.status, done.stderr) == (0, "")
    assert not any(isinstance(it, ev.Warn) for it in done.events)
    asked = server.requests[0].json["messages"][0]["content"]
    assert asked == f"q\n\n{tmp_path}/caf\\xe9.txt:\n```\ncontent\n```"
    (journal,) = journals(runs_folder())
    assert read(journal).damage is None


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_file_that_is_not_there_is_told_whatever_its_name(as_json: list[str]) -> None:
    done = run_here(["ask", "-p", "demo", "q", "-f", "caf\udce9", *as_json])
    assert done.status == 2
    assert "caf\\xe9 cannot be read: No such file" in (done.stdout.decode() + done.stderr).replace(
        "\\\\", "\\"
    )


def test_standard_input_that_nohup_leaves_is_none() -> None:
    with Path(os.devnull).open("w") as null:  # it cannot be read
        done = subprocess.run(
            [*COMMAND, "ask", "-p", "demo", "-m", "demo-fast", "hi"],
            stdin=null,
            capture_output=True,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoding", "nope"], "--encoding 'nope' is not a text encoding"),
        (["-f", "-", "--no-stdin"], "--no-stdin contradicts -f -"),
        (["-f", "a\0b"], "contains a NUL character"),
        (["caf\udce9"], "the question is not UTF-8 text: byte 4"),
    ],
)
def test_a_mistake_in_what_is_fed_is_one_line(arguments: list[str], message: str) -> None:
    question = [] if arguments[0].startswith("caf") else ["hi"]
    done = run_here(["ask", "-p", "demo", *arguments, *question])
    assert (done.status, done.stdout) == (2, b"")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_what_was_piped_is_decoded_as_declared() -> None:
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        done = run_here(["ask", *flags, "--encoding", "cp1252", "-"], stdin=b"\x93caf\xe9\x94")
    assert done.status == 0
    assert server.requests[0].json["messages"][0]["content"] == "\u201ccafé\u201d"


def test_a_file_may_be_called_minus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("content")
    with Script(whole("ollama")) as server:
        run_here(["ask", *server_flags("ollama", server.url), "q", "-f", "./-"], stdin=b"piped")
    asked = server.requests[0].json["messages"][0]["content"]
    assert asked == "q\n\npiped\n\n./-:\n```\ncontent\n```"


def test_options_reach_the_server_under_its_own_names() -> None:
    flags = ["-t", "0.5", "--max-tokens", "7", "-o", "seed=3", "-o", "keep_alive=5m"]
    with Script(whole("ollama")) as server:
        run(["ask", *server_flags("ollama", server.url), *flags, "hi"])
    body = server.requests[0].json
    assert body["options"] == {"temperature": 0.5, "num_predict": 7, "seed": 3}
    assert body["keep_alive"] == "5m"


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_no_stream_asks_for_one_body_and_gives_the_same_answer(dialect: str) -> None:
    with Script(Reply.json(as_one_body(dialect))) as server:
        done = run(["ask", *server_flags(dialect, server.url), "--no-stream", "hi"])
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert not server.requests[0].json.get("stream")


@pytest.mark.parametrize(
    ("flags", "variable", "streamed"),
    [
        ([], "", True),
        ([], "off", False),
        (["--stream"], "off", True),
        (["--no-stream"], "on", False),
    ],
)
def test_the_setting_stream_and_its_flags(flags: list[str], variable: str, streamed: bool) -> None:
    with Script(whole("openai")) as server:
        arguments = ["ask", *server_flags("openai", server.url), *flags, "hi"]
        run_here(arguments, CHATSTREAM_STREAM=variable)
    assert bool(server.requests[0].json.get("stream")) is streamed


@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_that_breaks_before_its_first_token_is_asked_for_as_a_whole_if_that_is_wanted(
    wanted: bool,
) -> None:
    body = {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}
    broken = Reply([b": proxy\n\n"], headers=headers("openai"), framing="close")
    with Script(broken, Reply.json(body)) as server:
        arguments = ["ask", *server_flags("openai", server.url), "--retries", "0", "hi"]
        done = run_here(arguments, CHATSTREAM_FALLBACK_ON_ERROR=str(wanted))
    if wanted:
        with Script(broken, Reply.json(body)) as again:
            events = run_here(
                ["ask", "--json", *server_flags("openai", again.url), "--retries", "0", "hi"],
                CHATSTREAM_FALLBACK_ON_ERROR="on",
            )
        assert isinstance(check(events), ev.Done)
        assert (done.status, done.stdout) == (0, TEXT.encode())
        assert "asking without streaming" in done.stderr
    else:
        assert (done.status, done.stdout) == (5, b"")
    assert [bool(it.json.get("stream")) for it in server.requests] == [True, False][: 1 + wanted]


@pytest.mark.usefixtures("usual_colours")
def test_what_is_ignored_is_a_warning_of_the_run() -> None:
    with Script(whole("openai")) as server:
        flags = server_flags("openai", server.url)
        done = run(["ask", "--json", *flags, "hi"], CHATSTREAM_MODLE="x")
        shown = run_here(["ask", *flags, "hi"], CHATSTREAM_MODLE="x")
    assert isinstance(check(done), ev.Done)
    (warning,) = [event for event in done.events if isinstance(event, ev.Warn)]
    assert (warning.code, "did you mean CHATSTREAM_MODEL?" in warning.message) == ("settings", True)
    assert (shown.stdout, shown.stderr) == (TEXT.encode(), f"warning: {warning.message}\n")


@pytest.mark.usefixtures("usual_colours")
def test_a_folder_that_cannot_be_written_is_named_once_and_what_helps() -> None:
    with Script(whole("openai")) as server:
        arguments = ["ask", *server_flags("openai", server.url), "hi"]
        done = run_here(arguments, XDG_STATE_HOME="/dev/null/x")
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert done.stderr == (
        "warning: the journal cannot be written: /dev/null/x/chatstream/runs: Not a directory; "
        "this answer is not saved (set XDG_STATE_HOME, or use --no-journal)\n"
    )


def test_a_configuration_that_is_named_and_missing_asks_nobody(tmp_path: Path) -> None:
    with Script(whole("openai")) as server:
        arguments = ["ask", *server_flags("openai", server.url), "hi"]
        done = run_here(arguments, CHATSTREAM_CONFIG=str(tmp_path / "typo.toml"))
    assert (done.status, server.requests) == (2, [])
    assert f"{tmp_path}/typo.toml, which does not exist" in done.stderr


def test_a_relative_state_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run_here(["ask", "-p", "demo", "-m", "demo-fast", "hi"], XDG_STATE_HOME="rel")
    assert list((tmp_path / "here").iterdir()) == []
    assert len(list((tmp_path / ".local/state/chatstream/runs").iterdir())) == 1


def test_a_reader_that_has_seen_enough_ends_the_run_silently() -> None:
    endless = itertools.chain(frames("ollama"), itertools.repeat(frames("ollama", ["more\n"])[0]))
    with Script(Reply(endless, headers=headers("ollama"))) as server:
        with Running(["ask", *server_flags("ollama", server.url), "hi"]) as client:
            client.read_line()
            assert client.process.stdout is not None
            client.process.stdout.close()
            assert client.process.stderr is not None
            assert client.process.stderr.read() == b""
            assert client.process.wait(10) == 0
        assert server.wait_closed()


def test_utf8_is_written_whatever_the_locale() -> None:
    with Script(whole("ollama")) as server:
        done = run(["ask", *server_flags("ollama", server.url), "hi"], LC_ALL="C", PYTHONUTF8="0")
    assert done.stdout == TEXT.encode()


def test_the_demo_needs_nothing() -> None:
    done = run(["ask", "--json", "-p", "demo", "-m", "demo-fast", "hi"])
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert done.status == 0


def test_a_late_terminator_is_not_waited_for() -> None:
    never = threading.Event()
    body = [*frames("openai"), *ending("openai")]
    reply = Reply(body, headers=headers("openai"), hold={len(body): never})
    with Script(reply) as server:
        done = ask_json("openai", server.url)
        assert server.wait_closed()
    assert isinstance(check(done), ev.Done)
    assert done.status == 0


# ---- when the answer breaks off

LONG = long_text(300)


def text_of(done: Finished) -> str:
    """The answer as every reader of the events sees it."""
    whole = Transcript()
    for event in done.events:
        whole.add(event)
    return whole.message.content


def retries_of(done: Finished) -> list[str]:
    return [event.action for event in done.events if isinstance(event, ev.Retry)]


@pytest.mark.parametrize("dialect", ["ollama", "anthropic"])
def test_an_answer_goes_on_where_it_broke_off(dialect: str) -> None:
    with Continuing(LONG, faults=[half(3000), half(3000, rst=True)]) as server:
        done = ask_json(dialect, server.url)
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert (done.status, terminal.attempts) == (0, 3)
    assert (text_of(done), retries_of(done)) == (LONG, ["continue", "continue"])
    assert server.strays == []


def test_on_a_pipe_it_goes_on_too_and_no_byte_is_there_twice() -> None:
    with Continuing(LONG, faults=[half(3000), half(3000)]) as server:
        done = run(["ask", *server_flags("ollama", server.url), "hi"])
    assert (done.status, done.stdout) == (0, LONG.encode())
    assert done.stderr.count("continuing in") == 2


def test_a_server_that_cannot_go_on_is_left_alone() -> None:
    with Continuing(LONG, faults=[half(3000)]) as server:
        done = ask_json("openai", server.url)
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code, len(server.asked)) == (5, "truncated", 1)
    assert (terminal.resume or "").startswith("chatstream resume ")


def test_in_flight_a_refusal_keeps_the_text_and_the_first_failure() -> None:
    with Continuing(LONG, faults=[half(3000), refuses_prefill]) as server:
        done = ask_json("anthropic", server.url)
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (5, "truncated")
    assert text_of(done)
    assert LONG.startswith(text_of(done))
    assert [e.code for e in done.events if isinstance(e, ev.Warn)] == ["not_continued"]


def test_a_restart_asks_anew_where_that_can_be_told() -> None:
    with Continuing(LONG, faults=[half(3000)]) as server:
        done = ask_json("openai", server.url, "--on-drop", "restart")
    assert isinstance(check(done), ev.Done)
    assert (text_of(done), retries_of(done)) == (LONG, ["reset"])
    assert [asked.there for asked in server.asked] == ["", ""]


@pytest.mark.parametrize(
    "how", [["--on-drop", "restart"], ["--on-drop", "fallback", "--fallback", "other"]]
)
def test_on_a_pipe_nothing_begins_anew(how: list[str]) -> None:
    """What is in a pipe cannot be taken back: the text stays as it broke off, once."""
    with Continuing(LONG, faults=[half(3000)]) as server:
        done = run(["ask", *server_flags("ollama", server.url), *how, "hi"])
    assert done.status == 5
    assert done.stdout
    assert LONG.encode().startswith(done.stdout)
    assert len(server.asked) == 1
    assert "chatstream resume " in done.stderr


def test_the_budget_of_attempts_is_kept() -> None:
    with Script(Reply(frames("ollama")[:1], headers=headers("ollama"))) as server:
        done = ask_json("ollama", server.url, "--retries", "2")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code, len(server.requests)) == (5, "truncated", 3)


# ---- when a model fails


def test_another_model_takes_over_before_the_first_token() -> None:
    busy = Reply.json({"error": "busy"}, 503)
    with Script(busy, whole("ollama")) as server:
        done = ask_json("ollama", server.url, "--fallback", "other")
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert (done.status, terminal.attempts, text_of(done)) == (0, 2, TEXT)
    assert [request.json["model"] for request in server.requests] == ["m", "other"]
    (turn,) = [event for event in done.events if isinstance(event, ev.Fallback)]
    assert (turn.source, turn.target) == ("m@ollama", "other@ollama")


def test_another_provider_takes_over_with_its_own_address_and_key() -> None:
    busy = Reply.json({"error": {"message": "busy"}}, 503)
    with Script(busy) as first, Script(whole("anthropic")) as second:
        done = run(
            ["ask", *server_flags("openai", first.url), "--fallback", "c@anthropic", "hi"],
            OPENAI_API_KEY="key-of-the-first",
            ANTHROPIC_API_KEY="key-of-the-second",
            ANTHROPIC_BASE_URL=second.url,
        )
    assert (done.status, done.stdout) == (0, TEXT.encode())
    headers_sent = second.requests[0].headers
    assert headers_sent["x-api-key"] == "key-of-the-second"
    assert "key-of-the-first" not in str(headers_sent)
    assert second.requests[0].json["model"] == "c"


def test_another_model_takes_over_in_mid_answer() -> None:
    cut = Reply(frames("ollama"), headers=headers("ollama"))
    with Script(cut, whole("ollama")) as server:
        done = ask_json("ollama", server.url, "--on-drop", "fallback", "--fallback", "other")
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert (done.status, text_of(done)) == (0, TEXT)
    assert any(isinstance(event, ev.Metadata) and event.restart for event in done.events)
    assert [request.json["messages"] for request in server.requests] == [
        [{"role": "user", "content": "hi"}]
    ] * 2


def test_where_no_model_answers_the_status_is_that_of_the_last() -> None:
    replies = [Reply.json({"error": "busy"}, 503), Reply.json({"error": "no such model"}, 404)]
    with Script(*replies) as server:
        done = ask_json("ollama", server.url, "--fallback", "b", "--retries", "0")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.status) == (3, 404)


def test_a_request_that_is_no_good_is_not_passed_on() -> None:
    with Script(Reply.json({"error": "the prompt is no good"}, 400)) as server:
        done = ask_json("ollama", server.url, "--fallback", "b")
    assert isinstance(check(done), ev.Error)
    assert (done.status, len(server.requests)) == (3, 1)


def test_a_strategy_is_a_list_of_models(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[strategies]\ncheap = ["a", "b@ollama"]\n')
    busy = Reply.json({"error": "busy"}, 503)
    with Script(busy, busy, whole("ollama")) as server:
        done = run(
            [
                *("ask", "-p", "ollama", "--base-url", server.url, "--strategy", "cheap"),
                *("--fallback", "c", "hi"),
            ],
            CHATSTREAM_CONFIG=str(config),
        )
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert [request.json["model"] for request in server.requests] == ["a", "b", "c"]


def test_an_unknown_strategy_tells_which_there_are(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[strategies]\ncheap = ["a"]\nfast = ["b"]\n')
    done = run_here(["ask", "--strategy", "slow", "hi"], CHATSTREAM_CONFIG=str(config))
    assert (done.status, done.stdout) == (2, b"")
    assert "unknown strategy 'slow'" in done.stderr
    assert "cheap, fast" in done.stderr


def test_fallback_without_one_says_how_to_name_one() -> None:
    done = run_here(["ask", "-p", "demo", "--on-drop", "fallback", "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert "--fallback MODEL" in done.stderr


def test_a_copy_that_fails_is_a_failure_and_the_answer_is_still_there(tmp_path: Path) -> None:
    with Script(whole("ollama")) as server:
        flags = ["--copy-code", "3", "--copy-to", str(tmp_path / "copy")]
        done = run(["ask", *flags, *server_flags("ollama", server.url), "hi"])
    assert (done.status, done.stdout.decode()) == (1, TEXT)
    assert len(done.stderr.splitlines()) == 1


def test_code_is_saved_beside_an_answer_as_events(tmp_path: Path) -> None:
    body = [*frames("ollama", ["```py\nx = 1\n```\n"]), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"))) as server:
        flags = ["--json", "--save-code", str(tmp_path / "code")]
        done = run(["ask", *flags, *server_flags("ollama", server.url), "hi"])
    assert (done.status, type(done.terminal)) == (0, ev.Done)
    assert [path.read_text() for path in (tmp_path / "code").iterdir()] == ["x = 1\n"]


@pytest.mark.parametrize("dialect", ["ollama", "openai"])
def test_a_plain_answer_imports_nothing_that_only_others_need(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        line = ["ask", *server_flags(dialect, server.url), "hi"]
        code = (
            "import sys; from chatstream.cli.app import main; "
            f"assert main({line!r}) == 0; print('', *sys.modules, sep='\\n')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    unused = {
        *("engine.option_pairs", "engine.summaries", "progressing", "providers.details"),
        *("providers.images", "sinks.palette", "store.outputs", "transport.trust"),
        *("many", "stats", "bench", "chat", "tools"),
    }
    loaded = {it.removeprefix("chatstream.") for it in done.stdout.splitlines()}
    assert loaded & unused == set()
    assert "engine.run" in loaded
