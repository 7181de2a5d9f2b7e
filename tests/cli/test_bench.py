"""`chatstream bench` as its users run it: against a real socket, as a process of its own."""

from __future__ import annotations

import csv
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chatstream.bench.result import Result, decode
from tests.support.client import Finished, Running, run, run_here, server_flags
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.refused import refused_port

pytestmark = pytest.mark.serial

TOKENS = 12
ANSWER = [
    *(b'{"message":{"content":"word "}}\n' for _ in range(TOKENS)),
    b'{"done":true,"done_reason":"stop","eval_count":%d}\n' % TOKENS,
]
WHOLE = Reply(ANSWER, headers=NDJSON, pace=0.001)
CUT = Reply(ANSWER, headers=NDJSON, cut_after=100)
LIMITED = Reply.json({"error": "too many requests"}, 429)


@pytest.fixture
def server() -> Iterator[Script]:
    with Script(WHOLE) as server:
        yield server


def bench(server: Script, *flags: str, model: str = "m", **environ: str) -> Finished:
    flags = ("bench", *server_flags("ollama", server.url, model), *flags)
    return run(flags, stdin=None, **environ)


def result_of(finished: Finished) -> Result:
    return decode(finished.stdout.splitlines()[-1])


def prompts(server: Script) -> list[str]:
    return [request.json["messages"][-1]["content"] for request in server.requests]


@pytest.mark.usefixtures("usual_colours")
def test_it_prints_one_screen_without_escapes_into_a_pipe(server: Script) -> None:
    finished = bench(server, "-n", "6")
    assert (finished.status, finished.stderr) == (0, "")
    lines = finished.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert b"\x1b" not in finished.stdout
    text = finished.stdout.decode()
    for word in ("TTFT", "TPOT", "ttft_cold", "client"):
        assert word in text


def test_n_runs_are_made_after_one_cold_run(server: Script) -> None:
    # Whole at its last line, whatever the machine does: the connection can be used again at once.
    server.play(Reply(ANSWER, headers=NDJSON, framing="length", pace=0.001))
    result = result_of(bench(server, "-n", "4", "--json"))
    assert [it.cold for it in result.samples] == [True, False, False, False, False]
    assert {(it.status, it.tokens, it.deltas) for it in result.samples} == {("ok", TOKENS, TOKENS)}
    assert len(server.requests) == 5
    assert [it.reused for it in result.samples] == [False, True, True, True, True]
    assert len({request.connection for request in server.requests}) == 1


def test_json_is_events_and_the_last_one_is_the_result(server: Script) -> None:
    finished = bench(server, "-n", "2", "--json")
    events = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [it["type"] for it in events] == ["metadata", *["progress"] * 3, "result"]
    assert [it["seq"] for it in events] == [0, 1, 2, 3, 4]
    times = [it.get("t", 0.0) for it in events]
    assert times == sorted(times)
    assert events[0]["run"]
    shares = [it["percentage"] for it in events[1:-1]]
    assert shares == [33.33, 66.67, 100.0]
    assert events[-1]["definitions"]["ttft"]
    schema = json.loads(run(["schema"]).stdout)
    for event in events:
        jsonschema.validate(event, schema)


def test_every_prompt_begins_anew_unless_the_cache_is_wanted(server: Script) -> None:
    bench(server, "-n", "3")
    asked = prompts(server)
    assert len({prompt[:1] for prompt in asked}) == len({prompt[:12] for prompt in asked}) == 4
    server.play(WHOLE)
    bench(server, "-n", "3", "--cache", "reuse")
    assert len(set(prompts(server))) == 1


def test_several_models_are_asked_in_turns(server: Script) -> None:
    finished = bench(server, "-m", "b", "-n", "4", "--json", model="a")
    models = "".join(request.json["model"] for request in server.requests)
    assert models == "ab" + "abba" * 2
    result = result_of(finished)
    assert [arm.name for arm in result.arms] == ["a", "b"]
    assert {(it.arm, it.against) for it in result.comparisons} == {("b", "a")}


def test_conn_new_connects_for_each_run(server: Script) -> None:
    result = result_of(bench(server, "-n", "3", "--conn", "new", "--json"))
    assert not any(it.reused for it in result.samples)
    assert all(it.connect for it in result.samples)
    assert len({request.connection for request in server.requests}) == 4


def test_streams_at_once_are_as_many_as_wanted() -> None:
    hold = threading.Event()
    with Script(WHOLE, Reply(ANSWER, headers=NDJSON, hold={3: hold})) as server:
        flags = ["-c", "5", "-n", "5", "--json"]
        with Running(["bench", *server_flags("ollama", server.url), *flags]) as client:
            assert server.wait_requests(6, timeout=30)  # the cold one, and five that are held
            hold.set()
            result = result_of(client.finish())
    assert [it.status for it in result.samples] == ["ok"] * 6


def test_an_open_loop_asks_at_its_rate(server: Script) -> None:
    result = result_of(bench(server, "--rate", "50", "-n", "10", "--json"))
    warm = [it for it in result.samples if not it.cold]
    assert len(warm) == 10
    assert all(it.late >= 0 for it in warm)


def test_streaming_is_set_against_waiting(server: Script) -> None:
    whole = {"message": {"content": "word " * TOKENS}, "done": True, "eval_count": TOKENS}
    server.play(WHOLE, Reply.json(whole), cycle=True)
    finished = bench(server, "--vs-blocking", "-n", "1", "--json")
    assert [request.json["stream"] for request in server.requests][:2] == [True, False]
    assert [arm.streamed for arm in result_of(finished).arms] == [True, False]


def test_failures_are_no_latencies_and_too_many_end_with_3() -> None:
    with Script(LIMITED) as server:
        finished = bench(server, "--json")
    result = result_of(finished)
    assert (finished.status, result.exit_status) == (3, 3)
    assert {it.status for it in result.samples} == {"http_429"}
    assert len(result.samples) == 3  # there is no sense in going on


def test_a_refused_connection_ends_with_3_and_says_so() -> None:
    port = refused_port()
    flags = server_flags("ollama", f"http://127.0.0.1:{port}")
    finished = run(["bench", *flags])
    assert finished.status == 3
    assert "connection refused" in finished.stdout.decode()
    assert "Traceback" not in finished.stderr


def test_a_cut_stream_is_truncated_and_never_ok() -> None:
    with Script(WHOLE, CUT, cycle=True) as server:
        result = result_of(bench(server, "-n", "5", "--json"))
    assert [it.status for it in result.samples] == ["ok", "truncated"] * 3
    ttft = next(it for it in result.arms[0].summaries if it.metric == "ttft")
    assert (ttft.n, ttft.failed) == (5, 3)


@pytest.mark.parametrize(
    ("gate", "status"), [("ttft.p50>0.001us", 1), ("ttft.p50>1000s", 0), ("errors>0", 0)]
)
def test_a_gate_decides_the_exit_status(server: Script, gate: str, status: int) -> None:
    finished = bench(server, "-n", "3", "--json", "--fail-if", gate)
    assert finished.status == status
    assert [it.failed for it in result_of(finished).gates] == [bool(status)]


def test_one_failed_run_fails_the_gate_on_errors() -> None:
    replies = [WHOLE] * 11 + [CUT] + [WHOLE]
    with Script(*replies) as server:
        finished = bench(server, "-n", "12", "--fail-if", "errors > 0")
    assert finished.status == 1


def test_results_are_kept_and_judged_against(server: Script, tmp_path: Path) -> None:
    files = ["--csv", str(tmp_path / "a.csv"), "--html", str(tmp_path / "a.html")]
    saved = bench(server, "-n", "6", "--save", "before", *files, XDG_STATE_HOME=str(tmp_path))
    assert saved.status == 0
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    assert {row["status"] for row in rows} == {"ok"}
    assert "<svg" in (tmp_path / "a.html").read_text()
    again = bench(server, "-n", "6", "--json", "--baseline", "before", XDG_STATE_HOME=str(tmp_path))
    result = result_of(again)
    assert result.baseline == "before"
    assert {it.metric for it in result.comparisons} >= {"ttft"}


def test_a_place_that_cannot_keep_the_result_is_found_before_anything_is_asked(
    server: Script, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    finished = bench(server, "--save", "x", XDG_STATE_HOME=str(tmp_path / "file" / "state"))
    assert (finished.status, finished.stdout, server.requests) == (2, b"", [])
    assert finished.stderr.startswith("error: --save x: cannot create ")


@pytest.mark.parametrize("form", ["csv", "html"])
def test_a_dash_is_standard_output_and_no_file(
    server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["bench", *server_flags("ollama", server.url), "-n", "2", f"--{form}", "-"]
    finished = run(flags)
    assert finished.status == 0
    if form == "csv":
        rows = list(csv.DictReader(finished.stdout.decode().splitlines()))
        assert [row["status"] for row in rows] == ["ok"] * 3
    else:
        assert finished.stdout.startswith(b"<!doctype html>")
    assert "TTFT" in finished.stderr  # the screen
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "html"])
def test_two_writers_of_standard_output_are_refused(server: Script, form: str) -> None:
    finished = bench(server, "--json", f"--{form}", "-")
    error = json.loads(finished.stdout.splitlines()[-1])
    assert (finished.status, error["type"], server.requests) == (2, "error", [])
    assert f"--{form} - and --json" in error["message"]


def test_a_file_named_dash_can_be_written(
    server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["bench", *server_flags("ollama", server.url), "-n", "1", "--csv", "./-"]
    finished = run(flags)
    assert (finished.status, finished.stderr) == (0, "")
    assert (tmp_path / "-").read_text().startswith("number,")


def test_a_load_has_its_throughput(server: Script) -> None:
    result = result_of(bench(server, "-c", "2", "-n", "4", "--json"))
    assert result.throughput is not None
    ratio = result.throughput.tokens_per_second / result.throughput.requests_per_second
    assert ratio == pytest.approx(TOKENS)
    assert "requests/s" in bench(server, "-c", "2", "-n", "4").stdout.decode()
    assert result_of(bench(server, "-n", "1", "--json")).throughput is None


def test_arms_at_several_places_are_named_by_them(server: Script) -> None:
    flags = ["bench", "-m", "m@ollama", "-m", "m@openai", "-n", "1", "--json"]
    result = result_of(
        run(flags, OLLAMA_HOST=server.url, OPENAI_BASE_URL=server.url, OPENAI_API_KEY="k")
    )
    assert [arm.name for arm in result.arms] == ["m@ollama", "m@openai"]


def test_a_key_is_in_no_output(server: Script, tmp_path: Path) -> None:
    secret = "sk-very-secret-key-1234567890"
    server.play(Reply.json({"error": f"wrong key {secret}"}, 401))
    page = tmp_path / "a.html"
    environ = {"CHATSTREAM_API_KEY": secret, "XDG_STATE_HOME": str(tmp_path)}
    finished = bench(server, "--json", "--save", "it", "--html", str(page), **environ)
    kept = [page, *(tmp_path / "chatstream" / "bench").iterdir()]
    outputs = [finished.stdout.decode(), finished.stderr, *(it.read_text() for it in kept)]
    assert server.requests[0].headers["authorization"] == f"Bearer {secret}"
    assert len(outputs) == 4
    assert not any(secret in text for text in outputs)


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    never = threading.Event()
    held = Reply(ANSWER, headers=NDJSON, hold={4: never})
    table = tmp_path / "runs.csv"
    with Script(WHOLE, WHOLE, WHOLE, held) as server:
        flags = [*server_flags("ollama", server.url), "--csv", str(table), "--json"]
        with Running(["bench", *flags]) as client:
            assert server.wait_requests(4, timeout=30)
            assert server.wait_holding(timeout=30)
            with table.open(newline="") as file:  # written after every run
                assert len(list(csv.DictReader(file))) == 3
            client.process.send_signal(signal.SIGINT)
            finished = client.finish()
        assert server.wait_closed()
    result = result_of(finished)
    assert (finished.status, result.exit_status) == (130, 130)
    assert [it.status for it in result.samples] == ["ok", "ok", "ok", "cancelled"]
    with table.open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)][3:] == ["cancelled"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--fail-if", "nonsense"], "is not a condition"),
        (["--fail-if", "ttfd.p50>1s"], "did you mean"),
        (["--fail-if", "ttft.p50>baseline+10%"], "--baseline"),
        (["--baseline", "never-saved"], "no saved result is named"),
        (["--baseline", "missing.json"], "does not exist"),
        (["--save", "../escape"], "escape"),
        (["--csv", "/nonexistent/folder/a.csv"], "cannot write /nonexistent/folder/a.csv"),
        (["--html", "/dev/null"], "not a regular file"),
        (["--csv", "-", "--html", "-"], "--csv - and --html -"),
        (["--csv", "same", "--html", "./same"], "the same file"),
        (["--rate", "5", "-c", "3"], "cannot be combined"),
        (["--cache", "sometimes"], "sometimes"),
        (["-n", "0"], "0"),
    ],
)
def test_a_mistake_is_one_clear_line_before_anything_is_asked(
    server: Script, flags: list[str], says: str
) -> None:
    finished = run_here(["bench", *server_flags("ollama", server.url), *flags])
    assert (finished.status, finished.stdout) == (2, b"")
    assert says in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not server.requests


def test_definitions_are_explained_without_a_server() -> None:
    finished = run(["bench", "--explain"])
    assert finished.status == 0
    lines = finished.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("ttft") for line in lines)


def test_a_reader_that_leaves_early_ends_nothing_badly(server: Script) -> None:
    with Running(["bench", *server_flags("ollama", server.url), "-n", "2", "--json"]) as client:
        client.read_line()
        assert client.process.stdout is not None
        client.process.stdout.close()
        client.process.wait(30)
        assert client.process.stderr is not None
        assert b"Traceback" not in client.process.stderr.read()


def test_an_unknown_provider_is_told_as_json_too() -> None:
    finished = run(["bench", "--json", "-p", "nobody"])
    events: list[dict[str, Any]] = [json.loads(line) for line in finished.stdout.splitlines()]
    assert finished.status == 2
    assert events[-1]["type"] == "error"


def test_the_self_test_measures_here_whatever_proxy_is_set() -> None:
    finished = run(["bench", "--self-test"], HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="")
    assert finished.status in {0, 5}  # 5: this machine is busy
    assert "16 streams" in finished.stdout.decode()
    assert "0 of 0" not in finished.stdout.decode()
    assert finished.stderr == ""
