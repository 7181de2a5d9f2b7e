"""`ask` on a real terminal: what is on its screen at the end, and in which state it is left."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.support.answers import TEXT, ending, frames, headers, whole
from tests.support.client import run, server_flags
from tests.support.loopback import Reply, Request, Script
from tests.support.terminal import on_terminal

pytestmark = pytest.mark.screen


def interrupt_at(mark: bytes) -> Callable[[bytes, subprocess.Popen[bytes]], None]:
    sent = itertools.count()

    def seen(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if mark in written and next(sent) == 0:
            client.send_signal(signal.SIGINT)

    return seen


def test_the_answer_and_its_figures_are_on_the_screen() -> None:
    with Script(whole("ollama")) as server:
        status, screen, written = on_terminal(["ask", *server_flags("ollama", server.url), "hi"])
    lines = [line for line in screen.text() if line]
    assert status == 0
    assert lines[0] == TEXT
    assert lines[-1].startswith("✓ m · first token ")
    assert b"\x1b[?25" not in written


class Found(Script):
    """An Ollama with one model, that is found where nothing is set."""

    def take(self, request: Request) -> Reply:
        answer = super().take(request)
        listing = Reply.json({"models": [{"name": "m", "capabilities": ["completion"]}]})
        return listing if request.method == "GET" else answer


@pytest.mark.parametrize("flags", [[], ["--plain"], ["--accessible"]])
def test_whom_it_found_is_said_in_one_line(flags: list[str]) -> None:
    with Found(whole("ollama")) as server:
        arguments = ["ask", *flags, "hi"]
        status, screen, written = on_terminal(arguments, OLLAMA_HOST=server.url)
        line = f"asking m on Ollama at {server.url} (no provider is set)"
        shown = [it for it in screen.text() if "asking" in it]
        assert (status, shown) == (0, [line])
        look = "3" if flags else "38;5;246"  # italics, or the grey of the dark theme
        assert f"\x1b[{look}m{line}".encode() in written
        status, screen, _ = on_terminal([*arguments, "-p", "ollama"], OLLAMA_HOST=server.url)
        assert not any("asking" in it for it in screen.text())


def test_who_reads_no_terminal_is_not_told_whom_it_found() -> None:
    with Found(whole("ollama")) as server:
        done = run(["ask", "hi"], OLLAMA_HOST=server.url)
        assert (done.status, done.stderr) == (0, "")


def test_ctrl_c_leaves_the_text_and_a_sane_terminal() -> None:
    body = itertools.chain(
        frames("ollama", ["First.\n\nSecond"]), itertools.repeat(frames("ollama", ["."])[0])
    )
    with Script(Reply(body, headers=headers("ollama"), pace=0.02)) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi"]
        status, screen, _ = on_terminal(arguments, seen=interrupt_at(b"Second"))
        assert server.wait_closed()
    text = "\n".join(screen.text())
    assert status == 130
    assert text.count("First.") == 1
    assert text.count("Second") == 1
    assert "■ stopped" in text
    assert not screen.cursor_hidden


def test_an_error_is_on_the_screen_with_what_to_do() -> None:
    with Script(Reply.json({"error": {"message": "invalid api key"}}, 401)) as server:
        arguments = ["ask", *server_flags("openai", server.url), "hi"]
        status, screen, _ = on_terminal(arguments)
    text = " ".join(screen.text())
    assert status == 3
    assert "✗ invalid api key" in text
    assert "check the API key" in text
    assert not screen.cursor_hidden


def test_the_wait_for_a_first_token_is_shown() -> None:
    body = itertools.chain([b"\n"] * 75, frames("ollama"), ending("ollama"))
    with Script(Reply(body, headers=headers("ollama"), pace=0.02)) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi"]
        _, screen, written = on_terminal(arguments)
    assert b"waiting for the first token" in written
    assert "waiting" not in "\n".join(screen.text())


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_shows_every_word_once(columns: int) -> None:
    words = [f"word{n} " for n in range(60)]
    body = [*frames("ollama", words), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"), pace=0.002)) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi"]
        _, screen, _ = on_terminal(arguments, columns=columns)
    shown = "".join(line.ljust(columns) for line in screen.text())  # the terminal wraps it
    assert shown.split()[:60] == [word.strip() for word in words]


def test_no_color_means_none() -> None:
    with Script(whole("ollama")) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi"]
        *_, written = on_terminal(arguments, NO_COLOR="1")
    codes = re.findall(rb"\x1b\[([\d;]*)m", written)
    assert codes
    assert not [code for code in codes for part in code.split(b";") if len(part) == 2]


@pytest.mark.parametrize(("plain", "term"), [([], "dumb"), (["--plain"], "xterm")])
def test_a_plain_terminal_gets_no_escape_code(plain: list[str], term: str) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31mred"
    body = [*frames("ollama", ["good ", evil]), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"))) as server:
        arguments = ["ask", *plain, *server_flags("ollama", server.url), "hi"]
        status, screen, written = on_terminal(arguments, TERM=term)
    assert status == 0
    assert b"\x1b" not in written
    assert screen.text()[0].startswith("good ")


def test_control_characters_of_the_model_do_nothing_to_the_terminal() -> None:
    evil = ["\x1b]52;c;ZXZpbA==\x07", "\x1b[?1049h", "\x1b", "[2J", "\u009b31m", "end"]
    body = [*frames("ollama", evil), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"))) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi"]
        *_, written = on_terminal(arguments)
    assert b"]52;" not in written.replace("␛]52;".encode(), b"")
    assert b"\x1b[?1049h" not in written
    assert b"\x1b[2J" not in written


def test_escape_stops_the_answer_and_the_partial_text_stays() -> None:
    keys = iter([b"\x1b"])
    status, screen, _ = on_terminal(
        ["ask", "-p", "demo", "hi"],
        typed=lambda data: next(keys, b"") if b"space pauses" in data else b"",
    )
    shown = "\n".join(screen.text())
    assert status == 130
    assert shown.startswith("thought")
    assert "■ stopped" in shown
    assert "chatstream resume" in shown
    assert not screen.cursor_hidden


def test_space_stops_the_answer_until_space_again() -> None:
    keys = iter([(b"space pauses", b" "), (b"paused", b" ")])
    due = [next(keys)]

    def typed(data: bytes) -> bytes:
        word, key = due[0]
        if word not in data:
            return b""
        due[0] = next(keys, (b"never", b""))
        return key

    status, screen, _ = on_terminal(["ask", "-p", "demo", "hi"], typed=typed)
    assert status == 0
    assert due[0][0] == b"never"
    assert "✓ demo" in "\n".join(screen.text())


@pytest.mark.parametrize("model", ["qwen3:4b", ""])
def test_alone_it_says_how_to_begin_where_a_model_is_configured(model: str) -> None:
    status, screen, _ = on_terminal([], CHATSTREAM_MODEL=model)
    shown = "\n".join(screen.text())
    assert ("holds a conversation with qwen3:4b" in shown) is bool(model)
    assert ("Usage:" in shown) is not bool(model)
    assert (status == 0) is bool(model)
