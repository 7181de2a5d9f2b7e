"""A benchmark from end to end, on terminals of all kinds."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import pytest

from chatstream.bench.session import results_folder
from tests.support.client import Running, run, server_flags
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.terminal import on_terminal

pytestmark = pytest.mark.serial

ANSWER = [
    *(b'{"message":{"content":"word "}}\n' for _ in range(8)),
    b'{"done":true,"done_reason":"stop","eval_count":8}\n',
]
WHOLE = Reply(ANSWER, headers=NDJSON, pace=0.001)


def test_results_are_saved_where_the_state_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert str(results_folder()) == "/somewhere/chatstream/bench"


def test_text_for_an_encoding_without_blocks_is_ascii() -> None:
    with Script(WHOLE) as server:
        flags = ["bench", *server_flags("ollama", server.url), "-n", "6"]
        finished = run(flags, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert finished.status == 0
    assert finished.stdout.isascii()
    assert b"?" not in finished.stdout


def test_a_terminal_sees_progress_between_runs_and_at_the_end_one_screen() -> None:
    with Script(WHOLE) as server:
        flags = ["bench", *server_flags("ollama", server.url), "-n", "6"]
        status, screen, written = on_terminal(flags, columns=100)
    assert status == 0
    assert b"run 7" in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", written)
    shown = "\n".join(screen.text())
    assert "client" in shown
    assert "run 7" not in shown  # the bar is gone
    assert b"\x1b[" in written


def test_a_narrow_terminal_gets_no_line_that_it_has_to_wrap() -> None:
    with Script(WHOLE) as server:
        flags = ["bench", *server_flags("ollama", server.url), "-n", "6"]
        status, _, written = on_terminal(flags, columns=40)
    assert status == 0
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", written).decode()
    report = text[text.index("m · ollama") :]
    assert max(map(len, report.splitlines())) <= 40


def test_no_color_is_respected() -> None:
    with Script(WHOLE) as server:
        flags = ["bench", *server_flags("ollama", server.url), "-n", "1"]
        _, _, written = on_terminal(flags, NO_COLOR="1")
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", written)


@pytest.mark.usefixtures("usual_colours")
def test_a_name_from_elsewhere_cannot_drive_the_terminal() -> None:
    refused = Reply.json({"error": "\x1b]0;owned\x07\x1b[2J no such model"}, 404)
    with Script(refused) as server:
        flags = ["bench", *server_flags("ollama", server.url, "bad\x1b[31mname")]
        finished = run(flags)
    assert finished.status == 3
    assert b"\x1b" not in finished.stdout + finished.stderr.encode()


def test_a_file_that_cannot_be_written_any_more_loses_no_result(tmp_path: Path) -> None:
    table = tmp_path / "folder" / "runs.csv"
    table.parent.mkdir()
    hold = threading.Event()
    with Script(WHOLE, Reply(ANSWER, headers=NDJSON, hold={2: hold})) as server:
        flags = ["bench", *server_flags("ollama", server.url), "-n", "1", "--csv", str(table)]
        with Running(flags) as client:
            assert server.wait_requests(2, timeout=30)
            shutil.rmtree(table.parent)
            hold.set()
            finished = client.finish()
    assert finished.status != 0
    assert "TTFT" in finished.stdout.decode()
    assert finished.stderr.startswith("error: ")
    assert "Traceback" not in finished.stderr


@pytest.mark.usefixtures("usual_colours")
def test_a_connection_that_the_server_closes_is_told() -> None:
    with Script(Reply(ANSWER, headers=NDJSON, framing="close", pace=0.001)) as server:
        finished = run(["bench", *server_flags("ollama", server.url), "-n", "3"])
    assert "3 of 3 runs had to open a new connection" in finished.stdout.decode()
