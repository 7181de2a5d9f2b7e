"""Claimed: a batch ends with a line for each prompt and the right status, and can be run again."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import whole
from tests.support.batches import Answering, answer_to, lines_in, prompts_in
from tests.support.client import Finished, Running, run, run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.terminal import on_terminal
from tests.support.waiting import until_true

COUNT = 12
BAD = Reply.json({"error": {"message": "too odd"}}, 400)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    prompts_in(tmp_path / "prompts.txt", COUNT)
    return tmp_path / "prompts.txt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as it:
        yield it


def batch(server: Answering, source: Path | str, *options: str, stdin: bytes = b"") -> Finished:
    return run_here(["batch", str(source), *server.flags, *options], stdin=stdin)


def test_every_prompt_has_its_line_and_nothing_else_is_printed(
    server: Answering, source: Path, out: Path
) -> None:
    done = batch(server, source, "--out", str(out))
    assert (done.status, done.stdout) == (0, b"")
    lines = lines_in(out)
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert [line["content"] for line in lines] == [answer_to(f"prompt {n}") for n in range(COUNT)]
    assert set(lines[0]) == {
        *("id", "index", "run", "content", "finish_reason", "usage", "ttft", "duration"),
        *("attempts", "key"),
    }
    assert done.stderr.startswith(f"batch: {COUNT} answered")
    assert not out.with_name("out.jsonl.runs").exists()


def test_without_a_file_the_lines_are_on_standard_output(server: Answering, source: Path) -> None:
    done = batch(server, source, "-j", "1")
    assert [json.loads(it)["index"] for it in done.stdout.splitlines()] == list(range(COUNT))
    assert len(done.stderr.splitlines()) == 1


def with_ids(*ids: object) -> bytes:
    bodies = [{"messages": [{"role": "user", "content": f"prompt {n}"}]} for n in range(len(ids))]
    lines = ({"custom_id": it, "body": body} for it, body in zip(ids, bodies, strict=True))
    return b"".join(json.dumps(it).encode() + b"\n" for it in lines)


@pytest.mark.parametrize("to_file", [True, False])
def test_an_id_that_two_lines_have_is_told_once_and_changes_nothing_else(
    server: Answering, tmp_path: Path, out: Path, to_file: bool
) -> None:
    source = tmp_path / "ids.jsonl"
    source.write_bytes(with_ids("a", "b", "c", "b", "a", "b"))
    done = batch(server, source, "-j", "1", *(["--out", str(out)] if to_file else []))
    lines = lines_in(out) if to_file else [json.loads(it) for it in done.stdout.splitlines()]
    assert done.status == 0
    assert [it["id"] for it in lines] == [*"abcbab"]
    assert [it["content"] for it in lines] == [answer_to(f"prompt {n}") for n in range(6)]
    warnings = [it for it in done.stderr.splitlines() if it.startswith("warning: ")]
    assert warnings == [
        "warning: lines 2 and 4 have the same id 'b'; only index and key tell their answers apart"
    ]


def test_ids_that_differ_and_lines_without_one_are_no_repetition(server: Answering) -> None:
    lines = with_ids("a", "b", 1, "1 ", None, None, True, True)
    done = batch(server, "-", stdin=lines + b'{"prompt": "prompt 1"}\n' * 2)
    assert done.status == 0
    assert "warning" not in done.stderr


def test_an_id_is_repeated_also_where_a_line_is_wrong_or_was_answered_before(
    server: Answering, tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "ids.jsonl"
    source.write_bytes(b'{"custom_id": "\\u001b[31m7", "body": 1}\n' + with_ids("\x1b[31m7"))
    for _ in range(2):
        done = batch(server, source, "--out", str(out))
        assert done.status == 1
        assert "warning: lines 1 and 2 have the same id '" in done.stderr
        assert "\x1b" not in done.stderr


def test_run_again_it_asks_only_what_is_missing(server: Answering, source: Path, out: Path) -> None:
    batch(server, source, "--out", str(out))
    server.asked.clear()
    before = out.read_bytes()
    done = batch(server, source, "--out", str(out))
    assert (done.status, out.read_bytes()) == (0, before)
    assert not server.asked
    assert f"{COUNT} already in the output" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], None),
        (["-m", "other"], "--model"),
        (["-s", "Be brief."], "--system"),
        (["-t", "0.5"], "--temperature"),
    ],
)
def test_answers_to_other_options_are_kept_and_it_says_so(
    server: Answering, source: Path, out: Path, options: list[str], says: str | None
) -> None:
    batch(server, source, "--out", str(out))
    before = out.read_bytes()
    flags = server_flags("openai", f"{server.url}/v1", "other" if "-m" in options else "m")
    options = [] if "-m" in options else options
    done = run_here(["batch", str(source), "--out", str(out), *flags, *options])
    assert (done.status, out.read_bytes()) == (0, before)
    warned = [it for it in done.stderr.splitlines() if it.startswith("warning: ")]
    assert len(warned) == (says is not None)
    assert (says or "") in "".join(warned)


def test_an_edited_input_asks_what_is_new_and_the_output_has_its_order(
    server: Answering, source: Path, out: Path
) -> None:
    batch(server, source, "--out", str(out))
    server.asked.clear()
    asked = source.read_text().splitlines()
    edited = ["new", *reversed(asked[1:]), "newer", asked[3]]  # the last one is there twice now
    source.write_text("\n".join(edited))
    assert batch(server, source, "--out", str(out)).status == 0
    assert server.asked == {"new": 1, "newer": 1, asked[3]: 1}
    lines = lines_in(out)
    assert [line["content"] for line in lines] == [answer_to(it) for it in [*edited, asked[0]]]
    assert [line["index"] for line in lines[:-1]] == list(range(len(edited)))


def test_what_failed_is_a_line_and_is_asked_again_only_on_request(source: Path, out: Path) -> None:
    with Answering(others={"prompt 4": [BAD]}) as server:
        done = batch(server, source, "--out", str(out))
        assert done.status == 1
        assert "failed: " in done.stderr
        assert "too odd" in done.stderr
        error = {"code": "bad_request", "message": "too odd", "status": 400}
        assert lines_in(out)[4]["error"] == error
        assert batch(server, source, "--out", str(out)).status == 1
        assert server.asked["prompt 4"] == 1
        assert batch(server, source, "--out", str(out), "--retry-failed").status == 0
        assert server.asked == {f"prompt {n}": 1 + (n == 4) for n in range(COUNT)}
    assert [line["content"] for line in lines_in(out)] == [
        answer_to(f"prompt {n}") for n in range(COUNT)
    ]


def test_a_line_that_is_no_json_names_its_number_and_costs_nothing_else(
    server: Answering, tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"prompt": "a"}\n{"prompt": \n\n{"prompt": "b"}\n')
    done = batch(server, source, "--out", str(out))
    assert done.status == 1
    lines = lines_in(out)
    assert [line.get("content") for line in lines] == [answer_to("a"), None, answer_to("b")]
    assert lines[1]["error"]["message"].startswith("line 2: it is not JSON")
    assert "failed: line 2: it is not JSON" in done.stderr


FORMATS = {
    "in.txt": "a\nb\n",
    "in.jsonl": '{"prompt": "a"}\n{"messages": [{"role": "user", "content": "b"}]}\n',
    "openai.jsonl": "".join(
        json.dumps(
            {
                "custom_id": it,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": [{"role": "user", "content": it}]},
            }
        )
        + "\n"
        for it in "ab"
    ),
    "anthropic.jsonl": "".join(
        json.dumps({"custom_id": it, "params": {"messages": [{"role": "user", "content": it}]}})
        + "\n"
        for it in "ab"
    ),
    "in.csv": "x\na\nb\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_from_a_file_and_from_standard_input(
    server: Answering, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(FORMATS[name])
    template = ["--template", "{x}"] if name.endswith(".csv") else []
    for source, stdin in ((str(tmp_path / name), ""), ("-", FORMATS[name])):
        done = batch(server, source, *template, stdin=stdin.encode())
        lines = [json.loads(it) for it in done.stdout.splitlines()]
        assert done.status == 0
        assert [it["content"] for it in lines] == [answer_to("a"), answer_to("b")]
        if "custom_id" in FORMATS[name]:
            assert [it["id"] for it in lines] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["missing.txt"], "cannot be read"),
        (["prompts.txt", "--out", "prompts.txt"], "the same file"),
        (["prompts.txt", "--out", "notes.txt"], "is not from a batch"),
        (["prompts.txt", "--out", "/dev/null"], "not a regular file"),
        (["prompts.txt", "--retry-failed"], "needs the output"),
        (["prompts.txt", "-j", "0"], "--jobs"),
        (["prompts.txt", "--rpm", "0"], "--rpm"),
        (["prompts.txt", "-p", "nobody"], "unknown provider"),
        (["people.csv"], "it needs a --template"),
        (["people.csv", "--template", "{nmae}"], "did you mean 'name'"),
        ([], "FILE"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, source: Path, options: list[str], says: str
) -> None:
    monkeypatch.chdir(source.parent)
    Path("notes.txt").write_text("mine\n")
    Path("people.csv").write_text("name\nAnn\n")
    done = run_here(["batch", *options, *([] if "-p" in options else ["-p", "demo"])])
    assert (done.status, done.stdout) == (2, b"")
    assert says in done.stderr
    assert Path("notes.txt").read_text() == "mine\n"
    assert not Path("state").exists()


def test_a_key_that_is_missing_stops_it_at_once(
    monkeypatch: pytest.MonkeyPatch, source: Path, server: Answering, out: Path
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    done = run_here(["batch", str(source), "-p", "openai", "-m", "m", "--out", str(out)])
    assert done.status == 3
    assert "no API key is set for openai" in done.stderr
    assert "run it again to continue" in done.stderr
    assert out.read_bytes() == b""


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply.json({"error": {"message": "wrong key"}}, 401), "wrong key"),
        (Reply.json({"error": {"code": "insufficient_quota", "message": "gone"}}, 429), "gone"),
        (Reply.json({"error": {"message": "m"}}, 429, {"Retry-After": "9000"}), "2 h 30 min"),
    ],
)
def test_a_refusal_stops_it_with_3(source: Path, out: Path, reply: Reply, says: str) -> None:
    with Answering(others={"prompt 6": [reply]}) as server:
        done = batch(server, source, "--out", str(out), "-j", "1")
        assert done.status == 3
        assert says in done.stderr
        assert done.stderr.endswith("run it again to continue\n")
        assert [line["index"] for line in lines_in(out)] == list(range(6))
        assert batch(server, source, "--out", str(out)).status == 0
    assert [line["index"] for line in lines_in(out)] == list(range(COUNT))


def test_a_wrong_key_costs_one_request_however_many_are_asked_at_once(source: Path) -> None:
    wrong = Reply.json({"error": {"message": "wrong key"}}, 401)
    with Script(wrong, cycle=True) as server:
        flags = ["-p", "openai", "--base-url", server.url, "-m", "m", "-j", "32"]
        done = run_here(["batch", str(source), *flags])
        assert (done.status, done.stdout, len(server.requests)) == (3, b"", 1)
    assert "wrong key" in done.stderr


def test_a_server_that_is_not_there_stops_it_with_1(source: Path, out: Path) -> None:
    with Answering() as server:
        pass
    done = batch(server, source, "--out", str(out))
    assert done.status == 1
    assert "stopped: " in done.stderr
    assert done.stderr.count("\n") == 3


def test_control_c_ends_it_with_130_and_a_second_run_completes_it(source: Path, out: Path) -> None:
    slow = whole("openai", hold={3: threading.Event()})
    others = {f"prompt {n}": [slow] for n in range(4, COUNT)}
    with Answering(others=others) as server:
        arguments = ["batch", str(source), "--out", str(out), *server.flags]
        with Running(arguments) as client:
            until_true(lambda: len(server.asked) == 7)
            client.process.send_signal(signal.SIGINT)
            done = client.finish()
        assert done.status == 130
        assert done.stderr.endswith("run it again to continue\n")
        assert [line["index"] for line in lines_in(out)] == list(range(4))
        server.forget_others()
        assert run(arguments).status == 0
    assert [line["index"] for line in lines_in(out)] == list(range(COUNT))


def test_control_c_ends_it_while_it_waits_for_standard_input() -> None:
    with Running(["batch", "-", "-p", "demo"], stdin=b"") as client:  # nothing is written to it
        until_true(lambda: _waits(client.process.pid))
        client.process.send_signal(signal.SIGINT)
        assert client.process.wait(30) == 130


def _waits(pid: int) -> bool:
    """Whether the lanes of a batch are there."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) >= 4


def test_a_reader_that_has_seen_enough_ends_it_quietly(source: Path) -> None:
    with Answering() as server, Running(["batch", str(source), *server.flags]) as client:
        assert json.loads(client.read_line())["index"] == 0
        assert client.process.stdout is not None
        client.process.stdout.close()
        assert client.process.stderr is not None
        assert client.process.stderr.read() == b""
        assert client.process.wait(30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_failure(server: Answering, source: Path) -> None:
    done = run_here(["batch", str(source), *server.flags], stdout=Path("/dev/full"))
    assert done.status == 1
    assert "cannot write the output" in done.stderr


def test_the_cost_limit_stops_it_with_7_and_a_higher_one_continues(
    monkeypatch: pytest.MonkeyPatch, server: Answering, source: Path, out: Path
) -> None:
    config = source.with_name("config.toml")
    config.write_text("[prices]\nm = { input = 0.0, output = 1000.0 }\n")
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(config))
    done = batch(server, source, "--out", str(out), "-j", "1", "--max-cost", "0.02")
    assert done.status == 7
    assert done.stderr.endswith("run it again to continue\n")
    assert 0 < len(lines_in(out)) == server.asked.total() < COUNT
    assert batch(server, source, "--out", str(out), "--max-cost", "2").status == 0
    assert [it["content"] for it in lines_in(out)] == [
        answer_to(f"prompt {number}") for number in range(COUNT)
    ]
    assert set(server.asked.values()) == {1}


def test_fail_fast_asks_nothing_more(source: Path, out: Path) -> None:
    with Answering(others={"prompt 0": [BAD]}) as server:
        done = batch(server, source, "--out", str(out), "--fail-fast", "-j", "1")
        assert set(server.asked) == {"prompt 0"}
    assert done.status == 1


def test_unordered_every_line_is_there(server: Answering, source: Path, out: Path) -> None:
    assert batch(server, source, "--out", str(out), "--unordered", "-j", "6").status == 0
    assert sorted(line["index"] for line in lines_in(out)) == list(range(COUNT))


def test_a_role_and_a_system_prompt_apply_to_all(source: Path) -> None:
    with Script(whole("openai")) as server:
        flags = ["-p", "openai", "--base-url", server.url, "-m", "m", "-s", "Be brief."]
        assert run_here(["batch", str(source), *flags]).status == 0
        systems = [it.json["messages"][0] for it in server.requests]
    assert systems == [{"role": "system", "content": "Be brief."}] * COUNT


def test_on_a_terminal_a_bar_is_drawn_and_is_gone_at_the_end(source: Path, out: Path) -> None:
    with Answering(others={"prompt 3": [BAD]}, pace=0.05) as server:
        arguments = ["batch", str(source), "--out", str(out), *server.flags]
        status, screen, written = on_terminal(arguments)
    assert status == 1
    assert "━".encode() in written
    assert f"/{COUNT} · ".encode() in written
    lines = [line.rstrip() for line in screen.text() if line.strip()]
    assert [line.partition(" ")[0] for line in lines] == ["failed:", "batch:", "--retry-failed"]
    assert lines[1].startswith("batch: 11 answered, 1 failed, ")
