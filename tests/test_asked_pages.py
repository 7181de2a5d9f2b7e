"""`-f URL` and `-f FILE.pdf` of `ask` and `chat`, as a user has them: what is sent, what is kept,
and every bad input."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.chat.loop import chat
from chatstream.store.place import state_folder
from tests.support.chats import Typed, says, sent, session_at
from tests.support.client import Finished, run, run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.pdfs import encrypted, pdf
from tests.support.refused import refused_port

HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = Reply(b"<title>News</title><p>It rains.<script>x()</script>", headers=HTML)
TEXT = "News\n\nIt rains."

pytestmark = pytest.mark.usefixtures("no_proxies")


def ask(server: Script, *arguments: str, stdin: bytes | None = None) -> Finished:
    flags = [*server_flags("ollama", server.url), "--retries", "0"]
    return run_here(["ask", *flags, *arguments], stdin=stdin)


def refused(*arguments: str, status: int = 2) -> str:
    """What is said of it; nothing was asked."""
    with Script(says("never")) as server:
        done = ask(server, *arguments, "what?")
        assert server.requests == []
    assert (done.status, done.stdout) == (status, b"")
    return done.stderr


def test_a_page_goes_with_the_question_as_text() -> None:
    with Script(PAGE) as web, Script(says("Yes.")) as server:
        done = ask(server, "-f", f"{web.url}/news/", "rain?")
        assert [it.path for it in web.requests] == ["/news/"]
        assert (done.status, done.stdout) == (0, b"Yes.")
        assert sent(server) == [[("user", f"rain?\n\n{web.url}/news/:\n```\n{TEXT}\n```")]]


def test_pages_and_files_come_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    with Script(PAGE) as web, Script(says("Yes.")) as server:
        ask(server, "-f", f"{tmp_path}/a.txt", "-f", web.url, "-f", "-", "q", stdin=b"three")
        ((_, text),) = sent(server)[0]
    assert text.index("one") < text.index("rains") < text.index("three")


def test_a_pdf_is_known_by_its_bytes_wherever_it_comes_from(tmp_path: Path) -> None:
    data = pdf("first page", "second page")
    (tmp_path / "notes.txt").write_bytes(data)
    there = Reply(data, headers={"Content-Type": "application/octet-stream"})
    with Script(there) as web, Script(*(says(str(it)) for it in range(3))) as server:
        ask(server, "-f", f"{tmp_path}/notes.txt", "q")
        ask(server, "-f", web.url, "q")
        ask(server, "-f", "-", "q", stdin=data)
        asked = [messages[0][1] for messages in sent(server)]
    assert all("first page\n\nsecond page" in it for it in asked)


def test_a_chat_has_them_too(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("the page"))
    flags = ["--retries", "0"]
    with Script(PAGE) as web, Script(says("Yes."), says("No.")) as server:
        flags += server_flags("ollama", server.url)
        lines = f"rain?\n/file {tmp_path}/a.pdf {web.url}\nand now?\n".encode()
        done = run_here(["chat", *flags, "-f", web.url], stdin=lines)
        assert (done.status, done.stdout) == (0, b"Yes.\nNo.\n")
        first, second = (messages[-1][1] for messages in sent(server))
    assert TEXT in first
    assert second.index("the page") < second.index(TEXT)


def test_a_page_that_is_not_there_does_not_stand_in_the_way_of_the_next_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Script(Reply(b"", 404, HTML, "length")) as web, Script(says("Yes.")) as server:
        session = session_at(server)
        assert chat(session, Typed(f"/file {web.url}", "first?", "second?")) == 0
        assert sent(server) == [[("user", "second?")]]
    told = capfd.readouterr()
    assert "cannot be fetched: HTTP 404 Not Found" in told.err
    assert "the next message has no files now" in told.err


def test_in_a_pipe_no_line_is_asked_without_its_file() -> None:
    with Script(Reply(b"", 404, HTML, "length")) as web, Script(says("Yes.")) as server:
        flags = server_flags("ollama", server.url)
        done = run_here(["chat", *flags, "-f", web.url], stdin=b"first?\nsecond?\n")
        assert server.requests == []
    assert done.status == 3


def test_a_password_is_kept_nowhere() -> None:
    with Script(PAGE) as web, Script(says("Yes.")) as server:
        url = f"http://me:pass-word@127.0.0.1:{web.port}/a?api_key=abcdefgh&page=2"
        flags = server_flags("ollama", server.url)
        done = run(["ask", *flags, "-f", url, "--debug", "rain?"])
        ((_, text),) = sent(server)[0]
        assert "authorization" in web.requests[0].headers
    assert f"http://***@127.0.0.1:{web.port}/a?api_key=***&page=2:" in text
    kept = b"".join(it.read_bytes() for it in state_folder().rglob("*") if it.is_file())
    for secret in ("pass-word", "abcdefgh"):
        assert secret not in text
        assert secret not in done.stderr
        assert secret.encode() not in kept
    with sqlite3.connect(state_folder() / "history.db") as history:
        assert "pass-word" not in "\n".join(history.iterdump())


def test_escape_sequences_of_a_page_reach_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    evil = Reply(b"<p>\x1b]0;owned\x07rain", headers=HTML)
    with Script(evil) as web, Script(says("Yes.")) as server:
        chat(session_at(server), Typed(f"/file {web.url}", "what?", "/history", "/edit", "/undo"))
    told = "".join(capfd.readouterr())
    assert "owned" in told
    assert "\x1b]0" not in told


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        (Reply(b"<p>sorry", 404, HTML), 3, "cannot be fetched: HTTP 404 Not Found"),
        (Reply(b"<p>sorry", 500, HTML), 1, "HTTP 500 Internal Server Error"),
        (Reply(b"\x89PNG\xff", headers={"Content-Type": "image/png"}), 2, "but image/png"),
        (Reply(b"<script>x()</script>", headers=HTML), 2, "has no text"),
        (Reply(b"%PDF-1.4 no", headers=HTML), 2, "is a broken PDF"),
        (Reply(b"x" * 9, headers=HTML, framing="length", cut_after=4), 1, "broke off"),
    ],
)
def test_a_page_that_is_none_is_one_clear_line(reply: Reply, status: int, message: str) -> None:
    with Script(reply) as web:
        told = refused("-f", web.url, status=status)
    first = told.splitlines()[0]
    assert message in first
    assert first.count("HTTP") <= 1
    assert len(told.splitlines()) <= 2


def test_nobody_there_is_one_clear_line() -> None:
    told = refused("-f", f"http://127.0.0.1:{refused_port()}/", status=1)
    assert "--base-url" not in told


def test_a_page_past_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.terminal.prompt.MAX_BYTES", 2 * 1024**2)
    with Script(Reply(b"x" * 3 * 1024**2, headers={"Content-Type": "text/plain"})) as web:
        assert "is larger than the limit of 2 MiB" in refused("-f", web.url)


def test_a_pdf_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.pdf"
    for data, message in (
        (encrypted(pdf("a"), "secret"), f"error: {file} is encrypted and cannot be read"),
        (pdf(""), f"error: {file} has no text: it may be a scan"),
        (b"%PDF-1.4", f"error: {file} is a broken PDF: "),
    ):
        file.write_bytes(data)
        assert message in refused("-f", str(file)).splitlines()[0]
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert "pip install --upgrade pypdf" in refused("-f", str(file))


def test_a_failure_is_an_event_for_whoever_reads_json() -> None:
    with Script(Reply(b"", 404, HTML, "length")) as web, Script(says("never")) as server:
        done = ask(server, "--json", "-f", web.url, "what?")
    assert done.terminal.code == "refused"  # type: ignore[union-attr]
    assert done.status == 3


def test_fetching_imports_no_tool_and_a_file_imports_no_fetching(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    with Script(PAGE) as web, Script(says("1"), says("2")) as server:
        for name, fetches in ((web.url, True), (str(tmp_path / "a.txt"), False)):
            line = ["ask", *server_flags("ollama", server.url), "-f", name, "q"]
            code = (
                "import sys; from chatstream.cli.app import main; "
                f"assert main({line!r}) == 0; print('', *sys.modules, sep='\\n')"
            )
            made = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
                stdin=subprocess.DEVNULL,
            )
            loaded = made.stdout.split("\n")
            assert [it for it in loaded if it.startswith(("chatstream.tools", "pypdf"))] == []
            assert ("chatstream.engine.fetching" in loaded) == fetches
